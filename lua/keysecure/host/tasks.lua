--- What all hosts share: who waits for what, whose turn it is, and functions that run as tasks.
--
-- A host is how a client waits. This is its base; `script`, `tick`, `luv`, `cqueues` and a host of
-- your own add one thing, how code waits that is not a task of ours:
--
-- * `host:outsider()` returns a waiter for it, a table with `waiter:wait()`, which returns what
--   `waiter:wake(…)` was given; or it raises, where nothing but a task may wait.
--
-- and, where they need it:
--
-- * `host:changed()` is told that something new is waited for, so that `step` may be wanted sooner;
-- * `host:release()` is told that the descriptor is about to be closed;
-- * `host:launch(fn, ended, …)` runs `fn` as a coroutine of the runtime instead of a task of ours,
--   and `host:conclude(done, ok, …)` calls `done` from there by `host:finish(done, ok, …)`.
--
-- A task is a coroutine that this host made. Everything that happens to it happens in `step`:
-- starting a request never delivers a result, nor calls anybody's `done`.
local core = require "keysecure.core"
local sleepers = require "keysecure.host.sleepers"
local unpack = table.unpack or rawget(_G, "unpack")

---@class keysecure.Host
---@field now fun(): number                 monotonic ms
---@field closed? boolean                   the client is closed: nobody waits any more
---@field engine? table                     of keysecure.curl; none under a transport of one's own
---@field running? thread                   the task that runs now
---@field package awaited table             transfer -> the waiter for it
---@field package ends table<thread, fun(ok: boolean, ...)>  by task: what to do when it has ended
---@field package sleepers table            of keysecure.host.sleepers
---@field package turns table               functions whose turn has come, from `next_turn` on
---@field package unfinished integer        spawned functions whose `done` has not been called
local Tasks = {}
Tasks.__index = Tasks

local tasks = { base = Tasks }

-- What a task yields: that it waits, or, where Lua can't tell beforehand, whether it may.
local WAITS, PROBES = {}, {}

local YIELDED = "a function yielded by itself; only calls and ks:sleep may wait inside it"

-- PUC Lua 5.1 has no such question.
local is_yieldable = coroutine.isyieldable

--- A class of hosts, to add methods to.
---@return table
function tasks.class(base)
  local class = setmetatable({}, { __index = base or Tasks })
  class.__index = class
  return class
end

-- Nobody waits for anything.
local function clear(self)
  self.forks = core.forks()
  self.awaited, self.ends = {}, {}
  self.sleepers = sleepers.new()
  self.turns, self.next_turn, self.last_turn = {}, 1, 0
  self.unfinished, self.faults = 0, {}
end

--- A host of `class` for one client.
---@param class table
---@param now fun(): number  monotonic ms
function tasks.new(class, now)
  local self = setmetatable({ now = now }, class)
  clear(self)
  return self
end

--- Told once, by the transport, whose results are to be handed out.
function Tasks:attach(engine)
  self.engine = engine
end

-- A forked child starts afresh: whoever waited waits in the parent.
function Tasks:enter()
  if self.forks ~= core.forks() then
    clear(self)
    self:forked()
  end
end

function Tasks:forked() end
function Tasks:changed() end
function Tasks:release() end

-- Waiting -------------------------------------------------------------------------------------

--- Whether the code now running is a task, which may yield to this host.
function Tasks:in_task()
  return self.running ~= nil and coroutine.running() == self.running
    and (not is_yieldable or is_yieldable())
end

-- What others raised while code waited that is no task is put off until nothing is under way that
-- it could cost a result: the next call, step or close raises it.
function Tasks:raise_put_off()
  if self.faults[1] ~= nil then
    error(table.remove(self.faults, 1), 0)
  end
end

--- Called before anything is sent: raises where the code now running may not wait.
function Tasks:check()
  self:enter()
  if not self:in_task() then
    self:raise_put_off()
  end
  if not is_yieldable and self:in_task() then
    coroutine.yield(PROBES)
  end
end

function Tasks:waiter()
  return self:in_task() and self.running or self:outsider()
end

