-- A platform for your own specs: one emulator for the run, on a free port, forgetting everything
-- between tests. It needs no clean-up: it is a child process that ends when busted does.
--
-- busted drops the modules that a spec file loads when that file is done. This one is its helper
-- (see .busted), so what is loaded here stays: the event loop behind the control endpoints, which
-- must not be loaded twice, and the emulator itself.
require "http.request"
local emulator = require "keysecure.emulator"
local keysecure = require "keysecure"

-- `start` returns once the emulator listens. Nothing takes time unless a test wants it to.
local running = assert(emulator.start { port = 0, kyc_delay = 0, issue_delay = 0 })

local platform = { address = running.address }

--- Forgets cardholders, cards, purchases, faults and options: call it before each test.
function platform.reset()
  assert(running:control("POST", "reset"))
end

--- A client, as your program makes one. A program that reads its environment is pointed here by
--- KEYSECURE_ENVIRONMENT=emulator and KEYSECURE_ADDRESS.
---@param mode? "credit"|"authorization"
---@param changes? table  options
function platform.client(mode, changes)
  local options = { environment = "emulator", address = platform.address,
    mode = mode or "credit" }
  for name, value in pairs(changes or {}) do
    options[name] = value
  end
  return assert(keysecure.new(options))
end

--- Breaks the next answer of an operation: { operation = "cards.apply", code = 1001 }.
function platform.fault(fault)
  assert(running:control("POST", "faults", fault))
end

--- What the emulator holds: cardholders, cards, transfers, consumptions.
function platform.state()
  return assert(running:control("GET", "state"))
end

return platform
