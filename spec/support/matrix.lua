--- The fault matrix: every write and some reads × every fault of the network × first or second
--- attempt × direct or behind TLS, each compared with what the emulator really holds.
--
--    local m = matrix.start(matrix.script)
--    for _, cell in ipairs(m:row(fault)) do print(cell.operation, cell.outcome, cell.violation) end
--    m:stop()
--
-- What must hold:
--   * ok: there is exactly one row, as it was asked for, and the client returned that one;
--   * not_sent, refused: there is none of this call;
--   * unknown: there is at most one; and asked later, when the network is well again and the lost
--     request too old to be let in, `err:settle` says truly whether there is;
--   * never two, and the platform never did it twice, but where the network itself repeated it;
--   * a read gives the right value or an error;
--   * whoever shows a bad certificate is given nothing.
--
-- One thing no client can see through: a network that repeats a request and shows the platform's
-- answer to the repetition, "taken already". Such a cell is called misled, and counted by itself.
--
-- The host under test is a parameter: a table with `start(options)`, whose result has
-- `perform(calls)`, which makes all calls at the same time, in that host's way, and `close()`. A
-- call is { operation, fields, timeout }, plain data, and so may go to another process; what comes
-- back for each, in order, is { value } or { err }, the `milliseconds` that it took, and `settled`
-- of keysecure.how. An err has the fields of keysecure.Error. `settle(results)`, which a host may
-- do without, settles the errors of those results and leaves what came of it in `later`.
local api = require "keysecure.api"
local core = require "keysecure.core"
local keysecure = require "keysecure"
local support = require "spec.support.client"
local calls = require "spec.support.matrix_calls"
local faults = require "spec.support.network_faults"
local network = require "spec.support.network"

local matrix = {}

local PATIENCE = 5 -- seconds for a call whose answer comes, be it a wrong one
local IMPATIENCE = 0.3 -- seconds for one whose fault is silence
local PERSISTENCE = 0.6 -- seconds for one whose fault stays
local SEARCH = 0.6 -- seconds for one that is looked for in vain
local SETTLING = 10 -- seconds
local OUTDATED = 120 -- seconds after which no Timestamp is good, nor what it let in under way
local MAX_RESPONSE = 65536

--- How the network is gone through.
matrix.ways = { "direct", "tls" }

-- The host of a plain script --------------------------------------------------------------------

local function timed(ks, call)
  local started = core.now()
  local value, err = ks:call(call.operation, call.fields, { timeout = call.timeout })
  return { value = value, err = err, milliseconds = core.now() - started,
    settled = keysecure.how(value).settled }
end

matrix.script = {
  start = function(options)
    local ks = assert(keysecure.new(options))
    return {
      perform = function(_, list)
        local results = ks:parallel(#list, list, function(call)
          return timed(ks, call)
        end)
        return results
      end,
      settle = function(_, results)
        ks:parallel(#results, results, function(result)
          local value, err = result.err:settle { timeout = SETTLING }
          result.later = { value = value, err = err }
        end)
      end,
      close = function()
        ks:close()
      end,
    }
  end,
}

-- Cells -----------------------------------------------------------------------------------------

---@class spec.Cell
---@field operation string
---@field fault string
---@field attempt integer  the one that the fault strikes; 0: the request for a token
---@field way string
---@field read boolean
---@field outcome string   "ok", "settled" (within the call), "not_sent", "refused", "unknown",
---  "misled"; of a read "ok" or "error"
---@field later? string    what became of an unknown one: "found", "absent", "unknown"
---@field violation? string
---@field struck boolean   whether the fault came to be; a time-out may have come before it
---@field overrun number   milliseconds past its time-out
---@field err? table

local Matrix = {}
Matrix.__index = Matrix

--- Starts an emulator, a network before it, and a client without faults to prepare with.
function matrix.start(host)
  local world = support.start()
  return setmetatable({ host = host, world = world, rows = calls.rows(world),
    network = network.start(world.address) }, Matrix)
end

function Matrix:stop()
  self.network:stop()
  self.world:stop()
end

local TOKEN_MARK = "/merchant/token"

