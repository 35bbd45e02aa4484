--- The emulator's log: one line per request and per delivery of a callback.
--
-- No line holds what a merchant sent or was sent: no secret, token, PAN, CVV or PIN, not even a
-- path with its numbers. Operation, code, the rule that was broken, and how long it took.
local log = {}

---@class keysecure.emulator.Log
local Log = {}
Log.__index = Log

--- `target`: "none", "stderr" or a file to append to.
---@param target string
---@param clock keysecure.emulator.Clock
---@return keysecure.emulator.Log|nil
---@return string|nil err
function log.open(target, clock)
  local file, err
  if target == "stderr" then
    file = io.stderr
  elseif target ~= "none" then
    file, err = io.open(target, "a")
    if not file then
      return nil, err
    end
    file:setvbuf("line")
  end
  return setmetatable({ file = file, clock = clock }, Log)
end

---@param format string
---@param ... any
function Log:write(format, ...)
  if self.file then
    local now = self.clock:now()
    local stamp = os.date("!%Y-%m-%dT%H:%M:%S", math.floor(now / 1000))
    self.file:write(string.format("%s.%03dZ ", stamp, math.floor(now % 1000)),
      string.format(format, ...):gsub("%c", " "), "\n")
  end
end

--- A request that was answered.
---@param method string
---@param name string      the operation, or what else was asked
---@param response { status: integer, code: integer|nil, note: string|nil }
---@param milliseconds number
function Log:request(method, name, response, milliseconds)
  self:write("%s %s -> %d code %s%s %.1f ms", method, name, response.status,
    tostring(response.code or "-"), response.note and " (" .. response.note .. ")" or "",
    milliseconds)
end

--- A callback that was sent.
---@param action string
---@param number integer  of the attempt
---@param attempt table
function Log:callback(action, number, attempt)
  self:write("callback %s attempt %d -> %s, %d ms", action, number, attempt.verdict,
    math.floor(attempt.latency_ms))
end

--- A mistake of the emulator itself.
---@param what string
---@param err any
function Log:failure(what, err)
  self:write("FAILURE in %s: %s", what, tostring(err))
end

function Log:close()
  if self.file and self.file ~= io.stderr then
    self.file:close()
  end
  self.file = nil
end

return log
