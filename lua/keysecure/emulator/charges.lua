--- What a card costs by being there: the cost of opening it, and a fee for each 30 days.
--
-- A card with a monthly fee carries `fee_due`, the moment (by the clock's life) of the next.
local money = require "keysecure.money"
local catalog = require "keysecure.emulator.catalog"
local ledger = require "keysecure.emulator.ledger"

local charges = {}

local PERIOD = 30 * 86400000 -- milliseconds

--- Whether the account covers what opening such a card costs.
---@param platform table
---@param holder table
---@param product table
---@return boolean
function charges.covers_opening(platform, holder, product)
  return not ledger.has_account(platform, holder)
    or money.compare(ledger.available(platform, holder), product.fee_detail.open_cost) >= 0
end

--- Charges the opening of a card [A32].
---@param platform table
---@param card table
function charges.open(platform, card)
  local cost = catalog.offer_of(card).fee_detail.open_cost
  if ledger.has_account(platform, card) and not ledger.is_zero(cost) then
    ledger.withdraw(platform, card, cost)
    local row = ledger.record(platform, card, { type = "Open_card", amount = cost,
      status = "Success" })
    platform.store:update("cards", card, { opening = row.consume_no })
    ledger.tell(platform, row)
  end
end

--- Gives the cost of opening back, for a card that could not be issued [A32].
---@param platform table
---@param card table
function charges.undo_opening(platform, card)
  local row = card.opening and platform.store:find("consumptions", "consume_no", card.opening)
  if row then
    ledger.deposit(platform, card, row.amount)
    platform.store:update("consumptions", row, { returned = row.amount })
    ledger.tell(platform, ledger.record(platform, card, { type = "Reversal", amount = row.amount,
      consume_relate_no = row.consume_no, status = "Success" }))
  end
end

-- Monthly -------------------------------------------------------------------------------------

local function is_cleared_purchase(row)
  return row.status == "Success" and (row.type == "Consumption" or row.type == "Atm")
end

-- Who spends enough pays nothing.
local function spends_enough(platform, card, detail)
  local threshold, sum = detail.free_management_fee_threshold, "0.00"
  local since = platform.clock:now() - PERIOD
  for _, row in ipairs(ledger.records(platform, card, since, is_cleared_purchase)) do
    sum = money.add(sum, money.subtract(row.amount, row.returned))
  end
  return not ledger.is_zero(threshold) and money.compare(sum, threshold) >= 0
end

local function charge(platform, card, fee)
  local covered = money.compare(ledger.available(platform, card), fee) >= 0
  if covered then
    ledger.withdraw(platform, card, fee)
  end
  ledger.tell(platform, ledger.record(platform, card, { type = "Manage_fee", amount = fee,
    status = covered and "Success" or "Fail",
    remark = not covered and "insufficient balance" or nil }))
end

local IN_USE = { Activated = true, Frozen = true, ToActivate = true }

local function pay_month(platform, card)
  local detail = catalog.offer_of(card).fee_detail
  if not IN_USE[card.status] then
    platform.store:clear("cards", card, "fee_due")
    return
  elseif not spends_enough(platform, card, detail) then
    charge(platform, card, detail.manage_fee)
  end
  platform.store:update("cards", card, { fee_due = card.fee_due + PERIOD })
  charges.await(platform, card)
end

--- Has the scheduler charge the next fee.
---@param platform table
---@param card table
function charges.await(platform, card)
  platform.scheduler:at(card.fee_due, function() pay_month(platform, card) end)
end

--- Begins to charge an issued card by the month, where its package has it so [A29].
---@param platform table
---@param card table
function charges.begin(platform, card)
  local detail = catalog.offer_of(card).fee_detail
  if ledger.has_account(platform, card) and detail.manage_fee_type ~= "None"
    and detail.management_fee_free_type ~= "Forever" and not ledger.is_zero(detail.manage_fee) then
    platform.store:update("cards", card, { fee_due = platform.clock:life() + PERIOD })
    charges.await(platform, card)
  end
end

--- Takes up what an earlier process left.
---@param platform table
function charges.resume(platform)
  for _, card in ipairs(platform.store:rows("cards")) do
    if card.fee_due then
      charges.await(platform, card)
    end
  end
end

return charges
