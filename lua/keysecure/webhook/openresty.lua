--- A webhook inside OpenResty: `hook:serve()` in `content_by_lua`.
-- luacheck: globals ngx
local door = require "keysecure.webhook.door"
local new_host = require("keysecure.webhook.host.openresty").new

local openresty = {}

local HEADERS_MAX = 100 -- looked at; more than any caller of good will sends

-- nginx gives names in lower case, and a list where a header came more than once.
local function headers_of_request()
  local given = ngx.req.get_headers(HEADERS_MAX)
  local headers = { timestamp = given.timestamp, signature = given.signature,
    ["sign-version"] = given["sign-version"], ["content-type"] = given["content-type"] }
  for name, value in pairs(headers) do
    if type(value) == "table" then
      headers.twice = name
      break
    end
  end
  return headers
end

-- A handler that is late keeps the request, and that keeps the connection: the answer goes out now,
-- and the platform must not send the next question after it. nginx says `keep-alive` all the same,
-- on a line of its own; of two options that contradict each other `close` counts (RFC 9112, 9.3).
-- From HTTP/2 on questions don't wait for each other, and the header is not allowed.
local function send(host, status, body, headers)
  ngx.status = status
  for name, value in pairs(headers) do
    ngx.header[name] = value
  end
  ngx.header["Content-Length"] = #body
  if host.running > 0 and (ngx.req.http_version() or 1) < 2 then
    ngx.header["Connection"] = "close"
  end
  ngx.print(body)
  ngx.eof()
end

-- A body that nginx found too large for its buffer lies in a file.
local function body_of_file(limit)
  local path = ngx.req.get_body_file()
  local file = path and io.open(path, "rb")
  if not file then
    return ""
  end
  local body = file:read(limit + 1) or ""
  file:close()
  return body
end

local function read_body(limit)
  local announced = tonumber(ngx.var.content_length)
  if announced and announced > limit then
    return nil
  end
  ngx.req.read_body()
  local body = ngx.req.get_body_data() or body_of_file(limit)
  return #body <= limit and body or nil
end

--- Answers the request that is being handled.
---@param hook keysecure.Webhook
function openresty.serve(hook)
  local host = new_host()
  if ngx.req.get_method() ~= "POST" then
    return send(host, hook:refuse(host, door.refusal(405, "the method is not POST")))
  end
  local body = read_body(hook.options.max_body)
  if not body then
    return send(host, hook:refuse(host, door.refusal(413, "the body is too large")))
  end
  send(host, hook:process(host, headers_of_request(), body, ngx.req.start_time()))
end

return openresty
