--- A callback that is proven to come from the platform.
--
-- `id` and `action` are not covered by the signature, the rest is [api.md 6].
local core = require "keysecure.core"

---@class keysecure.webhook.Event
---@field id string            of this message; the same when it is repeated
---@field action string        "Auth", "Consumption", "Card_update", or one that is not known yet
---@field data table           numbers as the text that was signed ("12.50"), `time` as an integer;
---  null members are absent, a null in a list is cjson.null
---@field raw_data string      the JSON text of `data`, as it came
---@field timestamp integer    Unix milliseconds, of the header
---@field received_at number   Unix seconds, when its first byte came
---@field package signature string
---@field package started number   milliseconds of the monotonic clock, when its first byte came
---@field package deadline number  milliseconds of the monotonic clock
local Event = {}
Event.__index = Event

--- Seconds until the fallback is answered instead; less than zero once it has been. For the
--- time-outs of what a handler calls.
---@return number
function Event:time_left()
  return (self.deadline - core.monotonic()) / 1000
end

function Event:__tostring()
  local subject = self.data.consume_no or self.data.card_no
  return self.action .. " " .. (type(subject) == "string" and subject or self.id)
end

---@param fields table
---@return keysecure.webhook.Event
return function(fields)
  return setmetatable(fields, Event)
end
