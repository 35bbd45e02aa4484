--- A transport over real HTTP that loses what it is told to lose: a request before it arrives, or
--- its answer after it was carried out.
local core = require "keysecure.core"
local curl = require "keysecure.transport.curl"
local script = require "keysecure.host.script"

local lossy = {}

local Lossy = {}
Lossy.__index = Lossy

--- `rule(request, number, self)` is asked about each request but those for tokens; `number` counts
--- those to the same path. It answers nothing to let it through, or
---   "answer"   it is carried out, and its answer lost
---   "request"  it is lost on its way, kept, and arrives when `deliver` is called
---   "unsent"   no byte of it was written
---   a table    the answer, from something that stands before the platform
--- and may change the request.
---@param options table  of the transport
---@param rule fun(request: table, number: integer, self: table): string|table|nil
function lossy.new(options, rule)
  return setmetatable({ real = curl.new(options, script.new(core.now)), rule = rule, counts = {},
    held = {}, log = {} }, Lossy)
end

local function path_of(request)
  return request.url:match "/open%-api/v1(/.*)$"
end

local LOST = { reason = "receive", reached = "sent", message = "the connection was reset" }
local UNSENT = { reason = "connect", reached = "resolved", message = "connection refused" }

function Lossy:perform(request)
  local path = path_of(request)
  if path == "/merchant/token" then
    return self.real:perform(request)
  end
  self.counts[path] = (self.counts[path] or 0) + 1
  self.log[#self.log + 1] = path
  local fate = self.rule(request, self.counts[path], self)
  if fate == "request" then
    self.held[#self.held + 1] = request
    return nil, LOST
  elseif fate == "unsent" then
    return nil, UNSENT
  elseif type(fate) == "table" then
    return fate
  end
  local answer, failure = self.real:perform(request)
  if fate == "answer" then
    assert(answer, failure and failure.message)
    return nil, LOST
  end
  return answer, failure
end

--- Lets the oldest request that was lost on its way arrive after all; returns the answer to it.
function Lossy:deliver()
  local request = assert(table.remove(self.held, 1), "nothing was lost")
  request.timeout = 20
  return assert(self.real:perform(request)).body
end

function Lossy:close()
  self.real:close()
end

return lossy
