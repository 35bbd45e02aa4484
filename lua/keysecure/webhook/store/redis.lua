--- What was answered, for all workers and machines: in Redis.
--
-- Any client whose methods are named like the commands serves: lua-resty-redis in OpenResty,
-- redis-lua in scripts. `connect` gives one that is ready (connected, authenticated, with time-outs
-- well below the webhook's budget); `release` takes it back, and is told whether something went
-- wrong:
--
--    local store = require("keysecure.webhook.store.redis").new {
--      connect = function()
--        local redis = require("resty.redis"):new()
--        redis:set_timeouts(100, 100, 100)
--        local ok, err = redis:connect("127.0.0.1", 6379)
--        return ok and redis, err
--      end,
--      release = function(redis, failed)
--        if failed then redis:close() else redis:set_keepalive(10000, 50) end
--      end,
--    }
local errors = require "keysecure.errors"
local protect = require("keysecure.protect").call

local redis = {}

---@class keysecure.webhook.store.Redis
local Redis = {}
Redis.__index = Redis

local DEFAULT_PREFIX = "keysecure:webhook:"

---@class keysecure.webhook.store.RedisOptions
---@field connect fun(): table|nil, string|nil  a client, or nil and why
---@field release? fun(client: table, failed: boolean)
---@field prefix? string  of all keys ("keysecure:webhook:"); one for each merchant

--- A store in Redis.
---@param options keysecure.webhook.store.RedisOptions
---@return keysecure.webhook.store.Redis
function redis.new(options)
  if type(options) ~= "table" or type(options.connect) ~= "function" then
    errors.misuse "webhook store: a function 'connect' expected, which gives a Redis client"
  elseif options.release ~= nil and type(options.release) ~= "function" then
    errors.misuse "webhook store: release: a function expected"
  elseif options.prefix ~= nil and type(options.prefix) ~= "string" then
    errors.misuse "webhook store: prefix: text expected"
  end
  return setmetatable({ connect = options.connect, release = options.release or function() end,
    prefix = options.prefix or DEFAULT_PREFIX }, Redis)
end

-- "Nothing there" is nil, false or ngx.null, a light userdata, according to the client.
local function is_nothing(value)
  return value == nil or type(value) == "userdata"
end

-- One client raises, another returns nil or false and why: both end as nil, err. Nothing there ends
-- as false, for the second result of a lost connection is a text and that of nothing there is none.
local function command(self, name, ...)
  local connected, client, err = protect(self.connect)
  if not connected or not client then
    return nil, "no Redis: " .. tostring(connected and err or client)
  end
  local ok, value, why = protect(client[name], client, ...)
  local failed = not ok or (not value and type(why) == "string")
  protect(self.release, client, failed)
  if failed then
    return nil, "Redis: " .. tostring(ok and why or value)
  end
  return not is_nothing(value) and value or false
end

local function milliseconds(seconds)
  return string.format("%d", math.floor(seconds * 1000))
end

function Redis:add(key, value, seconds)
  key = self.prefix .. key
  for _ = 1, 3 do
    local set, err = command(self, "set", key, value, "NX", "PX", milliseconds(seconds))
    if set == nil then
      return nil, err
    elseif set then
      return true
    end
    local known
    known, err = command(self, "get", key)
    if known == nil then
      return nil, err
    elseif known then
      return false, known
    end
    -- It ended between the two questions.
  end
  return nil, "Redis contradicts itself"
end

function Redis:get(key)
  return command(self, "get", self.prefix .. key)
end

function Redis:set(key, value, seconds)
  local set, err = command(self, "set", self.prefix .. key, value, "PX", milliseconds(seconds))
  if not set then
    return nil, err
  end
  return true
end

function Redis:delete(key)
  local deleted, err = command(self, "del", self.prefix .. key)
  if deleted == nil then
    return nil, err
  end
  return true
end

return redis
