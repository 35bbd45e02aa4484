--- Plain Lua: handlers run inside `hook:answer`, which comes back when they do. Lateness shows
--- afterwards; nothing can be waited for but by sleeping.
--
-- A host is how a webhook waits; the others are `cqueues` and `openresty` beside this file:
--
--   host.call(fn, …)      pcall
--   host:spawn(fn, …)     runs it beside the caller, or at once
--   host.signal()         something to wait for: signal:wait(seconds), signal:raise() wakes all
--   host.sleep(seconds)
--   host.log(text)        the error log
--   host.waits            whether signals are worth waiting for
local core = require "keysecure.core"
local protect = require("keysecure.protect").call

local inline = {}

local NO_SIGNAL = { wait = function() end, raise = function() end }

local function log(text)
  io.stderr:write("keysecure webhook: ", text, "\n")
end

--- The host for plain Lua.
---@param sleep? fun(seconds: number)  how to let coroutines beside this one go on
---@return table host
function inline.new(sleep)
  local function wait(_, seconds)
    sleep(math.min(seconds, 0.005))
  end
  return {
    call = protect,
    spawn = function(_, fn, ...) fn(...) end,
    signal = function()
      return sleep and { wait = wait, raise = NO_SIGNAL.raise } or NO_SIGNAL
    end,
    sleep = sleep or function(seconds) core.sleep(seconds * 1000) end,
    log = log,
    waits = sleep ~= nil,
  }
end

return inline
