--- The life of a purchase: authorization, clearing, failure, reversal, refund, and what each does
--- to the cardholder's account.
--
-- In credit mode an authorized purchase is held until it clears or fails; in authorization mode the
-- merchant keeps the money and the platform no account. Every step is told to the merchant.
local money = require "keysecure.money"
local events = require "keysecure.emulator.events"
local refuse = require "keysecure.emulator.refuse"

local purchases = {}

local PLACE = { merchant_name = "Emulator Store", merchant_mcc = "5999", city = "London",
  country = "GB" }

local function merchant_of(platform, row)
  return platform.merchants:with_key(row.owner)
end

local function has_account(platform, row)
  return merchant_of(platform, row).mode == "credit"
end

local function holder_of(platform, row)
  return platform.store:find("cardholders", "cardholder_no", row.cardholder_no)
end

local function tell(platform, row)
  platform.callbacks:push(merchant_of(platform, row), "Consumption", events.consumption(row),
    row.consume_no)
end

-- Adds (or, with a minus sign, takes) money to the balance or the held part of an account.
local function move(platform, row, what, amount)
  if has_account(platform, row) then
    local holder = holder_of(platform, row)
    platform.store:update("cardholders", holder, { [what] = money.add(holder[what], amount) })
  end
end

local function negative(amount)
  return money.subtract("0", amount)
end

-- What a purchase still holds: the amount that was not reversed, and its fee.
local function held_by(row)
  return money.add(money.subtract(row.amount, row.returned), row.fee)
end

-- `07.50` is a decimal text but no JSON number.
local function plain(amount)
  return money.add(amount, "0")
end

local function record(platform, card, fields)
  local now = platform.clock:now()
  local row = {
    owner = card.owner, card_no = card.card_no, cardholder_no = card.cardholder_no,
    consume_no = platform:number("S"), local_currency = "USD", fee = "0.00", fee_list = {},
    merchant_info = PLACE, returned = "0.00", time = now,
  }
  for name, value in pairs(fields) do
    row[name] = value
  end
  row.fee_detail = row.fee_list
  return platform.store:insert("consumptions", row)
end

-- Authorization -------------------------------------------------------------------------------

-- The package's rate on the amount, rounded half up to cents [A18].
local function fee_of(platform, card, amount)
  if not has_account(platform, card) then
    return "0.00", {}
  end
  local fee = money.multiply(money.multiply(amount, card.fee_detail.consume_rate), "0.01", 2)
  if money.compare(fee, "0") == 0 then
    return "0.00", {}
  end
  return fee, { { fee_type = "Consume_fee", amount = fee } }
end

local function covered(platform, row)
  local holder = holder_of(platform, row)
  local available = money.subtract(holder.balance, holder.held)
  return money.compare(available, held_by(row)) >= 0
end

-- Whether the purchase may be made, and why not.
local function decide(platform, card, row)
  if card.status ~= "Activated" then
    return false, "card is " .. card.status
  elseif has_account(platform, card) then
    return covered(platform, row), "insufficient balance"
  end
  return platform.callbacks:ask(merchant_of(platform, row), events.auth(row), row.consume_no)
end

--- Rehearses a purchase.
---@param platform table
---@param card table
---@param values table  of simulate.auth
---@return table row  Pending where it was approved, Fail where it was not
function purchases.authorize(platform, card, values)
  local amount = plain(values.amount)
  local fee, fee_list = fee_of(platform, card, amount)
  local row = record(platform, card, {
    type = values.type or "Consumption", amount = amount, fee = fee, fee_list = fee_list,
    local_amount = plain(values.local_amount or amount), local_currency = values.local_currency,
    merchant_info = values.merchant_info, status = "Pending", undecided = true,
  })
  local store = platform.store
  local approved, reason = decide(platform, card, row)
  if platform.store ~= store then
    return refuse(1001, nil, "everything was forgotten meanwhile")
  end
  platform.store:clear("consumptions", row, "undecided")
  if approved then
    move(platform, row, "held", held_by(row))
  else
    platform.store:update("consumptions", row, { status = "Fail", remark = reason })
  end
  tell(platform, row)
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
      tell(platform, row)
    end
  end
end

-- Afterwards ----------------------------------------------------------------------------------

local function finish(platform, row, status, remark)
  move(platform, row, "held", negative(held_by(row)))
  platform.store:update("consumptions", row, { status = status, remark = remark })
end

--- Clears a Pending purchase: what was held is paid.
---@param platform table
---@param row table
---@param remark? string
function purchases.clear(platform, row, remark)
  move(platform, row, "balance", negative(held_by(row)))
  finish(platform, row, "Success", remark)
  tell(platform, row)
end

--- Lets a Pending purchase fail: what was held is free again.
---@param platform table
---@param row table
---@param remark? string
function purchases.fail(platform, row, remark)
  finish(platform, row, "Fail", remark)
  tell(platform, row)
end

local function returnable(row, wanted)
  local rest = money.subtract(row.amount, row.returned)
  local amount = wanted and plain(wanted) or rest
  if money.compare(amount, "0") <= 0 or money.compare(amount, rest) > 0 then
    return refuse(1004, "amount", "must be more than zero and at most what is left")
  end
  return amount
end

local function give_back(platform, row, amount, kind)
  platform.store:update("consumptions", row, { returned = money.add(row.returned, amount) })
  local card = platform.store:find("cards", "card_no", row.card_no)
  local back = record(platform, card, { type = kind, consume_relate_no = row.consume_no,
    amount = amount, local_amount = amount, merchant_info = row.merchant_info,
    status = "Success" })
  tell(platform, back)
  return back
end

--- Refunds a cleared purchase, or a part of it. The fee stays paid [A18].
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
  move(platform, row, "balance", amount)
  return give_back(platform, row, amount, "Refund")
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
    move(platform, row, "balance", amount)
    return give_back(platform, row, amount, "Reversal")
  end
  move(platform, row, "held", negative(amount))
  local back = give_back(platform, row, amount, "Reversal")
  if money.compare(row.returned, row.amount) == 0 then
    purchases.fail(platform, row, "reversed")
  end
  return back
end

return purchases
