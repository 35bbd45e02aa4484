--- What a client counts, for `ks:stats()`.

local stats = {}

---@class keysecure.Stats
---@field calls integer           that ended, whatever the end
---@field outcomes table<string, integer>  of calls: done, not_sent, refused, unknown
---@field attempts integer        requests of operations, look-ups included; those for a token not
---@field token_requests integer
---@field retries integer         attempts that were not a call's first
---@field codes table<integer, integer>  answered by the platform, per code; 0 is not counted
---@field waited number           milliseconds of pauses before attempts and look-ups
---@field lookups integer         reads made to settle a write
---@field settled table<string, integer>  writes that were, by how: found, existing
local Stats = {}
Stats.__index = Stats

---@return keysecure.Stats
function stats.new()
  return setmetatable({ calls = 0, attempts = 0, token_requests = 0, retries = 0, waited = 0,
    lookups = 0, outcomes = { done = 0, not_sent = 0, refused = 0, unknown = 0 }, codes = {},
    settled = { found = 0, existing = 0 } }, Stats)
end

--- Counts a request that ended.
---@param token boolean
---@param number integer  which of its call's it was
---@param code integer|nil
function Stats:attempt(token, number, code)
  if token then
    self.token_requests = self.token_requests + 1
  else
    self.attempts = self.attempts + 1
    if number > 1 then
      self.retries = self.retries + 1
    end
  end
  if code then
    self.codes[code] = (self.codes[code] or 0) + 1
  end
end

--- Counts a call that ended.
---@param outcome "done"|"not_sent"|"refused"|"unknown"
---@param how keysecure.How
function Stats:call(outcome, how)
  self.calls = self.calls + 1
  self.outcomes[outcome] = self.outcomes[outcome] + 1
  self.waited = self.waited + how.waited
  self.lookups = self.lookups + how.lookups
  if how.settled then
    self:settle(how.settled)
  end
end

--- Counts a write that was settled.
---@param by "found"|"existing"
function Stats:settle(by)
  self.settled[by] = self.settled[by] + 1
end

local function copy(source)
  local result = {}
  for key, value in pairs(source) do
    result[key] = type(value) == "table" and copy(value) or value
  end
  return result
end

--- The counts so far, to keep.
---@return table
function Stats:snapshot()
  return copy(self)
end

return stats
