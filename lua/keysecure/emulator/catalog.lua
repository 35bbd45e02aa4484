--- The card packages and BINs on offer. Invented, with plausible fees: percentages as "1.00",
--- amounts in USD. The first package and BIN cost nothing, so that sums in a script stay easy.

local catalog = {}

local function limits(total, week, atm_day, atm_month)
  return { limit_balance = total, limit_week_balance = week, limit_atm_day_balance = atm_day,
    limit_atm_month_balance = atm_month }
end

local function fees(changes)
  local result = {
    consume_rate = "0.00", open_cost = "0.00", cross_consume_rate = "0.00",
    small_consume_threshold = "0.00", small_consume_deduct = "0.00", free_small_consume_count = 0,
    free_small_excuse_type = "None", free_small_excuse_days = 0, refund_rate = "0.00",
    consume_cancle_fee = "0.00", consume_cancel_threshold = "0.00", decline_fee = "0.00",
    decline_fee_free_count = 0, decline_fee_free_type = "None", decline_fee_free_days = 0,
    atm_rate = "0.00", atm_min_fee = "0.00", apple_pay_fee = "0.00", manage_fee_type = "None",
    manage_fee = "0.00", management_fee_free_type = "Forever",
    free_management_fee_threshold = "0.00",
  }
  for name, value in pairs(changes or {}) do
    result[name] = value
  end
  return result
end

-- Something of everything that a package can ask for.
local PAID = fees {
  consume_rate = "1.00", open_cost = "5.00", cross_consume_rate = "1.50",
  small_consume_threshold = "2.00", small_consume_deduct = "0.20", free_small_consume_count = 2,
  free_small_excuse_type = "Forever", refund_rate = "0.50", consume_cancle_fee = "0.25",
  consume_cancel_threshold = "50.00", decline_fee = "0.30", decline_fee_free_count = 3,
  decline_fee_free_type = "Day", decline_fee_free_days = 30, atm_rate = "2.00",
  atm_min_fee = "2.50", apple_pay_fee = "0.10", manage_fee_type = "Month", manage_fee = "1.00",
  management_fee_free_type = "None", free_management_fee_threshold = "500.00",
}

catalog.bins = {
  { card_bin_no = "B-1", card_bin = "411111", organization = "VISA", support_physical = true,
    support_virtual = true, currencies = { "USD", "EUR" }, fee_detail = fees(),
    balance_limit = limits("100000.00", "50000.00", "1000.00", "10000.00") },
  { card_bin_no = "B-2", card_bin = "545454", organization = "MasterCard",
    support_physical = false, support_virtual = true, currencies = { "USD" },
    fee_detail = PAID,
    balance_limit = limits("20000.00", "10000.00", "500.00", "2000.00") },
}

local function package(number, kind, bin, fee_detail, en_tags, cn_tags)
  local english = kind == "Virtual" and "virtual" or "physical"
  local chinese = kind == "Virtual" and "虚拟卡" or "实体卡"
  return {
    package_no = number, package_type = kind, card_bin = bin.card_bin,
    card_bin_no = bin.card_bin_no, organization = bin.organization,
    package_en_name = "Emulator " .. english .. " card " .. number,
    package_cn_name = "模拟" .. chinese .. " " .. number,
    en_desc = "A " .. english .. " card that exists on your machine only",
    cn_desc = "仅存在于本机的" .. chinese, en_tag_list = en_tags, cn_tag_list = cn_tags,
    consumption_limit = bin.balance_limit, fee_detail = fee_detail,
  }
end

catalog.packages = {
  package("P-1", "Virtual", catalog.bins[1], fees(), { "online" }, { "线上" }),
  package("P-2", "Physical", catalog.bins[1], fees(), { "online", "in store" },
    { "线上", "线下" }),
  package("P-3", "Virtual", catalog.bins[2], PAID, {}, {}),
}

--- The offers whose `field` is `value` (all of them where it is nil), a page of them.
---@param list table[]
---@param equals table<string, string>
---@param page integer
---@param size integer
---@return table[]
function catalog.page(list, equals, page, size)
  local result, skip = {}, page * size
  for _, offer in ipairs(list) do
    local wanted = true
    for field, value in pairs(equals) do
      wanted = wanted and offer[field] == value
    end
    if wanted and skip > 0 then
      skip = skip - 1
    elseif wanted and #result < size then
      result[#result + 1] = offer
    end
  end
  return result
end

local products = {}

for _, bin in ipairs(catalog.bins) do
  products[bin.card_bin_no] = { number = bin.card_bin_no, mode = "authorization",
    bin = bin.card_bin, organization = bin.organization,
    name = bin.organization .. " " .. bin.card_bin, fee_detail = bin.fee_detail,
    limits = bin.balance_limit, Virtual = bin.support_virtual, Physical = bin.support_physical }
end

for _, offer in ipairs(catalog.packages) do
  products[offer.package_no] = { number = offer.package_no, mode = "credit", bin = offer.card_bin,
    organization = offer.organization, name = offer.package_en_name,
    package_name_en = offer.package_en_name, package_name_cn = offer.package_cn_name,
    fee_detail = offer.fee_detail, limits = offer.consumption_limit,
    [offer.package_type] = true }
end

--- What a card is made from: the offer's BIN, names, fees, limits, and the card types it comes in.
---@param mode "credit"|"authorization"
---@param number string  of a package or of a BIN
---@return table|nil product
function catalog.product(mode, number)
  local product = products[number]
  return product and product.mode == mode and product or nil
end

--- What a card was made from.
---@param card table
---@return table product
function catalog.offer_of(card)
  return products[card.offer]
end

return catalog
