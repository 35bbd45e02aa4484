--- A token store for the clients of one process: give the same one to each.
local core = require "keysecure.core"

---@class keysecure.MemoryTokenStore: keysecure.TokenStore
local Memory = {}
Memory.__index = Memory

local memory = {}

--- Makes a store. There is no hidden one that all clients of a process share: a client with a
-- transport of its own, in a test for instance, must not meddle with the tokens of the others.
---@return keysecure.MemoryTokenStore
function memory.new()
  return setmetatable({ texts = {}, claims = {} }, Memory)
end

-- The entry under `key` while its time lasts.
local function living(entries, key)
  local entry = entries[key]
  if entry and entry.until_ <= core.monotonic() then
    entries[key] = nil
    return nil
  end
  return entry
end

local function after(seconds)
  return core.monotonic() + seconds * 1000
end

function Memory:load(key)
  local entry = living(self.texts, key)
  return entry and entry.text
end

function Memory:save(key, text, seconds)
  self.texts[key] = { text = text, until_ = after(seconds) }
  return true
end

function Memory:claim(key, owner, seconds)
  local held = living(self.claims, key)
  if held and held.owner ~= owner then
    return false, held.note
  end
  self.claims[key] = { owner = owner, until_ = after(seconds) }
  return true
end

function Memory:release(key, owner, note, seconds)
  local held = living(self.claims, key)
  if held and held.owner == owner then
    self.claims[key] = note and { note = note, until_ = after(seconds) } or nil
  end
  return true
end

function Memory.now()
  return core.monotonic(), "process"
end

function Memory:__tostring()
  return "token store in memory"
end

return memory
