--- Operations 16 to 18. One account per cardholder, in TUSDT, worth one US dollar each.
local money = require "keysecure.money"
local refuse = require "keysecure.emulator.refuse"

local operations = {}

local function available(holder)
  return money.subtract(holder.balance, holder.held)
end

operations["accounts.transfer"] = function(platform, call)
  local values, owner = call.values, call.merchant.api_key
  local holder, refusal = platform:holder(call)
  if not holder then
    return nil, refusal
  elseif platform.store:find("transfers", "transfer_unique_no", values.transfer_unique_no,
    owner) then
    return refuse(1004, "transfer_unique_no", "is taken") -- A11
  elseif values.type == "Out" and money.compare(values.balance, available(holder)) > 0 then
    return refuse(3001)
  end
  local before = holder.balance
  local change = values.type == "Out" and money.subtract or money.add
  platform.store:update("cardholders", holder, { balance = change(before, values.balance) })
  return platform.store:insert("transfers", {
    owner = owner, transfer_no = platform:number("T"), time = platform.clock:now(),
    transfer_unique_no = values.transfer_unique_no, cardholder_no = holder.cardholder_no,
    type = values.type, balance = money.add(values.balance, "0.00"), status = "Success",
    before_balance = before, after_balance = holder.balance,
  })
end

operations["accounts.info"] = function(platform, call)
  local holder, refusal = platform:holder(call)
  if not holder then
    return nil, refusal
  end
  return { {
    cardholder_no = holder.cardholder_no, symbol = "TUSDT", symbol_chain = "TRC20",
    balance = holder.balance, usd_balance = holder.balance, bonus_balance = "0.00",
    usd_bonus_balance = "0.00",
  } }
end

operations["accounts.transfers"] = function(platform, call)
  return platform:page("transfers", call,
    { "cardholder_no", "transfer_no", "transfer_unique_no" })
end

return operations
