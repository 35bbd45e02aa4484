--- Runs functions when they fall due by the emulator's clock: KYC and issuing that advance, and
--- callbacks that are repeated.
local needs = require "keysecure.emulator.needs"
local condition = needs "cqueues.condition"

local scheduler = {}

---@class keysecure.emulator.Scheduler
local Scheduler = {}
Scheduler.__index = Scheduler

--- `spawn` starts a function as a coroutine of the event loop.
---@param clock keysecure.emulator.Clock
---@param spawn fun(fn: function)
---@return keysecure.emulator.Scheduler
function scheduler.new(clock, spawn)
  return setmetatable({ clock = clock, spawn = spawn, changed = condition.new(), entries = {} },
    Scheduler)
end

-- A binary heap by due time, first come first served where that is equal.
local function before(a, b)
  return a.due < b.due or (a.due == b.due and a.order < b.order)
end

local function sift_up(heap, i)
  while i > 1 do
    local parent = math.floor(i / 2)
    if not before(heap[i], heap[parent]) then
      return
    end
    heap[i], heap[parent] = heap[parent], heap[i]
    i = parent
  end
end

local function sift_down(heap, i)
  while true do
    local least = i
    for child = 2 * i, 2 * i + 1 do
      if heap[child] and before(heap[child], heap[least]) then
        least = child
      end
    end
    if least == i then
      return
    end
    heap[i], heap[least] = heap[least], heap[i]
    i = least
  end
end

local function pop(heap)
  local first = heap[1]
  heap[1] = heap[#heap]
  heap[#heap] = nil
  sift_down(heap, 1)
  return first
end

--- Runs `fn` in a coroutine of its own once the clock's `life` has reached `due`.
---@param due integer  milliseconds
---@param fn fun()
function Scheduler:at(due, fn)
  self.order = (self.order or 0) + 1
  local heap = self.entries
  heap[#heap + 1] = { due = due, order = self.order, fn = fn }
  sift_up(heap, #heap)
  self.changed:signal()
end

--- Moves the time forward, stopping at everything that falls due on the way: each happens at its
--- own moment, one after the other, and sees the time that it should. May yield.
---@param moment integer  by the clock's life, milliseconds
function Scheduler:travel(moment)
  while self.entries[1] and self.entries[1].due <= moment do
    local entry = pop(self.entries)
    self.clock:reach(entry.due)
    entry.fn()
  end
  self.clock:reach(moment)
  self:wake()
end

--- Forgets all that is waiting.
function Scheduler:clear()
  self.entries = {}
end

--- Looks at the clock again, after it was moved.
function Scheduler:wake()
  self.changed:signal()
end

--- The loop; runs for ever in a coroutine of its own.
function Scheduler:run()
  while true do
    local first = self.entries[1]
    local wait = first and (first.due - self.clock:life()) / 1000
    if wait and wait <= 0 then
      self.spawn(pop(self.entries).fn)
    else
      self.changed:wait(wait)
    end
  end
end

return scheduler