local function cell_of(kind, fault, way, attempt, rows)
  local call = kind.prepare(rows)
  return { operation = kind.operation, fault = fault.name, attempt = attempt, way = way,
    read = call.found == nil, call = call, kind = kind }
end

-- Makes the cells for these attempts, all rows they need at once.
function Matrix:prepare(fault, way, attempts)
  local wanted = {}
  for _, kinds in ipairs { calls.writes, calls.reads } do
    for _, kind in ipairs(kinds) do
      for _, attempt in ipairs(attempts) do
        if attempt > 0 or not kind.operation:find "^simulate" then -- those need no token
          wanted[#wanted + 1] = { kind = kind, attempt = attempt }
        end
      end
    end
  end
  local cells, failures = self.world.ks:parallel(#wanted, wanted, function(one)
    return cell_of(one.kind, fault, way, one.attempt, self.rows)
  end)
  assert(not failures, failures and tostring(select(2, next(failures))))
  return cells
end

-- Carries out -----------------------------------------------------------------------------------

local function requests_of(cells, timeout)
  local list = {}
  for i, cell in ipairs(cells) do
    list[i] = { operation = cell.operation, fields = cell.call.fields, timeout = timeout }
  end
  return list
end

-- As many kept connections as there will be calls, and a token.
local function warm(session, size)
  local list = {}
  for i = 1, size do
    list[i] = { operation = "cards.packages", timeout = 20 }
  end
  for _, result in ipairs(session:perform(list)) do
    assert(not result.err, tostring(result.err))
  end
end

local function timeout_of(fault)
  return fault.silent and IMPATIENCE or fault.for_good and PERSISTENCE
    or fault.reaches == "never" and SEARCH or PATIENCE
end

-- What is to be struck, and when; the calls behind a struck request for a token are watched alone.
-- A write is looked up by what marks it, and is not meant by that.
local function marks_of(cells)
  local marks, paths = {}, {}
  for _, cell in ipairs(cells) do
    marks[cell.call.mark] = cell.attempt
    paths[cell.call.mark] = not cell.read and api.operations[cell.operation].path .. " " or nil
    if cell.attempt == 0 then
      marks[TOKEN_MARK] = 1
    end
  end
  return marks, paths
end

-- Settles what ended unknown: at once, as some is found already; and twice more when so much time
-- has passed on the server that a row which isn't there won't come. The first of these looks brings
-- the new time, the second knows it.
function Matrix:settle(session, cells, results)
  local open = {}
  for i, result in ipairs(results) do
    if not cells[i].read and result.err and result.err.outcome == "unknown" then
      open[#open + 1] = result
    end
  end
  if #open == 0 or not session.settle then
    return
  end
  session:settle(open)
  self.world:control("POST", "clock", { skew = OUTDATED })
  session:settle(open)
  session:settle(open)
  self.world:control("POST", "clock", { skew = 0 })
end

-- All cells at the same time over one link.
function Matrix:lane(fault, way, attempts)
  local cells = self:prepare(fault, way, attempts)
  local timeout = timeout_of(fault)
  local link = self.network:open { tls = way == "tls", patience = timeout,
    oversize = MAX_RESPONSE }
  local session = self.host.start(self.world:options { address = link.address,
    ca_file = way == "tls" and self.network.ca_file or false, timeout = 20,
    max_response = MAX_RESPONSE })
  if attempts[1] > 0 then
    warm(session, #cells)
  end
  local marks, paths = marks_of(cells)
  link:arm { fault = fault.name, marks = marks, paths = paths }
  local results = session:perform(requests_of(cells, timeout))
  link:calm()
  self:settle(session, cells, results)
  local report = link:calm()
  local state = self.world:control("GET", "state")
  for i, cell in ipairs(cells) do
    matrix.judge(cell, fault, results[i], report, state, timeout)
  end
  session:close()
  link:close()
  return cells
end

--- Every cell of one fault: by default all attempts, both ways. The requests of both attempts go
--- side by side, unless the fault strikes everybody who connects.
---@param fault table  of spec.support.network_faults
---@param attempts? integer[]  0 is the request for the token
---@param ways? string[]
---@return spec.Cell[]
function Matrix:row(fault, attempts, ways)
  local cells, lanes = {}, {}
  for _, attempt in ipairs(attempts or { 0, 1, 2 }) do
    if attempt < 2 or fault.gate then
      lanes[#lanes + 1] = { attempt }
    else
      table.insert(lanes[#lanes], attempt)
    end
  end
  self:renew()
  for _, way in ipairs(ways or matrix.ways) do
    for _, lane in ipairs(lanes) do
      if way == "tls" or not fault.tls then
        for _, cell in ipairs(self:lane(fault, way, lane)) do
          cells[#cells + 1] = cell
        end
      end
    end
  end
  return cells
end

-- An emulator without rows but those that all others need: what it holds is read often. And a full
-- retry budget, which the faults before have used up.
function Matrix:renew()
  core.shared_budget():earn(100)
  self.world:control("POST", "reset")
  self.world.ks:close()
  self.world.ks = self.world:client()
  self.rows:start()
end

-- Judges ------------------------------------------------------------------------------------------

local function judge_read(cell, result)
  if result.err then
    cell.outcome = "error"
    return not keysecure.is_error(result.err) and "no error object" or nil
  end
  cell.outcome = "ok"
  return not cell.call.is(result.value) and "a wrong value" or nil
end

-- What the emulator holds: how many rows, and whether they are as asked.
local function truth_of(cell, note, state)
  local found, as_asked = cell.call.found(state)
  if cell.kind.unread then
    found = note.executed
  end
  return found, as_asked
end

local function judge_ok(cell, found, value)
  return found == 0 and "ok, and nothing is there"
    or not cell.call.is(value) and "ok, with a wrong value" or nil
end

local LATER = { refused = "absent", unknown = "unknown" }

-- What is asked about later must be told as it is.
local function judge_later(cell, found, later)
  if later.value ~= nil then
    cell.later = "found"
    return judge_ok(cell, found, later.value)
  end
  cell.later = LATER[later.err.outcome]
  if cell.later == "absent" then
    return found > 0 and "said to be absent, and it was done" or nil
  elseif api.operations[cell.operation].settle then
    return "could not be settled: " .. tostring(later.err)
  end
end

local function judge_failure(cell, fault, found, result)
  if cell.outcome == "unknown" then
    return result.later and judge_later(cell, found, result.later) or nil
  elseif cell.outcome == "refused" and fault.shows_repetition and found > 0 then
    cell.outcome = "misled"
  elseif found > 0 then
    return cell.outcome .. ", and it was done: " .. tostring(result.err)
  end
end

local function judge_write(cell, fault, result, note, state)
  local found, as_asked = truth_of(cell, note, state)
  local allowed = fault.reaches == "twice" and cell.kind.repeatable and 2 or 1
  cell.outcome = result.err and result.err.outcome or result.settled and "settled" or "ok"
  if found > allowed or note.executed > allowed then
    return ("done %d times"):format(math.max(found, note.executed))
  elseif not as_asked then
    return "not what was asked"
  elseif result.err then
    return judge_failure(cell, fault, found, result)
  end
  return judge_ok(cell, found, result.value)
end

--- Fills a cell in.
function matrix.judge(cell, fault, result, report, state, timeout)
  local note = report.notes[cell.call.mark]
  local struck = cell.attempt > 0 and note or report.notes[TOKEN_MARK]
  cell.err, cell.milliseconds = result.err, result.milliseconds
  cell.overrun = result.milliseconds - timeout * 1000
  cell.outcome = "error"
  cell.struck = (fault.gate and report.struck or struck.struck) > 0
  cell.reused = struck.reused
  if fault.certificate and struck.requests >= math.max(cell.attempt, 1) then
    cell.violation = "given to somebody with a bad certificate"
    return
  end
  if cell.read then
    cell.violation = judge_read(cell, result)
  else
    cell.violation = judge_write(cell, fault, result, note, state)
  end
end

--- All faults, in order.
matrix.faults = faults.list

return matrix
