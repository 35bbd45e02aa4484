--- The HTTP server: lua-http on one side, `dispatch` on the other.
local needs = require "keysecure.emulator.needs"
local http_server = needs "http.server"
local new_headers = needs "http.headers".new
local imf_date = needs "http.util".imf_date
local monotime = needs "cqueues".monotime
local dispatch = require "keysecure.emulator.dispatch"

local server = {}

local MAX_BODY = 1048576 -- bytes
local READ_TIMEOUT = 30 -- seconds for a request's body
local WRITE_TIMEOUT = 30
local IDLE_TIMEOUT = 600 -- a connection may be kept that long between requests

local function read_body(stream)
  local body, err = stream:get_body_chars(MAX_BODY + 1, READ_TIMEOUT)
  if not body then
    return err == nil and "" or nil
  end
  return body
end

local function peer_of(stream)
  local _, address = stream:peername()
  return address
end

local function request_of(stream, headers)
  local body = ""
  if headers:get(":method") ~= "GET" then
    body = read_body(stream)
  end
  return body and {
    method = headers:get(":method"), target = headers:get(":path") or "", peer = peer_of(stream),
    header = function(name) return (headers:get(name)) end,
    body = body, too_large = #body > MAX_BODY,
  }
end

local function headers_of(platform, response)
  local headers = new_headers()
  headers:append(":status", string.format("%d", response.status))
  headers:append("content-type", response.content_type or "application/json;charset=UTF-8")
  headers:append("content-length", tostring(#response.body))
  headers:append("date", imf_date(math.floor(platform.clock:now() / 1000)))
  for name, value in pairs(response.headers or {}) do
    headers:append(name, value)
  end
  if response.allow then
    headers:append("allow", response.allow)
  end
  if response.too_large then
    headers:append("connection", "close")
  end
  return headers
end

-- A reset comes of closing with SO_LINGER at zero, which cqueues can't set but luasocket can, on a
-- descriptor that it only borrows.
local function make_resetting(socket)
  local borrower = needs "socket".tcp()
  borrower:setfd(socket:pollfd())
  borrower:setoption("linger", { on = true, timeout = 0 })
  borrower:setfd(-1)
end

-- Taken from lua-http first, which would say goodbye.
local function hang_up(connection, abruptly)
  local socket = connection.take_socket and connection:take_socket() or connection.socket
  if abruptly then
    make_resetting(socket)
  end
  socket:close()
end

-- What a fault on demand does to an answer on its way.
local function send_broken(platform, stream, response)
  if response.broken == "half" then
    stream:write_headers(headers_of(platform, response), false, WRITE_TIMEOUT)
    stream:write_chunk(response.body:sub(1, math.floor(#response.body / 2)), false, WRITE_TIMEOUT)
  end
  hang_up(stream.connection, response.broken == "reset")
end

local function send(platform, stream, request, response)
  if response.broken then
    return send_broken(platform, stream, response)
  end
  local bare = request.method == "HEAD"
  local ok = stream:write_headers(headers_of(platform, response), bare, WRITE_TIMEOUT)
  if ok and not bare then
    stream:write_body_from_string(response.body, WRITE_TIMEOUT)
  end
end

local function answer(platform, stream)
  local headers = stream:get_headers(READ_TIMEOUT)
  local request = headers and request_of(stream, headers)
  if not request then
    return -- the caller went away
  end
  local started = monotime()
  local response = dispatch.answer(platform, request)
  response.too_large = request.too_large
  send(platform, stream, request, response)
  if not response.quiet then
    platform.log:request(request.method, response.name, response, (monotime() - started) * 1000)
  end
end

--- Starts to listen.
---@param platform keysecure.emulator.Platform
---@param settings { cq: userdata, host: string, port: integer, context: userdata|nil }
---@return { server: table, port: integer }|nil
---@return string|nil err
function server.listen(platform, settings)
  local listener, err = http_server.listen {
    cq = settings.cq, host = settings.host, reuseaddr = true,
    port = math.floor(settings.port), -- from JSON it may come as a float, which is no port's name
    tls = settings.context ~= nil, ctx = settings.context, intra_stream_timeout = IDLE_TIMEOUT,
    onstream = function(_, stream) answer(platform, stream) end,
    onerror = function(_, _, operation, reason)
      platform.log:write("connection: %s: %s", operation, tostring(reason))
    end,
  }
  if not listener then
    return nil, err
  end
  local ok
  ok, err = listener:listen(5)
  if not ok then
    return nil, err
  end
  local _, _, port = listener:localname()
  return { server = listener, port = port }
end

return server
