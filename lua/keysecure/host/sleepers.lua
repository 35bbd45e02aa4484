--- Who waits for a moment, soonest first; and of those, who may be woken before it because they
--- wait for another call's token.

---@class keysecure.Sleeper
---@field moment number      monotonic ms
---@field order integer      first come, first woken, where moments are the same
---@field waiter any
---@field woken? true        before its moment: still in the heap, and passed over there

local Sleepers = {}
Sleepers.__index = Sleepers

local sleepers = {}

function sleepers.new()
  return setmetatable({ heap = {}, for_token = {}, count = 0, order = 0 }, Sleepers)
end

local function before(a, b)
  if a.moment == b.moment then
    return a.order < b.order
  end
  return a.moment < b.moment
end

local function sift_up(heap, at)
  local sleeper = heap[at]
  while at > 1 do
    local above = math.floor(at / 2)
    if not before(sleeper, heap[above]) then
      break
    end
    heap[at], at = heap[above], above
  end
  heap[at] = sleeper
end

local function sift_down(heap)
  local sleeper, at, size = heap[1], 1, #heap
  while 2 * at <= size do
    local below = 2 * at
    if below < size and before(heap[below + 1], heap[below]) then
      below = below + 1
    end
    if not before(heap[below], sleeper) then
      break
    end
    heap[at], at = heap[below], below
  end
  heap[at] = sleeper
end

local function take_first(heap)
  local first, size = heap[1], #heap
  heap[1] = heap[size]
  heap[size] = nil
  if size > 2 then
    sift_down(heap)
  end
  return first
end

-- The first that has not been woken before its moment.
function Sleepers:first()
  while self.heap[1] and self.heap[1].woken do
    take_first(self.heap)
  end
  return self.heap[1]
end

--- Lets `waiter` sleep until `moment`.
---@param moment number      monotonic ms
---@param waiter any
---@param for_token? boolean  may be woken by `wake_for_token`
function Sleepers:add(moment, waiter, for_token)
  self.order = self.order + 1
  local sleeper = { moment = moment, order = self.order, waiter = waiter }
  self.count = self.count + 1
  self.heap[#self.heap + 1] = sleeper
  sift_up(self.heap, #self.heap)
  if for_token then
    self.for_token[#self.for_token + 1] = sleeper
  end
end

--- When the next one wants to be woken.
---@return number|nil moment
function Sleepers:nearest()
  local first = self:first()
  return first and first.moment
end

--- Takes out the next one whose moment is not after `now`.
---@return any|nil waiter
function Sleepers:take_due(now)
  local first = self:first()
  if not first or first.moment > now then
    return nil
  end
  take_first(self.heap)
  first.woken = true
  self.count = self.count - 1
  return first.waiter
end

--- Takes out all that wait for a token, first come first, and gives each to `wake`.
---@param wake fun(waiter: any)
function Sleepers:take_for_token(wake)
  local waiting = self.for_token
  self.for_token = {}
  for _, sleeper in ipairs(waiting) do
    if not sleeper.woken then
      sleeper.woken = true
      self.count = self.count - 1
      wake(sleeper.waiter)
    end
  end
end

return sleepers
