--- A real Redis for the specs, on a free port, empty, without a file. It can't outlive them.
local core = require "keysecure.core"
local nginx = require "spec.support.nginx"

local redis = {}

local START_LIMIT = 20000 -- milliseconds

---@class spec.Redis
---@field port string
---@field address string  host and port
local Server = {}
Server.__index = Server

local HOLDER = "exec >/dev/null 2>&1; redis-server --port %s --bind 127.0.0.1 --save '' "
  .. "--appendonly no --daemonize no & pid=$!; read -r _; kill -TERM $pid; wait $pid"

--- A client of redis-lua.
function Server:client()
  return require "redis".connect("127.0.0.1", tonumber(self.port))
end

function Server:stop()
  if self.lifeline then
    self.lifeline:close()
    self.lifeline = nil
  end
end

---@return spec.Redis
function redis.start()
  local port = nginx.free_port()
  local self = setmetatable({ port = port, address = "127.0.0.1:" .. port,
    lifeline = assert(io.popen(HOLDER:format(port), "w")) }, Server)
  local limit = core.monotonic() + START_LIMIT
  repeat
    local ok, client = pcall(self.client, self)
    if ok and client:ping() then
      client:quit()
      return self
    end
    core.sleep(20)
  until core.monotonic() > limit
  self:stop()
  error "redis-server does not come up"
end

return redis
