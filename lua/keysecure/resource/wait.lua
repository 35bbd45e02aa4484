--- Waiting for a card or a cardholder to reach a status.
local errors = require "keysecure.errors"
local options_of = require "keysecure.options"

local WAIT_TIMEOUT = 120 -- seconds
local FIRST_PAUSE, LAST_PAUSE, GROWTH = 0.2, 5, 1.5 -- seconds

local function failure(kind, fields, message)
  return errors.new {
    kind = kind, outcome = "refused", operation = fields.operation, field = "status",
    message = message, name = kind == "api" and "final_status" or nil,
  }
end

-- One look: the row where it got there; an error where it never will; nothing where it may yet.
local function look(row, target, read, final, time_left)
  local fresh, err = read(row, time_left)
  if not fresh then
    return nil, err
  elseif row.status == target then
    return row
  end
  local state = final.states[row.status]
  if state then
    local reason = state ~= true and state or row.fail_reason
    return nil, failure("api", final, "is " .. row.status .. " and will not become " .. target
      .. (reason and ": " .. tostring(reason) or ""))
  end
end

--- Asks with growing pauses until `row.status` is `target`.
---@param client keysecure.Client
---@param row table
---@param target string
---@param options? {timeout: number?}  seconds for the whole wait (120)
---@param read fun(row: table, time_left: number): table|nil, keysecure.Error|nil  refreshes the row
---@param final {operation: string, states: table<string, boolean|string>}  a text tells the way out
---@return table|nil row
---@return keysecure.Error|nil
local function wait(client, row, target, options, read, final)
  local fault = options_of.call_fault(options)
  if fault then
    fault.operation = final.operation
    return nil, fault
  end
  local timeout = options and options.timeout or WAIT_TIMEOUT
  local deadline = client.now() + timeout * 1000
  local pause = FIRST_PAUSE
  while true do
    local time_left = math.max(1, deadline - client.now()) / 1000
    local done, err = look(row, target, read, final, time_left)
    if done then
      return done
    elseif err then
      return nil, err
    elseif client.now() + pause * 1000 >= deadline then
      return nil, failure("timeout", final, string.format("is still %s, not %s, after %g s",
        tostring(row.status), target, timeout))
    end
    client:sleep(pause)
    pause = math.min(pause * GROWTH, LAST_PAUSE)
  end
end

return wait
