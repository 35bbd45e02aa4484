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

local openresty = {}

local function signal()
  return setmetatable({ semaphore = assert(semaphore.new(0)), waiting = 0 }, Signal)
end

local function log(text)
  ngx.log(ngx.ERR, "keysecure webhook: ", text)
end

local Host = { call = pcall, signal = signal, sleep = ngx.sleep, log = log, waits = true }
Host.__index = Host

local function run(host, fn, ...)
  fn(...)
  host.running = host.running - 1
end

function Host:spawn(fn, ...)
  self.running = self.running + 1
  ngx.thread.spawn(run, self, fn, ...)
end

--- The host for one request; `running` counts the threads that it has spawned and that go on.
---@return table host
function openresty.new()
  return setmetatable({ running = 0 }, Host)
end

return openresty
