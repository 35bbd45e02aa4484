--- Tells whoever watches that something has changed: a version, and waiting for the next one.
local needs = require "keysecure.emulator.needs"
local condition = needs "cqueues.condition"
local monotime = needs "cqueues".monotime
local merchants = require "keysecure.emulator.merchants"

local changes = {}

local MAX_WAITING = 16 -- whoever comes on top of them is answered at once

---@class keysecure.emulator.Changes
local Changes = {}
Changes.__index = Changes

---@return keysecure.emulator.Changes
function changes.new()
  -- The name keeps versions of one run apart from those of the next.
  return setmetatable({ run = merchants.random_token():sub(1, 8), count = 0, waiting = 0,
    changed = condition.new() }, Changes)
end

--- Something has changed, or may have.
function Changes:note()
  self.count = self.count + 1
  self.changed:signal()
end

---@return string
function Changes:version()
  return string.format("%s-%d", self.run, self.count)
end

--- Waits until the version is another than `since`; bounded in time and in the number that wait.
---@param since string
---@param seconds number
function Changes:wait(since, seconds)
  if self.waiting >= MAX_WAITING then
    return
  end
  self.waiting = self.waiting + 1
  local deadline = monotime() + seconds
  while self:version() == since and monotime() < deadline do
    self.changed:wait(deadline - monotime())
  end
  self.waiting = self.waiting - 1
end

return changes
