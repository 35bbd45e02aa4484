--- One question that may be asked several times while it is being answered: the first answer that
--- is put into the cell is everybody's.
local core = require "keysecure.core"

---@class keysecure.webhook.Cell
---@field answer table|nil   what was put in
---@field reason string|nil  and why it is that
local Cell = {}
Cell.__index = Cell

--- Puts an answer in; false where there was one already.
---@param answer table
---@param reason string
---@return boolean
function Cell:settle(answer, reason)
  if self.answer then
    return false
  end
  self.answer, self.reason = answer, reason
  if self.signal then
    self.signal:raise()
  end
  return true
end

--- Waits until there is an answer, or the moment has come.
---@param host table
---@param deadline number  milliseconds of the monotonic clock
function Cell:wait(host, deadline)
  while not self.answer and host.waits do
    local left = deadline - core.monotonic()
    if left <= 0 then
      return
    end
    self.signal = self.signal or host.signal()
    self.signal:wait(left / 1000)
  end
end

---@return keysecure.webhook.Cell
return function()
  return setmetatable({}, Cell)
end
