--- Prints the whole fault matrix, for `./dev faults`; ends with status 1 where something was wrong.
-- Arguments choose faults by a part of their names.
local calls = require "spec.support.matrix_calls"
local matrix = require "spec.support.matrix"

local LETTERS = { ok = "o", settled = "s", not_sent = "n", refused = "r", found = "f", absent = "a",
  unknown = "u", misled = "m", error = "e" }
local SURE = { ok = true, settled = true, not_sent = true, refused = true }
local SURE_LATER = { found = true, absent = true }

local LEGEND = [[
Each column is a write, or a read behind the bar. Of its two groups the left one is direct, the
right one behind TLS; in a group the fault strikes the request for a token, the first attempt, the
second attempt (after a refusal with 1009).
  o  ok        exactly one row, as asked       s  settled   likewise, found by looking it up
  n  not_sent  none                            r  refused   none
  f  unknown, found by asking later            a  unknown, told later that it is absent
  u  unknown   at most one                     m  misled    refused only by its own repetition
  e  a read that ended in an error             !  VIOLATION of what was just said
  .  there is no such case
]]

local function wanted(fault, names)
  for _, name in ipairs(names) do
    if fault.name:find(name, 1, true) then
      return true
    end
  end
  return #names == 0
end

local function letter(cell)
  return not cell and "." or cell.violation and "!" or LETTERS[cell.later or cell.outcome]
end

-- The cells of a row by operation, way and attempt.
local function index_of(cells)
  local index = {}
  for _, cell in ipairs(cells) do
    index[cell.operation .. cell.way .. cell.attempt] = cell
  end
  return index
end

local function print_row(fault, cells)
  local index, line = index_of(cells), { ("%-40s"):format(fault.name) }
  for _, kinds in ipairs { calls.writes, calls.reads } do
    for _, kind in ipairs(kinds) do
      local group = {}
      for _, way in ipairs(matrix.ways) do
        local letters = ""
        for attempt = 0, 2 do
          letters = letters .. letter(index[kind.operation .. way .. attempt])
        end
        group[#group + 1] = letters
      end
      line[#line + 1] = table.concat(group, " ")
    end
    line[#line + 1] = "|"
  end
  line[#line] = nil
  print(table.concat(line, "  "))
end

local function print_head()
  print(LEGEND)
  for number, kind in ipairs(calls.writes) do
    print(("%38s  column %d: %s"):format("", number, kind.operation))
  end
  for number, kind in ipairs(calls.reads) do
    print(("%38s  behind the bar, %d: %s"):format("", number, kind.operation))
  end
  print ""
end

local function tally(sum, cells)
  for _, cell in ipairs(cells) do
    local kind = cell.read and sum.reads or sum.writes
    kind.cells = kind.cells + 1
    kind[cell.outcome] = (kind[cell.outcome] or 0) + 1
    sum.missed = sum.missed + (cell.struck and 0 or 1)
    if cell.violation then
      sum.violations[#sum.violations + 1] = ("%s, %s, attempt %d, %s: %s"):format(cell.fault,
        cell.operation, cell.attempt, cell.way, cell.violation)
    end
    sum.worst = math.max(sum.worst, cell.overrun)
    sum.sure = sum.sure + (not cell.read and SURE[cell.outcome] and 1 or 0)
    sum.sure_later = sum.sure_later + (SURE_LATER[cell.later] and 1 or 0)
  end
end

local function outcomes(kind)
  local parts = {}
  for name, count in pairs(kind) do
    if name ~= "cells" then
      parts[#parts + 1] = ("%d %s"):format(count, name)
    end
  end
  table.sort(parts)
  return table.concat(parts, ", ")
end

local function print_sum(sum)
  print ""
  for _, violation in ipairs(sum.violations) do
    print("VIOLATION  " .. violation)
  end
  print(("%d writes: %s"):format(sum.writes.cells, outcomes(sum.writes)))
  print(("%d reads: %s"):format(sum.reads.cells, outcomes(sum.reads)))
  print(("%d cells where time was over before the fault could strike"):format(sum.missed))
  local writes = math.max(1, sum.writes.cells)
  print(("%d violations"):format(#sum.violations))
  print(("%.1f %% of the writes end in a sure outcome, %.1f %% have one when asked about later")
    :format(100 * sum.sure / writes, 100 * (sum.sure + sum.sure_later) / writes))
  print(("no call was over its time-out by more than %d ms"):format(
    math.max(0, math.ceil(sum.worst))))
end

local function main(names)
  local sum = { writes = { cells = 0 }, reads = { cells = 0 }, missed = 0, violations = {},
    worst = -math.huge, sure = 0, sure_later = 0 }
  local m = matrix.start(matrix.script)
  print_head()
  for _, fault in ipairs(matrix.faults) do
    if wanted(fault, names) then
      local cells = m:row(fault)
      print_row(fault, cells)
      io.stdout:flush()
      tally(sum, cells)
    end
  end
  m:stop()
  print_sum(sum)
  os.exit(#sum.violations == 0 and sum.writes.cells > 0 and 0 or 1)
end

main(arg)
