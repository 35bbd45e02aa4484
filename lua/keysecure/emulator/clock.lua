--- The emulator's clock, in Unix milliseconds.
--
-- `now` is what the platform shows: the `Date` header, the check of `Timestamp`, the times of rows.
-- It may be wrong on purpose (`offset`), to try a client whose machine disagrees with the server.
-- `life` is for what falls due (KYC, issuing, tokens, repeats): it doesn't know the offset, so that
-- setting a clock wrong makes nothing happen early. `advance` moves both: a time machine.
local core = require "keysecure.core"

local clock = {}

---@class keysecure.emulator.Clock
---@field offset integer  milliseconds that `now` is wrong
local Clock = {}
Clock.__index = Clock

--- A clock over `source`, a function that answers milliseconds; by default the machine's.
---@param source? fun(): integer
---@return keysecure.emulator.Clock
function clock.new(source)
  return setmetatable({ source = source or core.wall, offset = 0, advanced = 0 }, Clock)
end

---@return integer milliseconds
function Clock:now()
  return self.source() + self.advanced + self.offset
end

---@return integer milliseconds
function Clock:life()
  return self.source() + self.advanced
end

--- Moves the time forward; whoever waits by this clock must be woken.
---@param milliseconds integer
function Clock:advance(milliseconds)
  self.advanced = self.advanced + milliseconds
end

return clock
