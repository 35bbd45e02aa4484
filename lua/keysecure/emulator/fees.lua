--- What a card costs, from the `fee_detail` of its package: rates in percent, rounded half up to
--- cents, and fixed amounts. What each name means is assumed: A18, A22 to A28.
local money = require "keysecure.money"
local catalog = require "keysecure.emulator.catalog"
local ledger = require "keysecure.emulator.ledger"

local fees = {}

local DAY = 86400000 -- milliseconds

local function percent(amount, rate)
  return money.multiply(money.multiply(amount, rate), "0.01", 2)
end

-- Whether one more is free, of so many that are: ever, or within the last days.
local function is_free(platform, card, marker, kind, count, days)
  if kind == "None" then
    return false
  end
  local since = kind == "Day" and platform.clock:now() - days * DAY or 0
  local used = ledger.records(platform, card, since, function(row) return row[marker] end)
  return #used < count
end

local function add(list, kind, amount)
  if not ledger.is_zero(amount) then
    list[#list + 1] = { fee_type = kind, amount = amount }
  end
end

local function total(list)
  local sum = "0.00"
  for _, fee in ipairs(list) do
    sum = money.add(sum, fee.amount)
  end
  return sum
end

local function is_small(detail, amount)
  return money.compare(amount, detail.small_consume_threshold) < 0
end

--- Whether a purchase is small, and one of the small ones that cost nothing extra [A23].
---@param platform table
---@param card table
---@param amount string
---@return boolean small
---@return boolean|nil free
function fees.small(platform, card, amount)
  local detail = catalog.offer_of(card).fee_detail
  if not is_small(detail, amount) then
    return false
  end
  return true, is_free(platform, card, "small", detail.free_small_excuse_type,
    detail.free_small_consume_count, detail.free_small_excuse_days)
end

local function atm_fee(detail, amount)
  local fee = percent(amount, detail.atm_rate)
  return money.compare(fee, detail.atm_min_fee) < 0 and detail.atm_min_fee or fee
end

--- What a purchase costs beside its amount.
---@param card table
---@param row table      the purchase: type, local_currency, apple_pay, small_free
---@param amount string  what is paid
---@return string fee
---@return table[] fee_list
function fees.of_purchase(card, row, amount)
  local detail, list = catalog.offer_of(card).fee_detail, {}
  if row.type == "Atm" then
    add(list, "Atm_fee", atm_fee(detail, amount)) -- A27
  else
    add(list, "Consume_fee", percent(amount, detail.consume_rate)) -- A18
  end
  if row.local_currency ~= "USD" then
    add(list, "Exchange_fee", percent(amount, detail.cross_consume_rate)) -- A22
  end
  if is_small(detail, amount) and not row.small_free then
    add(list, "Small_fee", detail.small_consume_deduct) -- A23
  end
  if row.apple_pay then
    add(list, "Apple_auth_fee", detail.apple_pay_fee) -- A28
  end
  return total(list), list
end

--- What a declined purchase costs [A24].
---@param platform table
---@param card table
---@return string fee
---@return table[] fee_list
function fees.of_decline(platform, card)
  local detail, list = catalog.offer_of(card).fee_detail, {}
  if not is_free(platform, card, "declined", detail.decline_fee_free_type,
    detail.decline_fee_free_count, detail.decline_fee_free_days) then
    add(list, "Decline_fee",
      ledger.at_most(detail.decline_fee, ledger.available(platform, card)))
  end
  return total(list), list
end

--- What a refund costs [A25].
---@param card table
---@param amount string
---@return string fee
---@return table[] fee_list
function fees.of_refund(card, amount)
  local list = {}
  add(list, "Refund_fee", percent(amount, catalog.offer_of(card).fee_detail.refund_rate))
  return total(list), list
end

--- What a reversal costs [A26].
---@param card table
---@param amount string
---@return string fee
---@return table[] fee_list
function fees.of_reversal(card, amount)
  local detail, list = catalog.offer_of(card).fee_detail, {}
  if money.compare(amount, detail.consume_cancel_threshold) >= 0 then
    add(list, "Cancel_fee", detail.consume_cancle_fee)
  end
  return total(list), list
end

return fees
