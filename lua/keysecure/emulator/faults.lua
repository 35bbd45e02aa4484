--- Faults on demand: answers that an operation gives instead of acting, or after it.
--
-- A fault: `operation` (a name, or "*"), `code` and/or `status` to answer, or `delay` alone to
-- answer late; `after`: act first, so that the answer is a lie; `times`: how often (1), or
-- "always".
local api = require "keysecure.api"

local faults = {}

---@class keysecure.emulator.Faults
local Faults = {}
Faults.__index = Faults

---@return keysecure.emulator.Faults
function faults.new()
  return setmetatable({ list = {} }, Faults)
end

local function is_whole(value, least, most)
  return type(value) == "number" and value % 1 == 0 and value >= least and value <= most
end

-- What a fault may hold, and whether a value will do.
local FIELDS = {
  operation = function(value) return value == "*" or api.operations[value] ~= nil end,
  code = function(value) return is_whole(value, 0, 9999) end,
  status = function(value) return is_whole(value, 200, 599) end,
  delay = function(value) return type(value) == "number" and value >= 0 and value <= 3600 end,
  after = function(value) return type(value) == "boolean" end,
  times = function(value) return value == "always" or is_whole(value, 1, 1e9) end,
}

--- Why `given` is no fault; nil where it is one.
---@param given table
---@return string|nil
function faults.fault(given)
  for name, value in pairs(given) do
    if not FIELDS[name] then
      return "no such field: " .. tostring(name)
    elseif not FIELDS[name](value) then
      return name .. " is not usable"
    end
  end
  if not given.operation then
    return "operation is missing"
  elseif not (given.code or given.status or given.delay) then
    return "code, status or delay is missing"
  end
end

---@param fault table
function Faults:add(fault)
  fault.times = fault.times or 1
  self.list[#self.list + 1] = fault
end

function Faults:clear()
  self.list = {}
end

--- The first fault waiting for an operation; it is used up by one.
---@param operation string
---@return table|nil
function Faults:take(operation)
  for i, fault in ipairs(self.list) do
    if fault.operation == operation or fault.operation == "*" then
      if fault.times ~= "always" then
        fault.times = fault.times - 1
        if fault.times == 0 then
          table.remove(self.list, i)
        end
      end
      return fault
    end
  end
end

return faults
