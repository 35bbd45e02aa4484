--- The life of a purchase: authorization, clearing, failure, reversal, refund, and what each does
--- to the cardholder's account.
--
-- In credit mode what an authorized purchase may still cost is held until it clears or fails; in
-- authorization mode the merchant decides and keeps the money. Every step is told to the merchant.
local money = require "keysecure.money"
local events = require "keysecure.emulator.events"
local fees = require "keysecure.emulator.fees"
local ledger = require "keysecure.emulator.ledger"
local limits = require "keysecure.emulator.limits"
local refuse = require "keysecure.emulator.refuse"

local purchases = {}

local function card_of(platform, row)
  return platform.store:find("cards", "card_no", row.card_no)
end

-- What may still be cleared of a Pending purchase.
local function open_of(row)
  return money.subtract(money.subtract(row.amount, row.returned), row.cleared)
end

-- Fee and list of what a purchase costs; nothing where no account is kept.
local function fee_of(platform, row, amount)
  if not ledger.has_account(platform, row) then
    return "0.00", {}
  end
  return fees.of_purchase(card_of(platform, row), row, amount)
end

local function settle_fee(platform, row, fee, list)
  platform.store:update("consumptions", row, { fee = fee, fee_list = list })
end

-- Authorization -------------------------------------------------------------------------------

local function covered(platform, row)
  return money.compare(ledger.available(platform, row), money.add(row.amount, row.fee)) >= 0
end

-- The merchant's word, if the card is still what it was when the merchant was asked [A31].
local function ask(platform, card, row)
  local approved, reason = platform.callbacks:ask(ledger.merchant_of(platform, row),
    events.auth(row), row.consume_no)
  if approved and card.status ~= "Activated" then
    return false, "card is " .. card.status
  end
  return approved, reason
end

-- Whether the purchase may be made, and why not.
local function decide(platform, card, row)
  local broken = limits.broken(platform, card, row)
  if card.status ~= "Activated" then
    return false, "card is " .. card.status
  elseif broken then
    return false, broken
  elseif ledger.has_account(platform, card) then
    return covered(platform, row), "insufficient balance"
  end
  return ask(platform, card, row)
end

local function new_purchase(platform, card, values)
  local amount = ledger.plain(values.amount)
  local small, small_free
  if ledger.has_account(platform, card) then
    small, small_free = fees.small(platform, card, amount)
  end
  local row = ledger.record(platform, card, {
    type = values.type or "Consumption", amount = amount,
    local_amount = ledger.plain(values.local_amount or amount),
    local_currency = values.local_currency, merchant_info = values.merchant_info,
    apple_pay = values.apple_pay, small = small, small_free = small_free, status = "Pending",
    undecided = true,
  })
  settle_fee(platform, row, fee_of(platform, row, amount))
  return row
end

-- A card that is gone costs nothing any more.
local function decline(platform, card, row, reason)
  local fee, list = "0.00", {}
  if ledger.has_account(platform, card) and card.status ~= "Delete" then
    fee, list = fees.of_decline(platform, card)
    ledger.withdraw(platform, row, fee)
  end
  platform.store:update("consumptions", row, { status = "Fail", remark = reason, declined = true })
  settle_fee(platform, row, fee, list)
end

--- Rehearses a purchase.
---@param platform table
---@param card table
---@param values table  of simulate.auth
---@return table|nil row  Pending where it was approved, Fail where it was not
---@return keysecure.emulator.Refusal|nil
function purchases.authorize(platform, card, values)
  local row, store = new_purchase(platform, card, values), platform.store
  local approved, reason = decide(platform, card, row)
  if platform.store ~= store then
    return refuse(1001, nil, "everything was forgotten meanwhile")
  end
  store:clear("consumptions", row, "undecided")
  if approved then
    ledger.hold(platform, row, money.add(row.amount, row.fee))
  else
    decline(platform, card, row, reason)
  end
  ledger.tell(platform, row)
  return row
end

--- Lets purchases fail that an earlier process was asking about when it ended.
---@param platform table
function purchases.resume(platform)
  for _, row in ipairs(platform.store:rows("consumptions")) do
    if row.undecided then
      platform.store:clear("consumptions", row, "undecided")
      platform.store:update("consumptions", row,
        { status = "Fail", remark = "the emulator ended before the decision" })
      ledger.tell(platform, row)
    end
  end
end

-- Clearing ------------------------------------------------------------------------------------

