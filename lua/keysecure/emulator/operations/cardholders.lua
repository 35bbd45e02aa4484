--- Operations 2 to 4.
local life = require "keysecure.emulator.life"
local refuse = require "keysecure.emulator.refuse"

local operations = {}

-- Marked inputs [A16]: KYC that can't even begin.
local SHARE_TOKEN_CODES = { nodata = 2006, unverified = 2005 }

local function refusal_of(share_token)
  return SHARE_TOKEN_CODES[share_token:match("^%a+") or ""]
end

local function new_holder(platform, call)
  local values, owner = call.values, call.merchant.api_key
  if platform.store:find("cardholders", "cardholder_unique_no", values.cardholder_unique_no,
    owner) then
    return refuse(2001)
  end
  local number = platform:number("U")
  return {
    owner = owner, cardholder_no = number, time = platform.clock:now(),
    cardholder_unique_no = values.cardholder_unique_no, email = number:lower() .. "@example.com",
    balance = "0.00", held = "0.00",
  }
end

local AGAIN_CODES = { Approved = 2003, Pending = 2004, In_progress = 2004 }

local function known_holder(platform, call)
  local holder, refusal = platform:holder(call)
  if not holder then
    return nil, refusal
  elseif holder.cardholder_unique_no ~= call.values.cardholder_unique_no then
    return refuse(2011)
  elseif AGAIN_CODES[holder.status] then
    return refuse(AGAIN_CODES[holder.status])
  end
  return holder
end

operations["cardholders.apply"] = function(platform, call)
  local again = call.values.cardholder_no ~= nil
  local holder, refusal = (again and known_holder or new_holder)(platform, call)
  if not holder then
    return nil, refusal
  end
  local code = refusal_of(call.values.sumsub_share_token)
  if code then
    return refuse(code)
  elseif not again then
    platform.store:insert("cardholders", holder)
  end
  life.verify(platform, holder, call.values.sumsub_share_token)
  return holder
end

operations["cardholders.list"] = function(platform, call)
  local rows = platform:page("cardholders", call, { "cardholder_no", "cardholder_unique_no" })
  for _, holder in ipairs(rows) do
    life.advance(platform, "cardholders", holder)
  end
  return rows
end

operations["cardholders.info"] = function(platform, call)
  local holder, refusal = platform:holder(call)
  if not holder then
    return nil, refusal
  end
  return {
    cardholder_no = holder.cardholder_no, cardholder_unique_no = holder.cardholder_unique_no,
    email = holder.email, status = holder.status, time = holder.time,
    total_balance = holder.balance,
    card_list = platform.store:group("cards", "cardholder_no", holder.cardholder_no),
  }
end

return operations
