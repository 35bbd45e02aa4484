--- A loop of cqueues: handlers run in coroutines of their own beside the one that answers. What
--- this host has is described in `inline`.
local cqueues = require "cqueues"
local condition = require "cqueues.condition"
local protect = require("keysecure.protect").call

local Signal = {}
Signal.__index = Signal

function Signal:wait(seconds)
  self.condition:wait(seconds)
end

function Signal:raise()
  self.condition:signal()
end

return {
  call = protect,
  spawn = function(_, fn, ...)
    cqueues.running():wrap(fn, ...)
  end,
  signal = function()
    return setmetatable({ condition = condition.new() }, Signal)
  end,
  sleep = cqueues.sleep,
  log = function(text)
    io.stderr:write("keysecure webhook: ", text, "\n")
  end,
  waits = true,
}