-- The fee is that of what was cleared in the end. What was reversed before has records of its own,
-- so the amount includes it: records add up to the account, in whatever order they are read [A5].
local function finish(platform, row, remark)
  local fee, list = fee_of(platform, row, row.cleared)
  ledger.withdraw(platform, row, fee)
  ledger.hold(platform, row, "0.00")
  settle_fee(platform, row, fee, list)
  platform.store:update("consumptions", row, { status = "Success", remark = remark,
    amount = money.add(row.cleared, row.returned) })
end

--- Clears a Pending purchase [A5]: all that is open, or `amount`, which may be more than that. With
--- `final` false what is left stays open for the next clearing.
---@param platform table
---@param row table
---@param values { amount: string|nil, final: boolean|nil, remark: string|nil }
---@return table|nil row
---@return keysecure.emulator.Refusal|nil
function purchases.clear(platform, row, values)
  local open = open_of(row)
  local amount = values.amount and ledger.plain(values.amount) or open
  if money.compare(amount, "0") <= 0 then
    return refuse(1004, "amount", "must be more than zero")
  end
  ledger.withdraw(platform, row, amount)
  platform.store:update("consumptions", row, { cleared = money.add(row.cleared, amount) })
  if values.final == false and money.compare(amount, open) < 0 then
    ledger.hold(platform, row, money.subtract(row.held, amount))
  else
    finish(platform, row, values.remark)
  end
  ledger.tell(platform, row)
  return row
end

local function let_fail(platform, row, remark)
  ledger.hold(platform, row, "0.00")
  platform.store:update("consumptions", row, { status = "Fail", remark = remark })
  ledger.tell(platform, row)
end

--- Lets a Pending purchase fail: what was held is free again. What has cleared in part can't fail.
---@param platform table
---@param row table
---@param values { remark: string|nil }
---@return table|nil row
---@return keysecure.emulator.Refusal|nil
function purchases.fail(platform, row, values)
  if not ledger.is_zero(row.cleared) then
    return refuse(4005, nil, "has cleared in part")
  end
  let_fail(platform, row, values.remark)
  return row
end

-- Giving back ---------------------------------------------------------------------------------

local function returnable(row, wanted)
  local rest = row.status == "Pending" and open_of(row) or money.subtract(row.amount, row.returned)
  local amount = wanted and ledger.plain(wanted) or rest
  if money.compare(amount, "0") <= 0 or money.compare(amount, rest) > 0 then
    return refuse(1004, "amount", "must be more than zero and at most what is left")
  end
  return amount
end

-- The record of what was given back, less what that costs.
local function give_back(platform, row, amount, kind)
  platform.store:update("consumptions", row, { returned = money.add(row.returned, amount) })
  local card = card_of(platform, row)
  local fee, list = "0.00", {}
  if ledger.has_account(platform, row) then
    fee, list = (kind == "Refund" and fees.of_refund or fees.of_reversal)(card, amount)
    ledger.withdraw(platform, row, fee)
  end
  local back = ledger.record(platform, card, { type = kind, consume_relate_no = row.consume_no,
    amount = amount, merchant_info = row.merchant_info, status = "Success", fee = fee,
    fee_list = list })
  ledger.tell(platform, back)
  return back
end

--- Refunds a cleared purchase, or a part of it. The fee that it cost stays paid [A18].
---@param platform table
---@param row table
---@param wanted? string  all that is left unless given
---@return table|nil back  the new record
---@return keysecure.emulator.Refusal|nil
function purchases.refund(platform, row, wanted)
  local amount, refusal = returnable(row, wanted)
  if not amount then
    return nil, refusal
  end
  ledger.deposit(platform, row, amount)
  return give_back(platform, row, amount, "Refund")
end

-- What is left of a purchase that was reversed before it cleared.
local function shrink(platform, row)
  local open = open_of(row)
  if not ledger.is_zero(open) then
    local fee, list = fee_of(platform, row, money.add(open, row.cleared))
    settle_fee(platform, row, fee, list)
    ledger.hold(platform, row, money.add(open, fee))
  elseif ledger.is_zero(row.cleared) then
    let_fail(platform, row, "reversed")
  else
    finish(platform, row, "reversed in part")
    ledger.tell(platform, row)
  end
end

--- Reverses a purchase, or a part of it, before or after it cleared. A Pending one that is reversed
--- as a whole ends as Fail.
---@param platform table
---@param row table
---@param wanted? string
---@return table|nil back
---@return keysecure.emulator.Refusal|nil
function purchases.reverse(platform, row, wanted)
  local amount, refusal = returnable(row, wanted)
  if not amount then
    return nil, refusal
  elseif row.status == "Success" then
    ledger.deposit(platform, row, amount)
    return give_back(platform, row, amount, "Reversal")
  end
  local back = give_back(platform, row, amount, "Reversal")
  shrink(platform, row)
  return back
end

return purchases
