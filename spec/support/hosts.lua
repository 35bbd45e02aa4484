--- The hosts that the conformance specs run under. Each makes a client of its kind and runs a
--- function in its way until that has ended:
--
--     hosts.script.run(ks, fn)     -- fn(ks), raising what it raised
--
-- A spec of another process (nginx) adds entries of its own, or runs the bodies there.
local core = require "keysecure.core"

local hosts = {}

local LIMIT = 60 -- seconds that a body may take

hosts.script = { options = { host = "script" } }

function hosts.script.run(ks, fn)
  fn(ks)
end

-- What a spawned body came to.
local function outcome()
  local self = {}
  function self.done(_, fault)
    self.ended, self.fault = true, fault
  end
  function self.tell()
    if not self.ended then
      error("the body did not end", 0)
    elseif self.fault ~= nil then
      error(self.fault, 0)
    end
  end
  return self
end

hosts.tick = { options = { host = "tick" } }

function hosts.tick.run(ks, fn)
  local result, give_up = outcome(), core.seconds() + LIMIT
  ks:spawn(fn, result.done, ks)
  while ks:pending() > 0 and core.seconds() < give_up do
    ks:step(0.005)
    core.sleep(2)
  end
  result.tell()
end

hosts.cqueues = { options = { host = "cqueues" }, module = "cqueues" }

function hosts.cqueues.run(ks, fn)
  local controller, result = require "cqueues".new(), outcome()
  controller:wrap(function()
    ks:spawn(fn, result.done, ks)
  end)
  local give_up = core.seconds() + LIMIT
  while not controller:empty() and core.seconds() < give_up do
    assert(controller:step(1))
  end
  result.tell()
end

-- The host of cqueues, where no controller runs.
hosts.cqueues_outside = { options = { host = "cqueues" }, module = "cqueues",
  run = hosts.script.run }

hosts.luv = { options = { host = "luv" }, module = "luv" }

function hosts.luv.run(ks, fn)
  local uv, result = require "luv", outcome()
  local limit = uv.new_timer()
  uv.update_time() -- the loop's own clock stood still while it did not run
  limit:start(LIMIT * 1000, 0, uv.stop)
  ks:spawn(fn, result.done, ks)
  limit:unref()
  uv.run()
  limit:stop()
  result.tell()
end

--- The names of those that this machine can run, and of those that it can't.
function hosts.available()
  local can, cannot = {}, {}
  for _, name in ipairs { "script", "tick", "cqueues", "cqueues_outside", "luv" } do
    local module = hosts[name].module
    local list = (not module or pcall(require, module)) and can or cannot
    list[#list + 1] = name
  end
  return can, cannot
end

return hosts
