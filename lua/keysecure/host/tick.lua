--- The host of a loop with frames, such as a game server: nothing ever blocks it.
--
-- Calls are made inside `ks:spawn(fn, done)`, or with `done` among their options; `ks:step(budget)`
-- once a frame does the rest. A call made anywhere else would hold the frame up, and raises
-- instead. Under PUC Lua 5.1, which can't yield across `pcall` or a `for` iterator, use neither
-- around a call; it raises there too, before anything is sent.
local errors = require "keysecure.errors"
local tasks = require "keysecure.host.tasks"

local Tick = tasks.class()

local BLOCKS = "a call here would block the loop: make it inside ks:spawn(fn, done), or give it"
  .. " { done = fn }"
local FOREIGN = "a call in a coroutine of your own, or called back by C, can't wait:"
  .. " make it in the spawned function itself"

function Tick:outsider()
  errors.misuse(self.running and FOREIGN or BLOCKS)
end

function Tick:check()
  tasks.base.check(self)
  if not self:in_task() then
    self:outsider()
  end
end

local tick = { class = Tick }

--- A host for one client.
---@param now fun(): number  monotonic milliseconds
function tick.new(now)
  return tasks.new(Tick, now)
end

return tick
