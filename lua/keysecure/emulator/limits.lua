--- What a card may spend, from the limits of its package or BIN [A30]: on one purchase, in a week,
--- and of cash in a day and a month. Weeks begin on Monday; days, weeks and months are those of
--- UTC+8.
local api = require "keysecure.api"
local datetime = require "keysecure.datetime"
local money = require "keysecure.money"
local catalog = require "keysecure.emulator.catalog"
local ledger = require "keysecure.emulator.ledger"

local limits = {}

local DAY = 86400 -- seconds
local FIRST_MONDAY = 4 * DAY -- 5 January 1970

local ZONE = datetime.zone_offset(api.default_timezone)

local function day_start(seconds)
  return math.floor((seconds + ZONE) / DAY) * DAY - ZONE
end

local function week_start(seconds)
  local shifted = seconds + ZONE - FIRST_MONDAY
  return math.floor(shifted / (7 * DAY)) * 7 * DAY + FIRST_MONDAY - ZONE
end

local function month_start(seconds)
  local month = datetime.format(seconds, api.default_timezone):sub(1, 8)
  return (datetime.parse(month .. "01", api.default_timezone))
end

-- What a purchase takes from a limit: what was cleared, or may still be, less what came back.
local function weight(row)
  return money.subtract(row.amount, row.returned)
end

local function is_cash(row)
  return row.type == "Atm"
end

local function is_purchase(row)
  return row.type == "Consumption" or is_cash(row)
end

local function spent(platform, card, since, counts)
  local sum = "0.00"
  local rows = ledger.records(platform, card, since * 1000, function(row)
    return row.status ~= "Fail" and not row.consume_relate_no and not row.undecided and counts(row)
  end)
  for _, row in ipairs(rows) do
    sum = money.add(sum, weight(row))
  end
  return sum
end

-- Each limit: whom it concerns, since when it counts (nil: this purchase alone), how it is called.
local RULES = {
  { name = "limit_balance", counts = is_purchase, says = "for one purchase" },
  { name = "limit_week_balance", counts = is_purchase, since = week_start, says = "of the week" },
  { name = "limit_atm_day_balance", counts = is_cash, since = day_start,
    says = "of cash for the day" },
  { name = "limit_atm_month_balance", counts = is_cash, since = month_start,
    says = "of cash for the month" },
}

--- Which limit a purchase would break; nil where it keeps them.
---@param platform table
---@param card table
---@param row table
---@return string|nil reason
function limits.broken(platform, card, row)
  local allowed = catalog.offer_of(card).limits
  local now = math.floor(platform.clock:now() / 1000)
  for _, rule in ipairs(RULES) do
    if rule.counts(row) then
      local sum = row.amount
      if rule.since then
        sum = money.add(sum, spent(platform, card, rule.since(now), rule.counts))
      end
      if money.compare(sum, allowed[rule.name]) > 0 then
        return "above the limit " .. rule.says
      end
    end
  end
end

return limits
