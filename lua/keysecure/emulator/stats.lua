--- What the emulator counts, so that a test can ask how a client behaved.
local stats = {}

---@class keysecure.emulator.Stats
---@field requests table<string, integer>  per operation
---@field codes table<integer, integer>    per code answered
---@field token_requests integer           tokens given out
---@field future_timestamps integer        requests whose Timestamp was in the server's future
---@field largest_timestamp_age integer    milliseconds
local Stats = {}
Stats.__index = Stats

---@return keysecure.emulator.Stats
function stats.new()
  return setmetatable({ total = 0, requests = {}, codes = {}, token_requests = 0,
    future_timestamps = 0, largest_timestamp_age = 0 }, Stats)
end

local function count(counts, key)
  counts[key] = (counts[key] or 0) + 1
end

---@param operation string
function Stats:request(operation)
  self.total = self.total + 1
  count(self.requests, operation)
end

---@param code integer
function Stats:answered(code)
  count(self.codes, string.format("%d", code))
end

function Stats:token()
  self.token_requests = self.token_requests + 1
end

---@param age integer  milliseconds
function Stats:timestamp(age)
  if age < 0 then
    self.future_timestamps = self.future_timestamps + 1
  end
  self.largest_timestamp_age = math.max(self.largest_timestamp_age, age)
end

---@return table
function Stats:snapshot()
  return { total = self.total, requests = self.requests, codes = self.codes,
    token_requests = self.token_requests, future_timestamps = self.future_timestamps,
    largest_timestamp_age = self.largest_timestamp_age }
end

return stats
