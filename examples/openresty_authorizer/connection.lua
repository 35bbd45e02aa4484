--- Redis inside OpenResty: redis-lua (LuaRocks: redis-lua, Debian: lua-redis) over a cosocket, so
--- that nobody waits while one does. lua-resty-redis serves as well; this one is also in Debian.
-- luacheck: read globals ngx
local redis = require "redis"

local connection = {}

-- Milliseconds for each step; the whole answer has 600.
local TIME_LIMIT = tonumber(os.getenv "REDIS_TIME_LIMIT") or 100
local KEEP_FOR, KEEP_MANY = 60000, 100

redis.commands.eval, redis.commands.evalsha = redis.command "EVAL", redis.command "EVALSHA"

local host, port = (os.getenv "REDIS_ADDRESS" or "127.0.0.1:6379"):match "^(.*):(%d+)$"

--- A client that is connected, or nil and why not. Its methods are named like the commands; they
--- raise where Redis fails.
function connection.acquire()
  local socket = ngx.socket.tcp()
  socket:settimeouts(TIME_LIMIT, TIME_LIMIT, TIME_LIMIT)
  local ok, err = socket:connect(host, tonumber(port))
  if not ok then
    return nil, err
  end
  return redis.connect { socket = socket }
end

--- Takes it back; one that failed is not used again.
function connection.release(client, failed)
  local socket = client.network.socket
  if failed then
    socket:close()
  else
    socket:setkeepalive(KEEP_FOR, KEEP_MANY)
  end
end

return connection