local function suspend(waiter)
  if type(waiter) == "thread" then
    return coroutine.yield(WAITS)
  end
  return waiter:wait()
end

--- Returns what came of transfer `id`, in the order of `engine:next()` without the id.
function Tasks:await(id)
  local waiter = self:waiter()
  self.awaited[id] = waiter
  self:changed()
  return suspend(waiter)
end

--- Waits until `moment` (monotonic ms); where another call may bring the token, until one moved.
---@return boolean open  false: the client is closed, and whoever waits is to give up
function Tasks:wait(moment, for_token)
  if not self.closed then
    local waiter = self:waiter()
    self.sleepers:add(moment, waiter, for_token)
    self:changed()
    suspend(waiter)
  end
  return not self.closed
end

-- Tasks ---------------------------------------------------------------------------------------

local function resumed(self, task, outer, alive, ...)
  self.running = outer
  if coroutine.status(task) ~= "dead" then
    local word = ...
    if word == WAITS then
      return
    elseif word == PROBES then
      return self:resume(task)
    end
    return self:ended(task, false, YIELDED)
  end
  return self:ended(task, alive, ...)
end

function Tasks:ended(task, ...)
  local ended = self.ends[task]
  self.ends[task] = nil
  if ended then
    ended(...)
  end
end

--- Lets a waiter go on.
function Tasks:resume(waiter, ...)
  if type(waiter) ~= "thread" then
    return waiter:wake(...)
  end
  local outer = self.running
  self.running = waiter
  return resumed(self, waiter, outer, coroutine.resume(waiter, ...))
end

--- Runs `fn(…)` until it waits for the first time, then `ended(ok, …)` with what it returned, or
--- false and what it raised.
function Tasks:launch(fn, ended, ...)
  local task = coroutine.create(fn)
  self.ends[task] = ended
  self:resume(task, ...)
end

--- Ends a spawned function: calls its `done`, or raises where there is none to be told.
function Tasks:finish(done, ok, ...)
  self.unfinished = self.unfinished - 1
  if not done then
    if not ok then
      error((...), 0)
    end
  elseif ok then
    done(...)
  else
    done(nil, (...))
  end
end

--- Ends it when its turn has come.
function Tasks:conclude(done, ...)
  local count, values = select("#", ...), { ... }
  self:take_turn_later(function()
    return self:finish(done, unpack(values, 1, count))
  end)
end

--- Runs `fn(…)` as a task. `done` is called from a later `step` with what it returned, or with nil
--- and what it raised; without `done`, `step` raises that.
---@param fn fun(...): ...
---@param done? fun(...)
function Tasks:spawn(fn, done, ...)
  self:enter()
  self.unfinished = self.unfinished + 1
  self:launch(fn, function(...)
    self:conclude(done, ...)
  end, ...)
end

--- Runs `fn(item, index)` for each of `items`, at most `limit` of them at a time.
---@param limit integer
---@param items any[]
---@param fn fun(item: any, index: integer): any, any
---@return any[] results          what each returned, at the item's index
---@return table<integer, any>|nil failures  by index: the error each returned or raised
function Tasks:parallel(limit, items, fn)
  local results, failures = {}, nil
  local count, taken, live, parent = #items, 0, 0, nil

  local function fail(index, fault)
    failures = failures or {}
    failures[index] = fault
  end

  local function work(state)
    while taken < count do
      taken = taken + 1
      state.index = taken
      local index = taken
      local value, err = fn(items[index], index)
      results[index] = value
      if err ~= nil then
        fail(index, err)
      end
    end
  end

  -- Where a function raised, another takes up its work: from here where it raised before it waited
  -- for anything, since any number of such ends must not nest.
  local function start()
    local inside = true
    live = live + 1
    repeat
      local state, again = {}, false
      self:launch(work, function(ok, fault)
        if not ok then
          fail(state.index, fault)
          again = inside and taken < count
        end
        if not again then
          live = live - 1
          if not ok and taken < count then
            start()
          elseif live == 0 and parent then
            self:resume_later(parent)
          end
        end
      end, state)
    until not again
    inside = false
  end

  for _ = 1, math.min(limit, count) do
    start()
  end
  if live > 0 then
    parent = self:waiter()
    suspend(parent)
  end
  return results, failures
