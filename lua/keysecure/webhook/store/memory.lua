--- What was answered, in this process: bounded, and each entry for a time.
--
-- A store is any table with these four methods; they may wait, but not for long, since they are
-- part of an authorization's budget. Keys and values are short texts without secrets in them.
-- Whatever fails returns `nil, err`.
--
--   store:add(key, value, seconds)   true where nothing was there; false and the value that was
--   store:get(key)                   the value; false where there is none
--   store:set(key, value, seconds)   true
--   store:delete(key)                true
--   store.immediate                  true where none of them waits
local core = require "keysecure.core"
local errors = require "keysecure.errors"

local memory = {}

---@class keysecure.webhook.store.Memory
local Memory = {}
Memory.__index = Memory
Memory.immediate = true -- it never waits

local DEFAULT_SIZE = 100000 -- entries, of about 340 bytes each
local QUIET = 60000 -- milliseconds between two complaints

local function complain(message)
  io.stderr:write("keysecure webhook: ", message, "\n")
end

---@class keysecure.webhook.store.MemoryOptions
---@field size? integer  entries, of which the oldest goes when there are more (100,000)
---@field on_full? fun(message: string)  told, once a minute at most, that an answer went which was
---  still to be remembered (standard error)
---@field now? fun(): number  milliseconds, for tests

--- A store for one process.
---@param options? keysecure.webhook.store.MemoryOptions
---@return keysecure.webhook.store.Memory
function memory.new(options)
  options = options or {}
  local size = options.size or DEFAULT_SIZE
  if type(size) ~= "number" or size < 1 or size % 1 ~= 0 then
    errors.misuse("webhook store: size must be a whole number, 1 or more")
  end
  -- All entries also stand in a ring, in the order they were made.
  return setmetatable({ size = size, now = options.now or core.monotonic, entries = {}, ring = {},
    position = 0, on_full = options.on_full or complain, quiet_until = 0 }, Memory)
end

local function alive(self, key)
  local entry = self.entries[key]
  if entry and entry.until_ms > self.now() then
    return entry
  end
end

-- Who forgets an answer could have the purchase decided again.
local function warn(self, now)
  if now >= self.quiet_until then
    self.quiet_until = now + QUIET
    self.on_full("the store is full and forgets; make it larger than " .. self.size .. " entries")
  end
end

-- The place in the ring that comes next belongs to the oldest entry, unless that one has been
-- written again or deleted since.
local function make_room(self, entry, now)
  self.position = self.position % self.size + 1
  local oldest = self.ring[self.position]
  self.ring[self.position] = entry
  if oldest and self.entries[oldest.key] == oldest then
    self.entries[oldest.key] = nil
    if oldest.until_ms > now then
      warn(self, now)
    end
  end
end

local function put(self, key, value, seconds)
  local now = self.now()
  local entry = { key = key, value = value, until_ms = now + seconds * 1000 }
  make_room(self, entry, now)
  self.entries[key] = entry
end

function Memory:add(key, value, seconds)
  local entry = alive(self, key)
  if entry then
    return false, entry.value
  end
  put(self, key, value, seconds)
  return true
end

function Memory:get(key)
  local entry = alive(self, key)
  return entry and entry.value or false
end

function Memory:set(key, value, seconds)
  local entry = alive(self, key)
  if entry then
    entry.value, entry.until_ms = value, self.now() + seconds * 1000
  else
    put(self, key, value, seconds)
  end
  return true
end

function Memory:delete(key)
  self.entries[key] = nil
  return true
end

return memory
