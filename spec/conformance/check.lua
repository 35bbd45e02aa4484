--- What the bodies of the conformance specs check with. They run wherever a host runs, inside nginx
--- too, so that nothing here needs busted.
local keysecure = require "keysecure"

local check = { must = keysecure.assert }

--- Raises unless both are the same.
function check.equal(expected, actual, what)
  if expected ~= actual then
    error(string.format("%s: expected %s, got %s", what or "value", tostring(expected),
      tostring(actual)), 2)
  end
end

--- Raises unless the call failed as expected: `check.failed({ kind = "timeout" }, call(…))`.
function check.failed(expected, value, err)
  if value ~= nil or not keysecure.is_error(err) then
    error("expected a failure, got " .. tostring(value) .. ", " .. tostring(err), 2)
  end
  for name, wanted in pairs(expected) do
    if err[name] ~= wanted then
      error(string.format("%s: expected %s, got %s (%s)", name, tostring(wanted),
        tostring(err[name]), tostring(err)), 2)
    end
  end
  return err
end

--- All rows of a walk. A `for` would do as well, but not in a task under PUC Lua 5.1.
function check.collect(each)
  local rows = {}
  local row = each()
  while row do
    rows[#rows + 1] = row
    row = each()
  end
  return rows
end

--- The numbers from 1 to `count`.
function check.numbers(count)
  local items = {}
  for i = 1, count do
    items[i] = i
  end
  return items
end

--- Days around today, as fields of a list.
function check.days()
  local now = os.time()
  return { start_time = os.date("!%Y-%m-%d", now - 2 * 86400),
    end_time = os.date("!%Y-%m-%d", now + 2 * 86400) }
end

return check
