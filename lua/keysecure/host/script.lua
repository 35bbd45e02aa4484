--- The host of a plain script: a call waits by driving the engine until its own answer is there.
--
-- `parallel` and `spawn` run functions as tasks of this host. Only in those does waiting yield; in
-- any other coroutine, such as a generator of yours, a call blocks like everywhere else in a
-- script. Under PUC Lua 5.1, which can't yield across `pcall` or a `for` iterator, use neither
-- around a call inside a task.
local core = require "keysecure.core"
local tasks = require "keysecure.host.tasks"

local Script = tasks.class()

-- Whoever waits here lets everybody else go on meanwhile.
local Driver = {}
Driver.__index = Driver

function Driver:wake(a, b, c, d, e)
  self.woken = true
  self[1], self[2], self[3], self[4], self[5] = a, b, c, d, e
end

function Driver:wait()
  local host = self.host
  while not self.woken do
    if host.sleepers.count > 0 then
      host:wake_due((host.now()))
    end
    if not host:advance_safely() then
      host:rest()
    end
  end
  return self[1], self[2], self[3], self[4], self[5]
end

function Script:outsider()
  return setmetatable({ host = self }, Driver)
end

-- Waits until a transfer has finished or a moment has come.
function Script:rest()
  local moment = self.sleepers:nearest()
  local milliseconds = moment and math.max(0, math.ceil(moment - self.now())) or -1
  if self.engine and self.engine:pending() > 0 then
    self.engine:step(milliseconds)
  elseif moment then
    core.sleep(milliseconds)
  else
    error("nothing is left to wait for", 0)
  end
end

local script = { class = Script }

--- A host for one client.
---@param now fun(): number  monotonic milliseconds
function script.new(now)
  return tasks.new(Script, now)
end

return script
