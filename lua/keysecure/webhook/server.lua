--- Serves a webhook from a script, on lua-http; in a loop of cqueues of yours, or one of its own.
--
--    local server = assert(require("keysecure.webhook.server").listen { hook = hook, port = 8788 })
--    print(server.url)
--    server:run()                  -- until server:close(); not where `cq` was given
--
-- TLS is the business of a proxy in front of it, or of `ctx`.
local core = require "keysecure.core"
local errors = require "keysecure.errors"
local suggest = require "keysecure.suggest"

local ROCKS = { http = "http", cqueues = "cqueues" }

-- What only this part needs is asked for by name when it is missing.
local function needs(module)
  local ok, result = pcall(require, module)
  if ok then
    return result
  end
  local rock = ROCKS[module:match "^%w+"]
  error("keysecure.webhook.server needs " .. module .. ": luarocks install " .. rock .. " ("
    .. tostring(result):match "^[^\n]*" .. ")", 0)
end

local http_server = needs "http.server"
local new_headers = needs("http.headers").new
local cqueues = needs "cqueues"
local door = require "keysecure.webhook.door"
local host = require "keysecure.webhook.host.cqueues"

local server = {}

---@class keysecure.webhook.ServerOptions
---@field hook keysecure.Webhook
---@field host? string      the address to listen on ("127.0.0.1")
---@field port? integer     0 takes a free one (8788)
---@field cq? userdata      the loop to join; without it, `run` runs one
---@field ctx? userdata     openssl.ssl.context: TLS
---@field read_timeout? number     seconds that a request may take to come (5)
---@field max_connections? integer open at once (1000)
---@field on_error? fun(message: string)  of connections; they are the callers' mostly (ignored)
local DEFAULTS = { host = "127.0.0.1", port = 8788, read_timeout = 5, max_connections = 1000 }
local TYPES = { hook = "table", host = "string", port = "number", cq = "userdata",
  ctx = "userdata", read_timeout = "number", max_connections = "number", on_error = "function" }

local WRITE_TIMEOUT = 5 -- seconds
local IDLE_TIMEOUT = 600 -- seconds that a connection may be kept between requests

local NAMES = {}
for name in pairs(TYPES) do
  NAMES[#NAMES + 1] = name
end
table.sort(NAMES)

local function check(given)
  if type(given) ~= "table" then
    errors.misuse "webhook server: a table of options expected"
  end
  local options = {}
  for name, value in pairs(given) do
    if not TYPES[name] then
      errors.misuse("webhook server: no option '" .. tostring(name) .. "'" .. suggest(name, NAMES))
    elseif type(value) ~= TYPES[name] then
      errors.misuse("webhook server: option " .. name .. ": " .. TYPES[name] .. " expected, got "
        .. type(value))
    end
    options[name] = value
  end
  if not options.hook then
    errors.misuse "webhook server: option hook is required"
  end
  for name, value in pairs(DEFAULTS) do
    options[name] = options[name] or value
  end
  return options
end

-- Requests -------------------------------------------------------------------------------------

-- Who is refused is let go: connections are kept for the platform, and there are only so many.
local function send(stream, status, body, more)
  local headers = new_headers()
  headers:append(":status", string.format("%d", status))
  headers:append("content-length", string.format("%d", #body))
  for name, value in pairs(more) do
    headers:append(name:lower(), value)
  end
  if status >= 400 and stream.connection.version < 2 then
    headers:append("connection", "close")
  end
  if stream:write_headers(headers, false, WRITE_TIMEOUT) then
    stream:write_body_from_string(body, WRITE_TIMEOUT)
  end
end

-- The body, or nil where it does not come: a little more of it than may be, so that too much is
-- told from just enough.
local function read_body(options, stream, headers, deadline)
  if headers:get ":method" ~= "POST" then
    return ""
  end
  local left = math.max(0, deadline - cqueues.monotime())
  local body, err = stream:get_body_chars(options.hook.options.max_body + 1, left)
  return body or (err == nil and "" or nil)
end

local function answer(options, stream)
  local received_at = core.wall() / 1000
  local deadline = cqueues.monotime() + options.read_timeout
  local hook = options.hook
  local headers = stream:get_headers(options.read_timeout)
  if not headers and stream.state ~= "open" then
    return -- nobody is there any more, or it is no HTTP
  end
  local body = headers and read_body(options, stream, headers, deadline)
  local status, text, more
  if body then
    status, text, more = hook:process(host, door.collect(headers), body, received_at)
  else
    status, text, more = hook:refuse(host, door.refusal(408, "the request did not come in time"))
  end
  send(stream, status, text, more)
end

-- Serving --------------------------------------------------------------------------------------

---@class keysecure.webhook.Server
---@field url string    where it listens
---@field port integer
local Server = {}
Server.__index = Server

--- Runs its own loop until `close`.
---@return true|nil
---@return string|nil err
function Server:run()
  if not self.loop then
    errors.misuse "webhook server: it lives in your loop; run that"
  end
  while not self.closed do
    local ok, err = self.loop:step()
    if not ok then
      return nil, tostring(err)
    end
  end
  return true
end

--- Stops to listen. Handlers at work go on as long as their loop does.
function Server:close()
  self.closed = true
  self.listener:close()
end

local function url_of(options, port)
  local address = options.host:find(":", 1, true) and "[" .. options.host .. "]" or options.host
  return string.format("%s://%s:%d/", options.ctx and "https" or "http", address, port)
end

--- Starts to listen.
---@param given keysecure.webhook.ServerOptions
---@return keysecure.webhook.Server|nil
---@return string|nil err  such as that the port is taken
function server.listen(given)
  local options = check(given)
  local loop = not options.cq and cqueues.new() or nil
  local listener, err = http_server.listen {
    host = options.host, port = options.port, reuseaddr = true, cq = options.cq or loop,
    tls = options.ctx ~= nil, ctx = options.ctx, max_concurrent = options.max_connections,
    intra_stream_timeout = IDLE_TIMEOUT, connection_setup_timeout = options.read_timeout,
    onstream = function(_, stream) answer(options, stream) end,
    onerror = function(_, _, operation, reason)
      if options.on_error then
        options.on_error(tostring(operation) .. ": " .. tostring(reason))
      end
    end,
  }
  local ok = listener
  if listener then
    ok, err = listener:listen(5)
  end
  if not ok then
    return nil, string.format("cannot listen on %s port %d: %s", options.host, options.port,
      tostring(err))
  end
  local _, _, port = listener:localname()
  return setmetatable({ listener = listener, loop = loop, port = port,
    url = url_of(options, port) }, Server)
end

return server
