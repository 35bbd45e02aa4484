--- What the journals of a webhook tell: counts, times, and each clearing beside its authorization.
local api = require "keysecure.api"
local cjson = require "cjson"
local money = require "keysecure.money"

local report = {}

local LIMIT = api.decision_limit * 1000 -- milliseconds

local Report = {}
Report.__index = Report

--- An empty report, to be fed.
function report.new()
  return setmetatable({
    authorizations = { count = 0, approved = 0, declined = 0, duplicates = 0, over_limit = 0,
      fallbacks = 0, reasons = {} },
    durations = {}, late = { count = 0, approved = 0 },
    callbacks = { count = 0, taken = 0, not_taken = 0, ignored = 0, duplicates = 0 },
    purchases = {}, clearings = {}, dropped = 0, unreadable = 0,
  }, Report)
end

local FALLBACKS = { timeout = true, overload = true, error = true, store = true, nonsense = true }

local function purchase_of(self, consume_no)
  local purchase = self.purchases[consume_no] or {}
  self.purchases[consume_no] = purchase
  return purchase
end

local function add_authorization(self, entry)
  local sums = self.authorizations
  sums.count = sums.count + 1
  sums.over_limit = sums.over_limit + (entry.ms > LIMIT and 1 or 0)
  self.durations[#self.durations + 1] = entry.ms
  if entry.duplicate then
    sums.duplicates = sums.duplicates + 1
    return
  end
  local verdict = entry.decision == "approve" and "approved" or "declined"
  sums[verdict] = sums[verdict] + 1
  sums.reasons[entry.reason] = (sums.reasons[entry.reason] or 0) + 1
  sums.fallbacks = sums.fallbacks + (FALLBACKS[entry.reason] and 1 or 0)
  if entry.consume_no and entry.reason ~= "changed" then
    local purchase = purchase_of(self, entry.consume_no)
    purchase.approved, purchase.amount = entry.decision == "approve", entry.amount
  end
end

-- Consumptions that were asked about before; fees and the like come without an Auth.
local ASKED = { Consumption = true, Atm = true }

local function add_consumption(self, entry)
  if entry.consume_no and ASKED[entry.type] then
    local purchase = purchase_of(self, entry.consume_no)
    purchase.status, purchase.cleared = entry.status, entry.amount
  end
end

local function add_callback(self, entry)
  local sums = self.callbacks
  sums.count = sums.count + 1
  if entry.duplicate then
    sums.duplicates = sums.duplicates + 1
  elseif entry.reason == "ignored" then
    sums.ignored = sums.ignored + 1
  else
    local verdict = entry.decision == "taken" and "taken" or "not_taken"
    sums[verdict] = sums[verdict] + 1
  end
  if entry.action == "Consumption" and entry.decision == "taken" then
    add_consumption(self, entry)
  end
end

local function add_late(self, entry)
  self.late.count = self.late.count + 1
  self.late.approved = self.late.approved + (entry.decision == "approve" and 1 or 0)
end

local function is_entry(entry)
  return type(entry) == "table" and (entry.kind == "dropped" and type(entry.count) == "number"
    or type(entry.ms) == "number" and type(entry.action) == "string")
end

--- Takes in one line of a journal.
---@param line string
function Report:add(line)
  local ok, entry = pcall(cjson.decode, line)
  if not ok or not is_entry(entry) then
    self.unreadable = self.unreadable + (line:find "%S" and 1 or 0)
  elseif entry.kind == "dropped" then
    self.dropped = self.dropped + entry.count
  elseif entry.kind == "late" then
    add_late(self, entry)
  elseif entry.action == "Auth" then
    add_authorization(self, entry)
  else
    add_callback(self, entry)
  end
end

-- The value that a share of all does not exceed (nearest rank).
local function quantile(sorted, share)
  return sorted[math.max(1, math.ceil(share * #sorted))]
end

--- Milliseconds of the authorizations: p50, p99, p999 and max; nil where there are none.
---@return table|nil
function Report:times()
  local sorted = {}
  for i, duration in ipairs(self.durations) do
    sorted[i] = duration
  end
  table.sort(sorted)
  return sorted[1] and { p50 = quantile(sorted, 0.5), p99 = quantile(sorted, 0.99),
    p999 = quantile(sorted, 0.999), max = sorted[#sorted] } or nil
end

local function differ(a, b)
  return not money.is(a) or not money.is(b) or money.compare(a, b) ~= 0
end

--- Clearings beside authorizations: how many match; lists of consume_no that were cleared with
--- another amount or without approval; how many approved ones failed, and how many are open.
---@return table
function Report:reconciled()
  local result = { cleared = 0, failed = 0, open = 0, amount_differs = {}, not_approved = {} }
  for consume_no, purchase in pairs(self.purchases) do
    local list
    if purchase.status == "Success" then
      list = not purchase.approved and result.not_approved
        or differ(purchase.amount, purchase.cleared) and result.amount_differs or nil
      result.cleared = result.cleared + (list and 0 or 1)
    elseif purchase.approved then
      local what = purchase.status == "Fail" and "failed" or "open"
      result[what] = result[what] + 1
    end
    if list then
      list[#list + 1] = consume_no
    end
  end
  table.sort(result.amount_differs)
  table.sort(result.not_approved)
  return result
end

return report
