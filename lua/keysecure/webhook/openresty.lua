--- A webhook inside OpenResty: `hook:serve()` in `content_by_lua`.
-- luacheck: globals ngx
local host = require "keysecure.webhook.host.openresty"
local door = require "keysecure.webhook.door"

local openresty = {}

local HEADERS_MAX = 100 -- looked at; more than any caller of good will sends

local function send(status, body, headers)
  ngx.status = status
  for name, value in pairs(headers) do
    ngx.header[name] = value
  end
  ngx.header["Content-Length"] = #body
  ngx.print(body)
  -- The answer goes out now, though a handler that is late may keep the request going; and what
  -- keeps the request keeps the connection, which must not be used for the next one then.
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
  if ngx.req.get_method() ~= "POST" then
    return send(hook:refuse(host, door.refusal(405, "the method is not POST")))
  end
  local body = read_body(hook.options.max_body)
  if not body then
    return send(hook:refuse(host, door.refusal(413, "the body is too large")))
  end
  send(hook:process(host, ngx.req.get_headers(HEADERS_MAX), body, ngx.req.start_time()))
end

return openresty
