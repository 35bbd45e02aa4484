--- What the page shows of a platform: the latest rows, without PAN, CVV, PIN or secrets, and each
--- purchase as the steps that the merchant was told of.
local api = require "keysecure.api"
local catalog = require "keysecure.emulator.catalog"
local json = require "keysecure.emulator.json"

local view = {}

-- Of the latest: more than anybody looks at, and little enough to send at every change.
local MAX_ROWS = 60

local function pick(row, names)
  local result = {}
  for _, name in ipairs(names) do
    result[name] = row[name]
  end
  return result
end

-- The latest first, of those that are wanted.
local function latest(rows, wanted)
  local result, i = json.array {}, #rows
  while rows[i] and #result < MAX_ROWS do
    result[#result + 1] = (not wanted or wanted(rows[i])) and rows[i] or nil
    i = i - 1
  end
  return result
end

-- Steps of a purchase ---------------------------------------------------------------------------

-- The digits that were signed: a number would lose their zeros.
local function amount_in(data_json)
  return data_json:match '"amount":(%-?[%d.]+)'
end

local function first_step(data)
  if data.status == "Fail" then
    return "Declined"
  end
  return data.status == "Success" and data.type ~= "Consumption" and data.type or "Authorized"
end

local LATER = { Success = "Cleared", Fail = "Failed", Pending = "Updated" }

local function label_of(data, known)
  if data.consume_relate_no then
    return data.type == "Refund" and "Refunded" or "Reversed"
  elseif not known then
    return first_step(data)
  end
  return LATER[data.status] or data.status
end

local function add_step(steps, label, delivery, data)
  steps[#steps + 1] = { label = label, remark = data.remark, at = delivery.time,
    amount = amount_in(delivery.data), verdict = delivery.verdict }
end

local function steps_of(steps, number)
  steps[number] = steps[number] or json.array {}
  return steps[number]
end

-- By the number of the purchase: what was asked and told about it, the oldest first.
local function all_steps(log)
  local steps, known = {}, {}
  for _, delivery in ipairs(log) do
    local data = delivery.action ~= "Card_update" and json.decode_object(delivery.data)
    if data and delivery.action == "Auth" then
      add_step(steps_of(steps, delivery.subject), "Merchant asked", delivery, data)
    elseif data then
      local number = data.consume_relate_no or delivery.subject
      add_step(steps_of(steps, number), label_of(data, known[number]), delivery, data)
      known[number] = true
    end
  end
  return steps
end

-- Where the log does not reach back that far, the row says how things stand.
local function only_step(row)
  return json.array { { label = row.status, remark = row.remark, at = row.time,
    amount = row.amount } }
end

-- Rows ----------------------------------------------------------------------------------------

local HOLDER = { "cardholder_no", "cardholder_unique_no", "status", "fail_reason", "balance",
  "held", "time" }
local CARD = { "card_no", "card_unique_no", "cardholder_no", "card_type", "card_last_no",
  "organization", "status", "time" }
local PURCHASE = { "consume_no", "card_no", "cardholder_no", "type", "amount", "local_amount",
  "local_currency", "fee", "returned", "status", "remark", "undecided", "time", "merchant_info" }

local function rows_of(platform, name, names, wanted)
  local rows = latest(platform.store:rows(name), wanted)
  for i, row in ipairs(rows) do
    local merchant = platform.merchants:with_key(row.owner)
    rows[i] = pick(row, names)
    rows[i].merchant = merchant and merchant.name
  end
  return rows
end

-- What gave money back is a step of the purchase that it belongs to.
local function purchases_of(platform)
  local steps = all_steps(platform.callbacks:log())
  local result = rows_of(platform, "consumptions", PURCHASE, function(row)
    return not row.consume_relate_no
  end)
  for _, purchase in ipairs(result) do
    purchase.steps = steps[purchase.consume_no] or only_step(purchase)
  end
  return result
end

local MERCHANT = { "name", "mode", "api_key", "key_state", "pci", "callback_url" }

local function merchants_of(platform)
  local result = json.array {}
  for _, merchant in pairs(platform.merchants.by_name) do
    local shown = pick(merchant, MERCHANT)
    shown.callback_url = shown.callback_url or nil -- false: there is none
    result[#result + 1] = shown
  end
  table.sort(result, function(a, b) return a.name < b.name end)
  return result
end

-- What does not change --------------------------------------------------------------------------

local function products_of(mode, list, number, name)
  local result = json.array {}
  for i, offer in ipairs(list) do
    local product, types = catalog.product(mode, offer[number]), json.array {}
    for _, kind in ipairs(api.enums.card_type) do
      types[#types + 1] = product[kind] and kind or nil
    end
    result[i] = { number = offer[number], name = offer[name], types = types }
  end
  return result
end

local function codes()
  local numbers, result = {}, json.array {}
  for number in pairs(api.codes) do
    numbers[#numbers + 1] = number
  end
  table.sort(numbers)
  for i, number in ipairs(numbers) do
    result[i] = { code = number, text = api.codes[number].text }
  end
  return result
end

local FIXED = {
  products = {
    credit = products_of("credit", catalog.packages, "package_no", "package_en_name"),
    authorization = products_of("authorization", catalog.bins, "card_bin_no", "organization"),
  },
  most = MAX_ROWS, operations = json.array(api.names),
  codes = codes(),
}

--- All that the page shows.
---@param platform keysecure.emulator.Platform
---@return table
function view.of(platform)
  return {
    fixed = FIXED, now = platform.clock:now(),
    merchants = merchants_of(platform), faults = json.array(platform.faults.list),
    cardholders = rows_of(platform, "cardholders", HOLDER),
    cards = rows_of(platform, "cards", CARD), purchases = purchases_of(platform),
    callbacks = latest(platform.callbacks:log()),
  }
end

return view
