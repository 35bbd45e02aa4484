--- The `data` of callbacks, as JSON text. Amounts are JSON numbers with the digits that the
--- platform holds: a float would turn 12.50 into 12.5 and break the signature.
local json = require "keysecure.emulator.json"

local events = {}

local MERCHANT = { name = "merchant_info", type = "object", fields = {
  { name = "merchant_name" }, { name = "merchant_mcc" }, { name = "city" }, { name = "country" },
} }

local FEES = { name = "fee_detail", from = "fee_list", type = "list", fields = {
  { name = "fee_type" }, { name = "amount", type = "decimal" },
} }

local AUTH = {
  { name = "consume_no" }, { name = "card_no" }, { name = "cardholder_no" }, { name = "type" },
  { name = "amount", type = "decimal" }, { name = "local_amount", type = "decimal" },
  { name = "local_currency" }, MERCHANT, { name = "status" }, { name = "time" },
}

local CONSUMPTION = {
  { name = "consume_no" }, { name = "consume_relate_no" }, { name = "card_no" },
  { name = "cardholder_no" }, { name = "type" }, { name = "amount", type = "decimal" },
  { name = "local_amount", type = "decimal" }, { name = "local_currency" },
  { name = "fee", type = "decimal" }, FEES, MERCHANT, { name = "status" }, { name = "remark" },
  { name = "detail" }, { name = "time" },
}

local CARD_UPDATE = {
  { name = "card_no" }, { name = "before_status" }, { name = "after_status" },
  { name = "reason" }, { name = "time" },
}

---@param consumption table
---@return string data_json
function events.auth(consumption)
  return json.encode_fields(AUTH, consumption)
end

---@param consumption table
---@return string data_json
function events.consumption(consumption)
  return json.encode_fields(CONSUMPTION, consumption)
end

---@param card table     as it is now
---@param before string  its status before
---@param reason string
---@param time integer
---@return string data_json
function events.card_update(card, before, reason, time)
  return json.encode_fields(CARD_UPDATE, { card_no = card.card_no, before_status = before,
    after_status = card.status, reason = reason, time = time })
end

return events
