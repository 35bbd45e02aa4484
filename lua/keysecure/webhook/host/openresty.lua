--- OpenResty: handlers run in light threads beside the one that answers. What this host has is
--- described in `inline`.
--
-- A light thread lives as long as its request, and a request as long as its light threads: that one
-- has sent its answer ends neither. So what comes late still comes.
-- luacheck: read globals ngx
local semaphore = require "ngx.semaphore"

local Signal = {}
Signal.__index = Signal

function Signal:wait(seconds)
  self.waiting = self.waiting + 1
  self.semaphore:wait(seconds)
  self.waiting = self.waiting - 1
end

function Signal:raise()
  if self.waiting > 0 then
    self.semaphore:post(self.waiting)
  end
end

return {
  call = pcall,
  spawn = ngx.thread.spawn,
  signal = function()
    return setmetatable({ semaphore = assert(semaphore.new(0)), waiting = 0 }, Signal)
  end,
  sleep = ngx.sleep,
  log = function(text)
    ngx.log(ngx.ERR, "keysecure webhook: ", text)
  end,
  waits = true,
}
