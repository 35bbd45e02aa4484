--- Every operation of the platform, under whatever host: bodies for spec/support/hosts.lua.
--
-- A body is { name, fn } with fn(ks, world): `ks` is a client of the host in question, in `mode`
-- (credit), and `world` the emulator behind it (spec/support/client.lua).
local check = require "spec.conformance.check"
local support = require "spec.support.client"

local must, equal, days = check.must, check.equal, check.days

local function holder_of(ks, world)
  return must(ks.cardholders:apply { cardholder_unique_no = world:unique "holder",
    sumsub_share_token = "share" })
end

-- A virtual card that can be paid with.
local function card_of(world, holder)
  return must(must(holder:apply_card { package_no = "P-1", card_type = "Virtual",
    card_unique_no = world:unique "card" }):wait "Activated")
end

local function purchase_of(ks, card)
  local purchase = must(ks.simulate:auth { card_no = card.card_no, amount = "12.50" })
  equal("approved", purchase.decision, "decision")
  return purchase
end

local function funded_card(ks, world)
  local holder = must(holder_of(ks, world):wait "Approved")
  local card = card_of(world, holder)
  must(holder:transfer { type = "In", balance = "100.00",
    transfer_unique_no = world:unique "transfer" })
  return card, holder
end

local function status_of(ks, purchase)
  return must(ks.consumptions:info { consume_no = purchase.consume_no }).status
end

return {
  { "cardholders", function(ks, world)
    local holder = must(holder_of(ks, world):wait "Approved")
    local same = must(ks.cardholders:info { cardholder_no = holder.cardholder_no })
    equal("Approved", same.status, "status")
    local fields = days()
    fields.cardholder_no = holder.cardholder_no
    equal(1, #must(ks.cardholders:list(fields)), "rows")
    equal(holder.cardholder_no, check.collect(ks.cardholders:each(fields))[1].cardholder_no)
  end },

  { "virtual cards, and their secrets", function(ks, world)
    local package = must(ks.cards:packages { type = "Virtual" })[1]
    equal("P-1", package.package_no, "package")
    local holder = must(holder_of(ks, world):wait "Approved")
    local card = card_of(world, holder)
    equal("Activated", must(ks.cards:detail { card_no = card.card_no }).status, "status")
    local private = must(card:private_info())
    equal(16, #private.pan, "length of the PAN")
    equal(nil, tostring(private):find(private.pan, 1, true), "the PAN when printed")
    local token = must(card:client_token())
    local shown = must(ks.pci:card_detail { card_no = card.card_no,
      client_access_token = token.client_access_token })
    equal(private.pan, shown.pan, "the iframe's PAN")
    must(card:freeze())
    equal("Frozen", must(card:refresh()).status, "status")
    must(card:unfreeze())
    local fields = days()
    fields.card_no = card.card_no
    equal("Activated", must(ks.cards:list(fields))[1].status, "status")
    must(card:delete())
    equal("Delete", must(card:refresh()).status, "status")
  end },

  { "physical cards", function(ks, world)
    local holder = must(holder_of(ks, world):wait "Approved")
    local card = must(holder:apply_card { package_no = "P-2", card_type = "Physical",
      card_unique_no = world:unique "card", address_info = support.address_info })
    must(card:wait "ToActivate")
    local plastic = world:plastic(card)
    must(card:activate { cvv = plastic.cvv, card_last_no = plastic.card_last_no })
    must(card:wait "Activated")
    must(card:set_pin "135790")
  end },

  { "accounts", function(ks, world)
    local _, holder = funded_card(ks, world)
    equal("100.00", must(holder:accounts())[1].balance, "balance")
    must(holder:transfer { type = "Out", balance = "0.01",
      transfer_unique_no = world:unique "transfer" })
    equal("99.99", must(holder:accounts())[1].balance, "balance")
    local fields = days()
    fields.cardholder_no = holder.cardholder_no
    equal(2, #must(ks.accounts:transfers(fields)), "transfers")
  end },

  { "purchases", function(ks, world)
    local card = funded_card(ks, world)
    local purchase, failing = purchase_of(ks, card), purchase_of(ks, card)
    equal("Pending", status_of(ks, purchase), "status")
    must(ks.simulate:consumption_clear { consume_no = purchase.consume_no })
    equal("Success", status_of(ks, purchase), "status")
    must(ks.simulate:consumption_fail { consume_no = failing.consume_no })
    equal("Fail", status_of(ks, failing), "status")
    must(ks.simulate:refund { consume_no = purchase.consume_no, amount = "5.00" })
    must(ks.simulate:reversal { consume_no = purchase_of(ks, card).consume_no })
    local fields = days()
    fields.card_no = card.card_no
    equal(true, #must(ks.consumptions:list(fields)) >= 4, "enough records")
  end },

  { "authorization mode", mode = "authorization", function(ks, world)
    local bin = must(ks.cards:bins())[1]
    local holder = must(holder_of(ks, world):wait "Approved")
    local card = must(holder:apply_card { card_bin_no = bin.card_bin_no, card_type = "Virtual",
      card_unique_no = world:unique "card" })
    equal("Activated", must(card:wait "Activated").status, "status")
  end },
}
