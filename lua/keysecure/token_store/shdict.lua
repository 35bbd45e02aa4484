--- A token store for the workers of one nginx: a `lua_shared_dict`.
--
--     http {
--       lua_shared_dict keysecure_tokens 1m;      -- of its own: what fills it up, evicts
--
--     token_store = require("keysecure.token_store.shdict").new "keysecure_tokens"
--
-- It outlives workers and reloads, and ends with nginx. Claims are elected by `add`, which one of
-- all workers gets.
local core = require "keysecure.core"
local errors = require "keysecure.errors"

---@class keysecure.ShdictTokenStore: keysecure.TokenStore
local Shdict = {}
Shdict.__index = Shdict

local shdict = {}

local NOBODY = "-" -- as owner: the claim was released, and a note left

-- A claim that is about to lapse is left to. There is no deleting under a condition; so between
-- looking whose it is and deleting it there must be no time for it to become another's.
local LAPSING = 0.1 -- seconds

--- Makes a store on the shared dict called `name`. May be called in init_by_lua.
---@param name string  as in nginx.conf; raises where there is none
---@return keysecure.ShdictTokenStore
function shdict.new(name)
  local shared = rawget(_G, "ngx") and ngx.shared
  local dict = shared and shared[name]
  if not dict then
    errors.misuse(string.format("no shared dict '%s': put `lua_shared_dict %s 1m;` into the http "
      .. "block of nginx.conf", tostring(name), tostring(name)))
  end
  return setmetatable({ dict = dict }, Shdict)
end

local function text_key(key)
  return "text " .. key
end

local function claim_key(key)
  return "claim " .. key
end

function Shdict:load(key)
  local text, err = self.dict:get(text_key(key))
  return text, text == nil and type(err) == "string" and err or nil
end

function Shdict:save(key, text, seconds)
  local ok, err = self.dict:set(text_key(key), text, seconds)
  if not ok then
    return nil, err
  end
  return true
end

-- Who holds the claim, and the note that was left.
local function holder(self, key)
  local held = self.dict:get(claim_key(key))
  if held then
    local owner, note = held:match "^(%S+) ?(.*)$"
    return owner, note ~= "" and note or nil
  end
end

function Shdict:claim(key, owner, seconds)
  for _ = 1, 2 do -- again where what was there has just lapsed
    local ok, err = self.dict:add(claim_key(key), owner, seconds)
    if ok then
      return true
    elseif err ~= "exists" then
      return nil, err
    end
    local held_by, note = holder(self, key)
    if held_by then
      return held_by == owner, held_by ~= owner and note or nil
    end
  end
  return false
end

function Shdict:release(key, owner, note, seconds)
  local name = claim_key(key)
  if holder(self, key) ~= owner or (self.dict:ttl(name) or 0) < LAPSING then
    return true
  end
  if note then
    local ok, err = self.dict:set(name, NOBODY .. " " .. note, seconds)
    if not ok then
      return nil, err
    end
  else
    self.dict:delete(name)
  end
  return true
end

--- All workers of a machine read this one alike, and the dict lives no longer than nginx does.
function Shdict.now()
  return core.monotonic(), "nginx"
end

function Shdict:__tostring()
  return "token store in a shared dict"
end

return shdict
