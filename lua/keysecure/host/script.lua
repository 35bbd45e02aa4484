--- The host of a plain script: a call waits by driving the engine until its own answer is there.
--
-- `parallel` runs many calls at once as coroutines of this host. Only in those does waiting yield;
-- in any other coroutine, such as a generator of yours, a call blocks like everywhere else in a
-- script. Under PUC Lua 5.1, which can't yield across `pcall` or a `for` iterator, use neither
-- around a call inside `parallel`.
local core = require "keysecure.core"

local Script = {}
Script.__index = Script

local script = {}

--- A host for one client.
---@param now fun(): number  monotonic milliseconds
function script.new(now)
  return setmetatable({
    now = now,
    awaited = {}, -- transfer -> the task that waits for it
    arrived = {}, -- transfer -> what came of it, for one who is yet to ask
    sleepers = {}, -- tasks that wait for a moment, or for another call's token
    deaths = {}, -- task -> what to do when it ends with an error
  }, Script)
end

-- Whether the code now running is a task of this host, which may yield to it.
function Script:in_task()
  return self.running ~= nil and coroutine.running() == self.running
end

function Script:resume(task, ...)
  local outer = self.running
  self.running = task
  local alive, fault = coroutine.resume(task, ...)
  self.running = outer
  local bury = self.deaths[task]
  if coroutine.status(task) == "dead" then
    self.deaths[task] = nil
    bury(not alive, fault)
  end
end

-- Hands out what has finished; stops early at `wanted`, whose results it returns behind `true`.
-- False where something was handed out, nil where nothing was.
function Script:deliver(wanted)
  local engine, any = self.engine, false
  if not engine then
    return nil
  end
  local id, a, b, c, d, e = engine:next()
  while id do
    local task = self.awaited[id]
    if task then
      self.awaited[id] = nil
      any = true
      self:resume(task, a, b, c, d, e)
    elseif id == wanted then
      return true, a, b, c, d, e
    else
      self.arrived[id] = { a, b, c, d, e }
    end
    id, a, b, c, d, e = engine:next()
  end
  if any then
    return false
  end
end

--- Returns what came of transfer `id`, in the order of `engine:next()` without the id.
function Script:await(engine, id)
  self.engine = engine
  if self:in_task() then
    self.awaited[id] = self.running
    return coroutine.yield()
  end
  while true do
    local early = self.arrived[id]
    if early then
      self.arrived[id] = nil
      return early[1], early[2], early[3], early[4], early[5]
    end
    local found, a, b, c, d, e = self:deliver(id)
    if found then
      return a, b, c, d, e
    elseif found == nil then
      engine:step(-1)
    end
  end
end

-- Wakes the tasks whose time has come, and those that wait for a token after any progress.
function Script:wake(progressed)
  local sleepers, now, due = self.sleepers, self.now(), {}
  for i = #sleepers, 1, -1 do
    local sleeper = sleepers[i]
    if sleeper.moment <= now or (progressed and sleeper.for_token) then
      due[#due + 1] = table.remove(sleepers, i).task
    end
  end
  for i = #due, 1, -1 do
    self:resume(due[i])
  end
  return #due > 0
end

function Script:nearest()
  local moment = nil
  for _, sleeper in ipairs(self.sleepers) do
    moment = math.min(moment or sleeper.moment, sleeper.moment)
  end
  return moment
end

-- As `nearest`, where somebody must have something to wait for.
function Script:nearest_or_stuck()
  local moment = self:nearest()
  if not moment and not (self.engine and self.engine:pending() > 0) then
    error("parallel: a function yielded by itself; only calls may wait inside it", 0)
  end
  return moment
end

-- Waits, for no longer than until `moment` (nil: as long as it takes), for a transfer to finish.
function Script:rest(moment)
  local milliseconds = moment and math.max(0, math.ceil(moment - self.now())) or -1
  if self.engine and self.engine:pending() > 0 then
    self.engine:step(milliseconds)
  elseif moment then
    core.sleep(milliseconds)
  end
end

-- One round of everything: true while something moved.
function Script:turn()
  local progressed = self:deliver() ~= nil
  if #self.sleepers > 0 and self:wake(progressed) then
    progressed = true
  end
  return progressed
end

--- Waits until `moment` (monotonic ms); where another call may bring the token, until one moves.
function Script:wait(moment, for_token)
  if self:in_task() then
    table.insert(self.sleepers, { moment = moment, for_token = for_token, task = self.running })
    coroutine.yield()
    return
  end
  while self.now() < moment do
    local nearest = self:nearest()
    self:rest(nearest and math.min(nearest, moment) or moment)
    if self:turn() and for_token then
      return
    end
  end
end

--- Runs `fn(item, index)` for each of `items`, at most `limit` of them at a time.
---@param limit integer
---@param items any[]
---@param fn fun(item: any, index: integer): any, any
---@return any[] results          what each returned, at the item's index
---@return table<integer, any>|nil failures  by index: the error each returned or raised
function Script:parallel(limit, items, fn)
  local results, failures = {}, nil
  local count, taken, live = #items, 0, 0

  local function fail(index, fault)
    failures = failures or {}
    failures[index] = fault
  end

  local start
  local function worker(state)
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

  function start()
    local state, task = {}, coroutine.create(worker)
    live = live + 1
    self.deaths[task] = function(failed, fault)
      live = live - 1
      if failed then
        fail(state.index, fault)
        if taken < count then
          start()
        end
      end
    end
    self:resume(task, state)
  end

  for _ = 1, math.min(limit, count) do
    start()
  end
  while live > 0 do
    if not self:turn() and live > 0 then
      self:rest(self:nearest_or_stuck())
    end
  end
  return results, failures
end

return script
