--- The transport over OpenResty's cosockets, through lua-resty-http; libcurl is never loaded. It
--- keeps the contract of keysecure.transport.curl.
--
-- What nginx.conf says holds here: `resolver`, `lua_ssl_trusted_certificate`,
-- `lua_ssl_verify_depth`. Connections are kept in a pool of the worker's own, apart from those that
-- other code makes through lua-resty-http.
--
-- lua-resty-http repeats nothing by itself. A kept connection that dies under a request is a
-- failure like any other: it says how far the request got, and the caller decides.
local cosocket = require "keysecure.transport.cosocket"
local errors = require "keysecure.errors"

---@class keysecure.RestyTransport: keysecure.Transport
local Transport = {}
Transport.__index = Transport

local transport = {}

local HEADERS_MAX = 64 * 1024 -- bytes of an answer's headers, and of what frames its body

local function load_http()
  local ok, http = pcall(require, "resty.http")
  if not ok then
    errors.misuse("transport \"resty\" needs lua-resty-http (ledgetech/lua-resty-http, 0.16 or "
      .. "later) on lua_package_path, and nginx with ngx_lua: " .. tostring(http):match "[^\n]*")
  elseif not http.tcp_only_connect then
    errors.misuse("transport \"resty\" needs lua-resty-http 0.16 or later, and found "
      .. tostring(http._VERSION))
  end
  return http
end

-- "http://user:password@host:port" as lua-resty-http wants it: the address and, apart from it, who
-- asks.
local function proxy_options(address)
  if not address or address == "" then
    return nil
  end
  local scheme, user, rest = address:match "^(https?://)([^/@]+)@(.*)$"
  local bare = user and scheme .. rest or address
  local credentials = user and "Basic " .. ngx.encode_base64(ngx.unescape_uri(user))
  return { http_proxy = bare, https_proxy = bare, http_proxy_authorization = credentials,
    https_proxy_authorization = credentials }
end

--- Makes a transport. No connection is made before the first call.
---@param options table  of `keysecure.new`: connect_timeout, keepalive_timeout (seconds),
---  keepalive_pool (connections kept by each worker), max_response (bytes), proxy
---@param host table     keysecure.host.openresty
---@return keysecure.RestyTransport
function transport.new(options, host)
  return setmetatable({
    http = load_http(),
    host = host,
    connect_timeout = options.connect_timeout,
    keepalive_timeout = options.keepalive_timeout,
    keepalive_pool = options.keepalive_pool,
    max_response = options.max_response,
    proxy = proxy_options(options.proxy),
    proxy_name = ngx.md5(options.proxy or ""), -- it may hold a password
  }, Transport)
end

-- Before anything is sent ------------------------------------------------------------------------

-- Of an address: scheme, host, port; nil where it is none.
local function split(url)
  local scheme, host, port = url:match "^(https?)://(%[[%x:%.]+%]):?(%d*)/"
  if not scheme then
    scheme, host, port = url:match "^(https?)://([%w%.%-]+):?(%d*)/"
  end
  if scheme then
    return scheme, host, tonumber(port) or (scheme == "https" and 443 or 80)
  end
end

-- Whether something in the request would end up where it doesn't belong.
local function is_clean(request)
  if request.method:find "[^%u]" or request.url:find "[%z\1-\32\127]" then
    return false
  end
  for name, value in pairs(request.headers) do
    if name:find "[^%w%-_]" or value:find "[%z\1-\8\10-\31\127]" then
      return false
    end
  end
  return true
end

-- What lua-resty-http is to send. Left to itself it would add its own name, and the trace of
-- whichever request nginx is answering just now, which an empty list keeps out.
local function parameters(request)
  local headers = { ["User-Agent"] = "keysecure", traceparent = {} }
  for name, value in pairs(request.headers) do
    headers[name] = value
  end
  return { method = request.method, path = request.url:match "^https?://[^/]+(/.*)$",
    headers = headers, body = request.body or (request.method ~= "GET" and "" or nil) }
end

-- One exchange -----------------------------------------------------------------------------------

local HINTS = {
  { "no resolver defined", "; set `resolver` in nginx.conf" },
  { "issuer certificate", "; does lua_ssl_trusted_certificate in nginx.conf name its authority?" },
  { "self[- ]signed certificate", "; does lua_ssl_trusted_certificate in nginx.conf name it?" },
  { "chain too long", "; raise lua_ssl_verify_depth in nginx.conf" },
}

local function explained(message)
  for _, hint in ipairs(HINTS) do
    if message:find(hint[1]) then
      return message .. hint[2]
    end
  end
  return message
end

-- What failed, as the socket saw it; `otherwise` where it saw nothing.
local function failure(socket, otherwise)
  local fault = socket.fault or otherwise
  return nil, { reason = fault.reason, reached = socket.reached,
    message = explained(fault.message) }
end

local function protocol(message)
  return { reason = "protocol", message = message }
end

