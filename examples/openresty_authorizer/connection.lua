--- Redis inside OpenResty: lua-resty-redis, which OpenResty comes with; Debian calls the same thing
--- nginx.redis (lua-nginx-redis).
local found, redis = pcall(require, "resty.redis")
redis = found and redis or require "nginx.redis"

local connection = {}

-- Milliseconds for each step; the whole answer has 600.
local TIME_LIMIT = tonumber(os.getenv "REDIS_TIME_LIMIT") or 100
local KEEP_FOR, KEEP_MANY = 60000, 100

local host, port = (os.getenv "REDIS_ADDRESS" or "127.0.0.1:6379"):match "^(.*):(%d+)$"

--- A client that is connected, or nil and why not. Its methods are named like the commands; they
--- answer nil and why where the connection fails, false and why where Redis refuses.
function connection.acquire()
  local client = redis:new()
  client:set_timeout(TIME_LIMIT)
  local ok, err = client:connect(host, tonumber(port))
  return ok and client, err
end

--- Takes it back; one that failed is not used again.
function connection.release(client, failed)
  if failed then
    client:close()
  else
    client:set_keepalive(KEEP_FOR, KEEP_MANY)
  end
end

return connection
