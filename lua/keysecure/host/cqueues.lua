--- The host of cqueues: in a coroutine of a controller a call suspends that coroutine and no other,
-- as a socket of cqueues does; outside of any it blocks, as in a plain script.
--
-- The first to wait in a controller leaves a pump there, a coroutine that polls the client and
-- steps it, and ends when nobody waits any more.
local errors = require "keysecure.errors"
local needs = require "keysecure.host.needs"
local protect = require "keysecure.protect"
local script = require "keysecure.host.script"
local tasks = require "keysecure.host.tasks"

local cqueues = needs("cqueues", "cqueues")
local condition = require "cqueues.condition"

local Cqueues = tasks.class(script.class)

local FOREIGN = "a call in a coroutine of your own can't wait: make it in the coroutine that the"
  .. " controller runs"

-- A coroutine of a controller.
local Waiter = {}
Waiter.__index = Waiter

function Waiter:wake(a, b, c, d, e)
  self.woken = true
  self[1], self[2], self[3], self[4], self[5] = a, b, c, d, e
  self.condition:signal()
end

function Waiter:wait()
  self.host:pump()
  while not self.woken do
    self.condition:wait()
  end
  return self[1], self[2], self[3], self[4], self[5]
end

function Cqueues:outsider()
  if not cqueues.running() then
    return script.class.outsider(self)
  end
  return setmetatable({ host = self, condition = condition.new() }, Waiter)
end

function Cqueues:check()
  tasks.base.check(self)
  local controller, own = cqueues.running()
  if controller and not own and not protect.passes_on() then
    errors.misuse(FOREIGN)
  end
end

function Cqueues:pump()
  local controller = cqueues.running()
  if self.pumped[controller] then
    return
  end
  self.pumped[controller] = true
  controller:wrap(function()
    while self:busy() do
      cqueues.poll(self, self.nudge)
      self:step()
    end
    self.pumped[controller] = nil
  end)
end

function Cqueues:changed()
  self.nudge:signal()
end

function Cqueues:forked()
  self.pumped, self.nudge = setmetatable({}, { __mode = "k" }), condition.new()
end

-- Whoever polls a descriptor that is closed would wait for ever.
function Cqueues:release()
  local fd = self:pollfd()
  if fd then
    cqueues.cancel(fd)
  end
end

-- In a controller functions run as its own coroutines, in which everything of cqueues may be used.
function Cqueues:launch(fn, ended, ...)
  local controller = cqueues.running()
  if not controller then
    return tasks.base.launch(self, fn, ended, ...)
  end
  controller:wrap(function(...)
    ended(protect.call(fn, ...))
  end, ...)
end

function Cqueues:spawn(...)
  if not cqueues.running() then
    errors.misuse "spawn: only in a coroutine of a controller; elsewhere nobody would step it"
  end
  return tasks.base.spawn(self, ...)
end

-- Such a one may be told at once: its turn is the controller's to give.
function Cqueues:resume_later(waiter)
  if getmetatable(waiter) == Waiter then
    return waiter:wake()
  end
  return tasks.base.resume_later(self, waiter)
end

function Cqueues:conclude(...)
  return self:finish(...)
end

local host = { class = Cqueues }

--- A host for one client.
---@param now fun(): number  monotonic milliseconds
function host.new(now)
  local self = tasks.new(Cqueues, now)
  self:forked()
  return self
end

return host