local function connect(self, client, scheme, host, port)
  return client:connect {
    scheme = scheme, host = host, port = port, proxy_opts = self.proxy,
    ssl_verify = true, ssl_server_name = (host:gsub("[%[%]]", "")),
    pool = table.concat({ "keysecure", scheme, host, port, self.proxy_name }, " "),
    pool_size = self.keepalive_pool,
  }
end

-- lua-resty-http takes an interim answer for the final one.
local function read_head(client, params, answer)
  while answer and answer.status >= 100 and answer.status < 200 do
    answer = client:read_response(params)
  end
  return answer
end

local TOO_LARGE = { reason = "too_large", message = "the answer is larger than allowed" }
local NOT_FRAMED = protocol "the end of the answer's body can't be told"

-- Reading bodies. lua-resty-http's own readers are coroutines: a light thread that is ended while
-- one of them waits takes it along without telling nginx, and the request never ends. They also go
-- round for ever over a length below zero, and take a broken connection for the end.

local function read_announced(self, socket, length)
  if type(length) ~= "string" or not length:find "^%d+%s*$" then
    return nil, NOT_FRAMED
  elseif tonumber(length) > self.max_response then
    return nil, TOO_LARGE
  end
  return socket:receive(tonumber(length))
end

-- The size of the next chunk: false where there is none to be read.
local function next_chunk(socket)
  local line = socket:receive "*l"
  local digits = line and line:match "^(%x+)%s*$" or line and line:match "^(%x+)%s*;"
  return digits and #digits <= 8 and tonumber(digits, 16)
end

local function read_trailer(socket)
  local line
  repeat
    line = socket:receive "*l"
  until not line or line == ""
  return line
end

local function read_chunks(self, socket)
  local parts, total = {}, 0
  local size = next_chunk(socket)
  while size and size > 0 do
    total = total + size
    if total > self.max_response then
      return nil, TOO_LARGE
    end
    parts[#parts + 1] = socket:receive(size)
    size = socket:receive(2) == "\r\n" and next_chunk(socket)
  end
  if not size or not read_trailer(socket) then
    return nil, NOT_FRAMED
  end
  return table.concat(parts)
end

-- The body, or nil and what is wrong where the socket doesn't know.
local function read_body(self, socket, answer)
  local coding, length = answer.headers["Transfer-Encoding"], answer.headers["Content-Length"]
  socket:allow(2 * self.max_response + HEADERS_MAX) -- what frames it included
  if coding then
    if type(coding) ~= "string" or coding:lower() ~= "chunked" then
      return nil, NOT_FRAMED
    end
    return read_chunks(self, socket)
  elseif length then
    return read_announced(self, socket, length)
  end
  return socket:receive_rest(self.max_response)
end

local function trimmed(value)
  return type(value) == "string" and value:match "^(.-)%s*$" or nil
end

local function converse(self, client, socket, params)
  local answer = read_head(client, params, client:request(params))
  if not answer then
    return failure(socket, protocol "the answer is not HTTP")
  elseif answer.status % 1 ~= 0 or answer.status < 200 or answer.status > 599 then
    return failure(socket, protocol "the answer is not HTTP")
  end
  local body, otherwise = "", nil
  if answer.has_body then
    body, otherwise = read_body(self, socket, answer)
  end
  if not body then
    return failure(socket, otherwise)
  end
  local headers = answer.headers
  return { status = answer.status, body = body, headers = { date = trimmed(headers.Date),
    ["retry-after"] = trimmed(headers["Retry-After"]),
    ["content-type"] = trimmed(headers["Content-Type"]) } }
end

-- Runs in a light thread that is ended when its time is over.
local function exchange(self, client, socket, request, deadline)
  local connected, err = connect(self, client, split(request.url))
  if not connected then
    return failure(socket, { reason = "proxy", message = err })
  end
  socket:begin(deadline)
  local answer, fault = converse(self, client, socket, parameters(request))
  if not answer then
    client:close()
    return nil, fault
  end
  client:set_keepalive(self.keepalive_timeout * 1000, self.keepalive_pool)
  return answer
end

local function not_begun(reason, message)
  return nil, { reason = reason, reached = "nothing", message = message }
end

local ENDED = { timeout = "the time-out passed", cancelled = "the client was closed" }

function Transport:perform(request)
  if self.closed then
    return not_begun("closed", "the client is closed")
  elseif not is_clean(request) or not split(request.url) then
    return not_begun("invalid", "the request can't be sent")
  end
  local now = self.host.now
  local started = now()
  local client, err = self.http.new()
  if not client then
    return not_begun("memory", tostring(err))
  end
  local socket = cosocket.wrap(client.sock, { now = now, room = HEADERS_MAX,
    proxied = self.proxy ~= nil,
    deadline = started + 1000 * math.min(self.connect_timeout, request.timeout) })
  client.sock = socket
  local ended, answer, fault = self.host:limit(socket, exchange, self, client, socket, request,
    started + 1000 * request.timeout)
  if ended == "done" then
    return answer, fault
  end
  return nil, { reason = ended, reached = socket.reached, message = ENDED[ended] }
end

--- What is under way is ended by the host, as "cancelled"; connections that are kept go when their
--- time has come.
function Transport:close()
  self.closed = true
end

return transport
