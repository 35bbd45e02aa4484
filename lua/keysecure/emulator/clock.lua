--- The emulator's clock, in Unix milliseconds.
--
-- `now` is what the platform shows: the `Date` header, the check of `Timestamp`, the times of rows.
-- It may be wrong on purpose (`offset`), to try a client whose machine disagrees with the server.
-- `life` is for what falls due (KYC, issuing, tokens, repeats, fees): it doesn't know the offset,
-- so that setting a clock wrong makes nothing happen early. `reach` moves both forward: a time
-- machine.
local core = require "keysecure.core"

local clock = {}

---@class keysecure.emulator.Clock
---@field offset integer    milliseconds that `now` is wrong
---@field advanced integer  milliseconds that time was moved forward
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

--- How old a caller's `Timestamp` is. Who travelled in time left the callers behind: one that keeps
--- the machine's time, or has not yet seen the new `Date`, is not late for that.
---@param timestamp integer
---@param oldest integer  what is not too old yet
---@return integer age  milliseconds; negative where it is in the future
function Clock:age(timestamp, oldest)
  local age = self:now() - timestamp
  local at_home = age - self.advanced
  if age > oldest and at_home >= 0 then
    return at_home
  end
  return age
end

--- Moves the time forward to a moment of its `life`; time doesn't run backwards.
---@param moment integer
function Clock:reach(moment)
  self.advanced = self.advanced + math.max(0, moment - self:life())
end

return clock
