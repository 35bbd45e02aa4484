--- Operations 5 to 11, 19 and 20.
local datetime = require "keysecure.datetime"
local json = require "keysecure.emulator.json"
local catalog = require "keysecure.emulator.catalog"
local charges = require "keysecure.emulator.charges"
local life = require "keysecure.emulator.life"
local plastic = require "keysecure.emulator.plastic"
local refuse = require "keysecure.emulator.refuse"
local api = require "keysecure.api"

local operations = {}

-- Applying ------------------------------------------------------------------------------------

local function product_for(call)
  local field = call.merchant.mode == "credit" and "package_no" or "card_bin_no"
  local product = catalog.product(call.merchant.mode, call.values[field])
  if not product then
    return refuse(4003)
  elseif not product[call.values.card_type] then
    return refuse(1004, "card_type", "is not what this package or BIN offers")
  end
  return product
end

local function new_card(platform, call, product)
  local now = platform.clock:now()
  local year, month = datetime.format(now / 1000, api.default_timezone):match("^(%d+)-(%d+)")
  local printed = plastic.emboss(product.bin, tonumber(year), tonumber(month), function(pan)
    return platform.store:find("cards", "pan", pan) ~= nil
  end)
  local card = {
    owner = call.merchant.api_key, card_no = platform:number("C"), time = now, status = "Pending",
    card_unique_no = call.values.card_unique_no, card_type = call.values.card_type,
    cardholder_no = call.values.cardholder_no, card_name = product.name,
    package_name_en = product.package_name_en, package_name_cn = product.package_name_cn,
    organization = product.organization, offer = product.number,
  }
  for name, value in pairs(printed) do
    card[name] = value
  end
  return card
end

operations["cards.apply"] = function(platform, call)
  local holder, refusal = platform:holder(call)
  if not holder then
    return nil, refusal
  elseif holder.status ~= "Approved" then
    return refuse(2005)
  elseif platform.store:find("cards", "card_unique_no", call.values.card_unique_no,
    call.merchant.api_key) then
    return refuse(1004, "card_unique_no", "is taken") -- A11
  end
  local product
  product, refusal = product_for(call)
  if not product then
    return nil, refusal
  elseif not charges.covers_opening(platform, holder, product) then
    return refuse(3001) -- A32
  end
  local card = platform.store:insert("cards", new_card(platform, call, product))
  life.issue(platform, card)
  return card
end

-- Reading -------------------------------------------------------------------------------------

operations["cards.list"] = function(platform, call)
  local rows = platform:page("cards", call, { "cardholder_no", "card_unique_no", "card_no" })
  for _, card in ipairs(rows) do
    life.advance(platform, "cards", card)
  end
  return rows
end

-- Fees are the offer's, not each card's own.
operations["cards.detail"] = function(platform, call)
  local card, refusal = platform:card(call)
  if not card then
    return nil, refusal
  end
  return setmetatable({ fee_detail = catalog.offer_of(card).fee_detail }, { __index = card })
end

operations["cards.private_info"] = function(platform, call)
  if not call.merchant.pci then
    return refuse(1013)
  end
  local card, refusal = platform:card(call)
  if not card then
    return nil, refusal
  elseif card.status ~= "Activated" then
    return refuse(4005)
  end
  local text = json.encode_fields(api.operations["cards.private_info"].data, card)
  return (call.merchant.cipher:encrypt(text))
end

-- Changing ------------------------------------------------------------------------------------

-- The card that the call names, where the cardholder it names owns it.
local function owned_card(platform, call)
  local holder, refusal = platform:holder(call)
  local card
  if holder then
    card, refusal = platform:card(call)
  end
  if not card then
    return nil, refusal
  elseif card.cardholder_no ~= holder.cardholder_no then
    return refuse(1004, "cardholder_no", "does not own the card")
  end
  return card
end

operations["cards.activate"] = function(platform, call)
  local card, refusal = owned_card(platform, call)
  if not card then
    return nil, refusal
  elseif card.status ~= "ToActivate" then
    return refuse(4005)
  elseif card.cvv ~= call.values.cvv then
    return refuse(1004, "cvv", "is not the card's") -- A11
  elseif card.card_last_no ~= call.values.card_last_no then
    return refuse(1004, "card_last_no", "is not the card's") -- A11
  end
  life.change_card(platform, card, "Activated", "activated")
  return true
end

-- From each status to those that a merchant may set [A10].
local TRANSITIONS = {
  Activated = { Frozen = true, Delete = true },
  Frozen = { Activated = true, Delete = true },
  ToActivate = { Delete = true },
}

operations["cards.update_status"] = function(platform, call)
  local card, refusal = platform:card(call)
  if not card then
    return nil, refusal
  end
  local allowed = TRANSITIONS[card.status]
  if not (allowed and allowed[call.values.status]) then
    return refuse(4005)
  end
  life.change_card(platform, card, call.values.status, "set by the merchant")
  return true
end

operations["cards.set_pin"] = function(platform, call)
  local card, refusal = owned_card(platform, call)
  if not card then
    return nil, refusal
  elseif card.card_type ~= "Physical" then
    return refuse(4017)
  elseif card.status ~= "Activated" then
    return refuse(4005)
  end
  platform.store:update("cards", card, { pin = call.values.pin })
  return true
end

-- The offers ----------------------------------------------------------------------------------

operations["cards.packages"] = function(_, call)
  local values = call.values
  return catalog.page(catalog.packages,
    { package_type = values.type, package_no = values.package_no }, values.page, values.size)
end

operations["cards.bins"] = function(_, call)
  local values = call.values
  return catalog.page(catalog.bins, { card_bin_no = values.card_bin_no }, values.page,
    values.size)
end

return operations
