--- Operations 21 to 25: purchases rehearsed [A5].
local life = require "keysecure.emulator.life"
local purchases = require "keysecure.emulator.purchases"
local refuse = require "keysecure.emulator.refuse"

local operations = {}

-- A card that was never in anyone's hands can't be at a till; one that is frozen or deleted can,
-- and is declined [A19].
local AT_THE_TILL = { Activated = true, Frozen = true, Delete = true }

operations["simulate.auth"] = function(platform, call)
  local card = platform.store:find("cards", "card_no", call.values.card_no)
  if not card then
    return refuse(4001)
  elseif not AT_THE_TILL[life.advance(platform, "cards", card).status] then
    return refuse(4005)
  end
  local row, refusal = purchases.authorize(platform, card, call.values)
  if not row then
    return nil, refusal
  end
  return { consume_no = row.consume_no, status = row.status,
    decision = row.status == "Pending" and "approved" or "declined" }
end

-- The purchase that the call names, where it is in one of these states. What was given back is no
-- purchase, and one that the merchant is still deciding on is in no state yet.
local function purchase_in(platform, call, states)
  local row = platform.store:find("consumptions", "consume_no", call.values.consume_no)
  if not row then
    return refuse(4002)
  elseif row.consume_relate_no or row.undecided or not states[row.status] then
    return refuse(4005)
  end
  return row
end

local function settle(how)
  return function(platform, call)
    local row, refusal = purchase_in(platform, call, { Pending = true })
    if not row then
      return nil, refusal
    end
    return how(platform, row, call.values)
  end
end

local function give_back(how, states)
  return function(platform, call)
    local row, refusal = purchase_in(platform, call, states)
    if not row then
      return nil, refusal
    end
    return how(platform, row, call.values.amount)
  end
end

operations["simulate.consumption_clear"] = settle(purchases.clear)
operations["simulate.consumption_fail"] = settle(purchases.fail)
operations["simulate.reversal"] = give_back(purchases.reverse, { Pending = true, Success = true })
operations["simulate.refund"] = give_back(purchases.refund, { Success = true })

return operations
