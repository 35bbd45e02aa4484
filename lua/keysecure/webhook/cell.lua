--- One question that may be asked several times while it is being answered: the first answer that
--- is put into the cell is everybody's.
local core = require "keysecure.core"

---@class keysecure.webhook.Cell
---@field hook keysecure.Webhook
---@field host table                   of whoever asked first
---@field event keysecure.webhook.Event
---@field id string                under which this process knows it
---@field key string|false         and the store, where it is a purchase
---@field facts string|false       what was asked about that
---@field answer table|false       what was put in
---@field reason string|false      and why it is that
---@field duplicate boolean        somebody else has answered it
---@field claimed string|false     whose it is, once that is known: see keysecure.webhook.guard
---@field package signal table|false
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

--- Tells the operator that something went wrong over this.
---@param message string
function Cell:report(message)
  self.hook:report(self.host, message, self.event)
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

--- A cell for what `event` asks. All its members are there from the start: it need not grow.
---@param hook keysecure.Webhook
---@param host table
---@param event keysecure.webhook.Event
---@param id string
---@param key? string
---@param facts? string
---@return keysecure.webhook.Cell
return function(hook, host, event, id, key, facts)
  return setmetatable({ hook = hook, host = host, event = event, id = id, key = key or false,
    facts = facts or false, answer = false, reason = false, duplicate = false, claimed = false,
    signal = false }, Cell)
end
