--- What was answered, for all workers of one nginx: in a `lua_shared_dict`, which never waits.
--
--    lua_shared_dict answers 10m;      # holds about 20,000 authorizations
-- luacheck: read globals ngx
local errors = require "keysecure.errors"

local shdict = {}

---@class keysecure.webhook.store.Shdict
local Shdict = {}
Shdict.__index = Shdict
Shdict.immediate = true -- it never waits

--- A store in a shared dict.
---@param dict string|table  its name, or ngx.shared's object
---@return keysecure.webhook.store.Shdict
function shdict.new(dict)
  local found = dict
  if type(dict) == "string" then
    found = ngx and ngx.shared[dict]
    if not found then
      errors.misuse("webhook store: no lua_shared_dict '" .. dict .. "' here")
    end
  end
  if type(found) ~= "table" or type(found.add) ~= "function" then
    errors.misuse "webhook store: the name of a lua_shared_dict expected"
  end
  return setmetatable({ dict = found }, Shdict)
end

-- A dict that is full gives up what was used longest ago, which may be an answer still wanted: that
-- is worth a line in the log, not a failure.
local function warn_if_forced(forced)
  if forced then
    ngx.log(ngx.WARN, "keysecure webhook: the shared dict is full; make it larger")
  end
end

function Shdict:add(key, value, seconds)
  for _ = 1, 3 do
    local ok, err, forced = self.dict:add(key, value, seconds)
    if ok then
      warn_if_forced(forced)
      return true
    elseif err ~= "exists" then
      return nil, err
    end
    local known = self.dict:get(key)
    if known then
      return false, known
    end
    -- It ended between the two questions.
  end
  return nil, "the shared dict contradicts itself"
end

function Shdict:get(key)
  local value, err = self.dict:get(key)
  if value == nil and type(err) == "string" then
    return nil, err
  end
  return value or false
end

function Shdict:set(key, value, seconds)
  local ok, err, forced = self.dict:set(key, value, seconds)
  if not ok then
    return nil, err
  end
  warn_if_forced(forced)
  return true
end

function Shdict:delete(key)
  self.dict:delete(key)
  return true
end

return shdict