end

-- Turns ---------------------------------------------------------------------------------------

function Tasks:take_turn_later(turn)
  if self.next_turn > self.last_turn then
    self.next_turn, self.last_turn = 1, 0
  end
  self.last_turn = self.last_turn + 1
  self.turns[self.last_turn] = turn
  self:changed()
end

function Tasks:resume_later(waiter)
  self:take_turn_later(function()
    return self:resume(waiter)
  end)
end

function Tasks:take_turn()
  local turn = self.turns[self.next_turn]
  if not turn then
    return false
  end
  self.turns[self.next_turn] = nil
  self.next_turn = self.next_turn + 1
  turn()
  return true
end

--- Told after each step of a call: it may have brought the token, or given up on fetching it.
function Tasks:moved()
  if self.sleepers.for_token[1] then
    self.sleepers:take_for_token(function(waiter)
      self:resume_later(waiter)
    end)
  end
end

function Tasks:take_result()
  if not self.engine then
    return false
  end
  local id, a, b, c, d, e = self.engine:next()
  if not id then
    return false
  end
  local waiter = self.awaited[id]
  if waiter then
    self.awaited[id] = nil
    self:resume(waiter, a, b, c, d, e)
  end
  return true
end

-- Those whose moment is not after `now` get their turn.
function Tasks:wake_due(now)
  local waiter = self.sleepers:take_due(now)
  while waiter do
    self:resume_later(waiter)
    waiter = self.sleepers:take_due(now)
  end
end

--- Hands out one thing: a turn that has come, or a result. False: there is neither.
function Tasks:advance()
  return self:take_turn() or self:take_result()
end

--- As `advance`, but what is raised is put off.
function Tasks:advance_safely()
  local ok, more = pcall(self.advance, self)
  if not ok then
    self.faults[#self.faults + 1] = more
  end
  return not ok or more
end

-- The pollable object -------------------------------------------------------------------------

--- Does what there is to do without waiting: moves bytes, lets go on whose result or moment has
--- come, calls `done`s. Stops when the budget is spent, and keeps the rest for the next step.
---@param budget? number  seconds; nil: everything that is there now
function Tasks:step(budget)
  self:enter()
  self:raise_put_off()
  local engine, deadline = self.engine, budget and core.seconds() + budget
  if engine then
    engine:step(0)
  end
  if self.sleepers.count > 0 then
    self:wake_due((self.now()))
  end
  local any, left = false, true
  while left and self:advance() do
    any, left = true, not deadline or core.seconds() < deadline
  end
  if engine and any and left then
    engine:step(0) -- what was begun just now need not wait for the next frame
  end
end

--- The descriptor to poll for reading between steps; nil where there is none.
---@return integer|nil
function Tasks:pollfd()
  self:enter()
  return self.engine and self.engine:pollfd()
end

function Tasks:events()
  return "r"
end

--- Seconds until `step` is wanted whatever the descriptor says; nil: not before it.
---@return number|nil
function Tasks:timeout()
  self:enter()
  if self.turns[self.next_turn] then
    return 0
  end
  local timeout, nearest = self.engine and self.engine:timeout(), self.sleepers:nearest()
  if nearest then
    nearest = math.max(0, nearest - self.now()) / 1000
    timeout = timeout and math.min(timeout, nearest) or nearest
  end
  return timeout
end

--- Spawned functions whose `done` has not been called yet.
---@return integer
function Tasks:pending()
  self:enter()
  return self.unfinished
end

--- Whether a step will have something to do, now or later.
---@return boolean
function Tasks:busy()
  return self.turns[self.next_turn] ~= nil or next(self.awaited) ~= nil or self.sleepers.count > 0
end

--- After the transport was closed: everybody who waits hears of it before this returns. What a
--- `done` raises is raised at the end.
function Tasks:close()
  self:enter()
  self.closed = true
  self:wake_due(math.huge)
  while self:advance_safely() do end
  local fault = self.faults[1]
  self.faults = {}
  if fault ~= nil then
    error(fault, 0)
  end
end

return tasks
