--- The host of libuv's loop, through luv: as `tick`, but the loop itself does the steps, whenever
-- there is something to do. While nothing is under way no handle is active, so that `uv.run()`
-- ends when everything has ended.
--
-- What a `done` raises is luv's to deal with, as in every callback of it. In a forked child make a
-- loop of its own: libuv's is shared with the parent.
local needs = require "keysecure.host.needs"
local tasks = require "keysecure.host.tasks"
local tick = require "keysecure.host.tick"

local uv = needs("luv", "luv")

local Luv = tasks.class(tick.class)

-- A handle is stopped and left to luv's collector, never closed: luv 1.44 crashes at the end of a
-- program that closed one and did not run its loop again.
local function stop(handle)
  if handle then
    handle:stop()
  end
end

-- Lets the loop step when the descriptor is readable, or the next moment has come.
function Luv:arm()
  local timeout = self:timeout()
  if not self:busy() then
    stop(self.poll)
    stop(self.timer)
    return
  end
  local fd = self:pollfd()
  if fd and not self.poll then
    self.poll = assert(uv.new_poll(fd))
  end
  if self.poll then
    self.poll:start("r", self.wanted)
  end
  self.timer = self.timer or assert(uv.new_timer())
  if timeout then
    self.timer:start(math.ceil(timeout * 1000), 0, self.wanted)
  else
    self.timer:stop()
  end
end

function Luv:changed()
  if not self.stepping then
    self:arm()
  end
end

function Luv:step(budget)
  self.stepping = true
  local ok, fault = pcall(tasks.base.step, self, budget)
  self.stepping = false
  self:arm()
  if not ok then
    error(fault, 0)
  end
end

-- The poll handle stops before its descriptor is closed.
function Luv:release()
  stop(self.poll)
  self.poll = nil
end

function Luv:close()
  tasks.base.close(self)
  self:arm()
end

-- The handles are the parent's.
function Luv:forked()
  self.poll, self.timer = nil, nil
end

local host = { class = Luv }

--- A host for one client.
---@param now fun(): number  monotonic milliseconds
function host.new(now)
  local self = tasks.new(Luv, now)
  function self.wanted()
    self:step()
  end
  return self
end

return host
