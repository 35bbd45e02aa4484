--- What purchases and charges do to records and accounts: the one place where money moves.
--
-- In credit mode a cardholder has one account in TUSDT; what an authorization may still cost is
-- held on it. In authorization mode the merchant keeps the money and there is no account here. Sums
-- are decimal text, exact; a balance may go below zero where a merchant clears more than it asked
-- for.
local money = require "keysecure.money"
local events = require "keysecure.emulator.events"

local ledger = {}

local PLACE = { merchant_name = "Emulator Store", merchant_mcc = "5999", city = "London",
  country = "GB" }

local function merchant_of(platform, row)
  return platform.merchants:with_key(row.owner)
end

local function holder_of(platform, row)
  return platform.store:find("cardholders", "cardholder_no", row.cardholder_no)
end

ledger.merchant_of = merchant_of

--- Whether money of this card or record is kept here.
---@param platform table
---@param row table
---@return boolean
function ledger.has_account(platform, row)
  return merchant_of(platform, row).mode == "credit"
end

--- `07.50` is a decimal text but no JSON number.
---@param amount string
---@return string
function ledger.plain(amount)
  return money.add(amount, "0")
end

---@param amount string
---@return boolean
function ledger.is_zero(amount)
  return money.compare(amount, "0") == 0
end

--- The lesser of two amounts, and never less than nothing.
---@param a string
---@param b string
---@return string
function ledger.at_most(a, b)
  local least = money.compare(a, b) <= 0 and a or b
  return money.compare(least, "0") < 0 and "0.00" or least
end

--- What can be spent of the account behind a row.
---@param platform table
---@param row table
---@return string
function ledger.available(platform, row)
  local holder = holder_of(platform, row)
  return money.subtract(holder.balance, holder.held)
end

local function change(platform, row, what, amount)
  if ledger.has_account(platform, row) then
    local holder = holder_of(platform, row)
    platform.store:update("cardholders", holder, { [what] = money.add(holder[what], amount) })
  end
end

--- Puts money onto the account behind a row.
---@param platform table
---@param row table
---@param amount string
function ledger.deposit(platform, row, amount)
  change(platform, row, "balance", amount)
end

--- Takes money from the account behind a row, whether it covers that or not.
---@param platform table
---@param row table
---@param amount string
function ledger.withdraw(platform, row, amount)
  change(platform, row, "balance", money.subtract("0", amount))
end

--- Holds this much for a purchase from now on, instead of what was held for it.
---@param platform table
---@param row table
---@param amount string
function ledger.hold(platform, row, amount)
  change(platform, row, "held", money.subtract(amount, row.held))
  platform.store:update("consumptions", row, { held = amount })
end

--- A new consumption record of a card.
---@param platform table
---@param card table
---@param fields table
---@return table row
function ledger.record(platform, card, fields)
  local row = {
    owner = card.owner, card_no = card.card_no, cardholder_no = card.cardholder_no,
    consume_no = platform:number("S"), local_amount = fields.amount, local_currency = "USD",
    fee = "0.00", fee_list = {}, merchant_info = PLACE, returned = "0.00", cleared = "0.00",
    held = "0.00", time = platform.clock:now(),
  }
  for name, value in pairs(fields) do
    row[name] = value
  end
  return platform.store:insert("consumptions", row)
end

--- Tells the merchant how a record stands.
---@param platform table
---@param row table
function ledger.tell(platform, row)
  platform.callbacks:push(merchant_of(platform, row), "Consumption", events.consumption(row),
    row.consume_no)
end

--- The records of a card for which `wanted` is true and which are not older than `since`.
---@param platform table
---@param card table
---@param since integer  milliseconds
---@param wanted fun(row: table): boolean|nil
---@return table[]
function ledger.records(platform, card, since, wanted)
  local result = {}
  for _, row in ipairs(platform.store:group("consumptions", "card_no", card.card_no)) do
    if row.time >= since and wanted(row) then
      result[#result + 1] = row
    end
  end
  return result
end

return ledger
