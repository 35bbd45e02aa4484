--- Many calls at the same time under one host.
--
--   lua bench/host_calls.lua calls  ADDRESS HOST CALLS
--                                  -> {"seconds", "cpu", "worst_ms", "worst_cpu_ms", "lost"}
--   lua bench/host_calls.lua memory ADDRESS tick CALLS   -> {"kib_per_call", "lost", "seconds"}
--   lua bench/host_calls.lua idle   ADDRESS HOST SECONDS -> waits, with a connection kept
--
-- `worst_ms` is the longest that the loop was held: under `tick` and `luv` the longest step with
-- all that it handed out, under cqueues the longest that another coroutine was kept from its turn.
-- `worst_cpu_ms` is what a step computed at most, which other programs of the machine don't change.
local core = require "keysecure.core"
local keysecure = require "keysecure"

local what, address, host, amount = arg[1], arg[2], arg[3], tonumber(arg[4])
local calls = what == "idle" and 1 or amount

local ks = assert(keysecure.new { address = address, api_key = "bench", host = host,
  api_secret = "0123456789abcdef", timeout = 120, max_connections = math.max(calls, 256) })

local answered, held, computed = 0, 0, 0

local function detail()
  local card = keysecure.assert(ks.cards:detail { card_no = "C202605220001" })
  assert(card.status == "Activated")
  answered = answered + 1
end

-- Loops ----------------------------------------------------------------------------------------

local loops = {}

local function time_steps()
  local step = ks.host.step
  function ks.host.step(...)
    local started, cpu = core.seconds(), os.clock()
    step(...)
    computed = math.max(computed, os.clock() - cpu)
    held = math.max(held, core.seconds() - started)
  end
end

function loops.script()
  local items = {}
  for i = 1, calls do
    items[i] = i
  end
  local _, failures = ks:parallel(calls, items, detail)
  assert(not failures, failures and tostring(failures[next(failures)]))
end

function loops.tick()
  local frame, began = 0, core.seconds()
  for _ = 1, calls do
    ks:spawn(detail)
  end
  while ks:pending() > 0 do
    frame = frame + 1
    ks:step(0.004)
    core.sleep(math.max(0, began + frame / 30 - core.seconds()) * 1000)
  end
end

function loops.luv()
  for _ = 1, calls do
    ks:spawn(detail)
  end
  require "luv".run()
end

function loops.cqueues()
  local cqueues = require "cqueues"
  local loop, left = cqueues.new(), calls
  for _ = 1, calls do
    loop:wrap(function()
      detail()
      left = left - 1
    end)
  end
  loop:wrap(function()
    while left > 0 do
      local wanted = core.seconds() + 0.002
      cqueues.sleep(0.002)
      held = math.max(held, core.seconds() - wanted)
    end
  end)
  assert(loop:loop())
end

-- What is measured -----------------------------------------------------------------------------

local measures = {}

local function warm()
  local wanted = calls
  calls = 1
  loops[host]()
  calls, answered, held, computed = wanted, 0, 0, 0
end

local function kib()
  local file = assert(io.open("/proc/self/statm"))
  local _, resident = file:read("*n", "*n")
  file:close()
  return resident * 4
end

function measures.calls()
  time_steps()
  warm()
  local started, cpu = core.seconds(), os.clock()
  loops[host]()
  return string.format('{"seconds": %.3f, "cpu": %.3f, "worst_ms": %.2f, "worst_cpu_ms": %.2f,'
    .. ' "lost": %d}', core.seconds() - started, os.clock() - cpu, held * 1000, computed * 1000,
    calls - answered)
end

-- The memory is what it comes to before the first answer, with all of them under way.
function measures.memory()
  warm()
  collectgarbage()
  local before, most, in_flight, started = kib(), 0, 0, core.seconds()
  for _ = 1, calls do
    ks:spawn(detail)
  end
  while ks:pending() > 0 do
    if answered == 0 then
      most, in_flight = math.max(most, kib()), ks.transport.engine:pending()
    end
    ks:step(0.004)
    core.sleep(1)
  end
  assert(in_flight == calls, in_flight)
  return string.format('{"kib_per_call": %.2f, "lost": %d, "seconds": %.2f}',
    (most - before) / calls, calls - answered, core.seconds() - started)
end

function measures.idle()
  local cqueues = require "cqueues"
  loops[host]()
  cqueues.poll(ks, 0.05) -- it loads the rest of itself when it is first used
  io.stdout:write("idle\n")
  io.stdout:flush()
  if host == "luv" then
    local uv = require "luv"
    local timer = uv.new_timer()
    timer:start(amount * 1000, 0, function() timer:stop() end)
    uv.run()
  else
    cqueues.poll(ks, amount)
  end
  return "awake"
end

print(measures[what]())
ks:close()
