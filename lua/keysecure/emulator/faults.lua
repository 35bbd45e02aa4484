--- Faults on demand: what an operation answers instead of acting, or after it, and what happens to
--- callbacks on their way.
--
-- Of operations: `operation` (a name, or "*"), and what to do: `code` and/or `status` to answer;
-- `answer` to break the answer itself; `delay` (seconds) to be late, alone or with the others;
-- `after`: act first, so that the answer is a lie or is lost.
-- Of callbacks: `callback` (an action, or "*"), and `delay`, `duplicate`, `reorder` (the next one
-- overtakes it), `bad_signature` (the first time; repeats are signed well).
-- Of both: `times`: how often (1), or "always".
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

local function is_boolean(value)
  return type(value) == "boolean"
end

local function set_of(...)
  local set = {}
  for _, value in ipairs { ... } do
    set[value] = true
  end
  return function(value) return set[value] == true end
end

local function is_operation(value)
  return value == "*" or api.operations[value] ~= nil
end

local function is_delay(value)
  return type(value) == "number" and value >= 0 and value <= 3600
end

local function is_count(value)
  return value == "always" or is_whole(value, 1, 1e9)
end

-- What an answer can be broken into: none at all, a connection reset, half of it, bytes that are no
-- JSON, and the page that a proxy shows.
local is_answer = set_of("closed", "reset", "half", "garbage", "html")

-- What a fault may hold, and whether a value will do.
local OF_OPERATIONS = {
  operation = is_operation, delay = is_delay, times = is_count, after = is_boolean,
  answer = is_answer,
  code = function(value) return is_whole(value, 0, 9999) end,
  status = function(value) return is_whole(value, 200, 599) end,
}

local OF_CALLBACKS = {
  callback = set_of("*", "Auth", "Consumption", "Card_update"), delay = is_delay,
  times = is_count, duplicate = is_boolean, reorder = is_boolean, bad_signature = is_boolean,
}

local function unusable_field(given, fields)
  for name, value in pairs(given) do
    if not fields[name] then
      return "no such field: " .. tostring(name)
    elseif not fields[name](value) then
      return name .. " is not usable"
    end
  end
end

--- Why `given` is no fault; nil where it is one.
---@param given table
---@return string|nil
function faults.fault(given)
  if given.callback ~= nil then
    return unusable_field(given, OF_CALLBACKS)
      or (not (given.delay or given.duplicate or given.reorder or given.bad_signature)
        and "delay, duplicate, reorder or bad_signature is missing") or nil
  end
  local fault = unusable_field(given, OF_OPERATIONS)
  if fault then
    return fault
  elseif not given.operation then
    return "operation or callback is missing"
  elseif not (given.code or given.status or given.delay or given.answer) then
    return "code, status, answer or delay is missing"
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

local function take(self, field, value)
  for i, fault in ipairs(self.list) do
    if fault[field] == value or fault[field] == "*" then
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

--- The first fault waiting for an operation; it is used up by one.
---@param operation string
---@return table|nil
function Faults:take(operation)
  return take(self, "operation", operation)
end

--- The first fault waiting for a callback; it is used up by one.
---@param action string
---@return table|nil
function Faults:take_callback(action)
  return take(self, "callback", action)
end

return faults
