-- The operations on cards through the client, over HTTP.
local support = require "spec.support.client"

describe("cards", function()
  local world, ks

  setup(function()
    world = support.start()
    ks = world.ks
  end)
  teardown(function()
    world:stop()
  end)
  after_each(function()
    world:configure { kyc_delay = 0, issue_delay = 0, merchants = { credit = { pci = true } } }
    world:no_faults()
  end)

  local function unknown(method, fields)
    fields = fields or {}
    fields.card_no = "C1"
    support.refused({ code = 4001, attempts = 1 }, ks.cards[method](ks.cards, fields))
  end

  describe("cards.apply", function()
    it("works in credit mode: of a package", function()
      local holder, unique = world:holder(), world:unique "card"
      local card = assert(ks.cards:apply { cardholder_no = holder.cardholder_no,
        package_no = "P-1", card_type = "Virtual", card_unique_no = unique })
      support.check_row("cards.apply", card)
      assert.matches("^C%d+$", card.card_no)
      assert.equal(unique, card.card_unique_no)
      assert.equal(holder.cardholder_no, card.cardholder_no)
      assert.equal("Virtual", card.card_type)
      assert.equal("Activated", assert(card:refresh()).status)
    end)

    it("works in authorization mode: of a BIN", function()
      local card = world:card("Virtual", world.authorization)
      assert.equal("Activated", card.status)
      assert.equal("VISA", card.organization)
    end)

    it("works for a physical card, with an address", function()
      assert.equal("ToActivate", (world:card "Physical").status)
    end)

    local function apply(changes, options)
      local fields = { cardholder_no = changes.cardholder_no or world:holder().cardholder_no,
        package_no = "P-1", card_type = "Virtual", card_unique_no = world:unique "card" }
      for name, value in pairs(changes) do
        fields[name] = value
      end
      return ks.cards:apply(fields, options)
    end

    it("is refused with 2002 for a cardholder that there isn't", function()
      support.refused({ code = 2002, attempts = 1 }, apply { cardholder_no = "U1" })
    end)

    it("is refused with 2005 before the cardholder is approved", function()
      world:configure { kyc_delay = 60 }
      support.refused({ code = 2005 }, apply {})
    end)

    it("is refused with 2007 to 2010 over the address, here already", function()
      local CODES = { city = 2007, address_line1 = 2008, country = 2009, postal_code = 2010 }
      local WRONG = { city = "L<b>", address_line1 = "\195\156ber 1", country = "Nowhere",
        postal_code = "+" }
      for name, code in pairs(CODES) do
        local address = {}
        for field, value in pairs(support.address_info) do
          address[field] = value
        end
        address[name] = WRONG[name]
        local path = "address_info." .. name
        support.refused({ kind = "invalid", outcome = "not_sent", field = path },
          apply { address_info = address })
        world:fault("cards.apply", code)
        support.refused({ code = code }, apply { address_info = support.address_info })
      end
    end)

    it("is refused with 3001 where the account does not hold what a card costs", function()
      local holder = world:holder()
      local function costly()
        return ks.cards:apply { cardholder_no = holder.cardholder_no, package_no = "P-3",
          card_type = "Virtual", card_unique_no = world:unique "card" }
      end
      support.refused({ code = 3001 }, costly())
      world:fund(holder, "5.00")
      assert(costly())
    end)

    it("is refused with 4003 for a package that there isn't", function()
      support.refused({ code = 4003 }, apply { package_no = "P-404" })
    end)

    it("is refused with 1004 and the field where a number is taken", function()
      local card = world:card()
      support.refused({ code = 1004, field = "card_unique_no", operation = "cards.apply" },
        apply({ card_unique_no = card.card_unique_no }, { settle = false }))
      support.refused({ code = 1004, field = "card_type" }, apply { card_type = "Physical",
        address_info = support.address_info })
    end)
  end)

  describe("cards.list", function()
    it("works: rows with methods, newest first", function()
      local first, holder = world:card()
      local second = world:card("Virtual", ks, holder)
      local fields = support.window()
      fields.cardholder_no = holder.cardholder_no
      local list = assert(ks.cards:list(fields))
      assert.equal(2, #list)
      assert.equal(second.card_no, list[1].card_no)
      assert.equal(first.card_no, list[2].card_no)
      for _, card in ipairs(list) do
        support.check_row("cards.list", card)
        assert.equal(holder.cardholder_no, card.cardholder_no)
      end
      assert.equal("Frozen", assert(list[1]:freeze()).status)
    end)

    it("finds one by its numbers", function()
      local card = world:card()
      for _, name in ipairs { "card_no", "card_unique_no" } do
        local fields = support.window()
        fields[name] = card[name]
        local list = assert(ks.cards:list(fields))
        assert.equal(1, #list)
        assert.equal(card.card_no, list[1].card_no)
      end
    end)

    it("is refused by the platform with 1019 and 1020 where it counts otherwise", function()
      for _, code in ipairs { 1019, 1020 } do
        world:fault("cards.list", code)
        support.refused({ code = code }, ks.cards:list(support.window()))
      end
    end)
  end)

  describe("cards.detail", function()
    it("works: with all its fees, money as text", function()
      local card = world:card()
      local detail = assert(ks.cards:detail { card_no = card.card_no })
      support.check_row("cards.detail", detail)
      assert.equal("Activated", detail.status)
      assert.equal(card.card_unique_no, detail.card_unique_no)
      assert.equal("0.00", detail.fee_detail.consume_cancle_fee)
      assert.equal(0, detail.fee_detail.decline_fee_free_count)
      assert.equal("card " .. card.card_no .. " (Activated)", tostring(detail))
    end)

    it("is refused with 4001 for a card that there isn't, or is another's", function()
      unknown "detail"
      support.refused({ code = 4001 }, world.authorization.cards:detail {
        card_no = world:card().card_no })
    end)
  end)

  describe("cards.private_info", function()
    it("works: decrypted, guarded, given by name", function()
      local card = world:card()
      local private = assert(ks.cards:private_info { card_no = card.card_no })
      support.check_row("cards.private_info", private)
      local plastic = world:plastic(card)
      for _, name in ipairs { "pan", "cvv", "exp_year", "exp_month" } do
        assert.equal(plastic[name], private[name])
      end
      assert.equal(card.card_no, private.card_no)
      assert.equal(card.card_unique_no, private.card_unique_no)
      assert.equal(string.format("411111******%s %s/%s", card.card_last_no, plastic.exp_month,
        plastic.exp_year), tostring(private))
    end)

    it("is refused with 1013 where the merchant has no PCI", function()
      local card = world:card()
      world:configure { merchants = { credit = { pci = false } } }
      support.refused({ code = 1013, attempts = 1 },
        ks.cards:private_info { card_no = card.card_no })
    end)

    it("is refused with 4001 for a card that there isn't", function()
      unknown "private_info"
    end)

    it("is refused with 4005 unless the card is Activated", function()
      local card = world:card()
      assert(card:freeze())
      support.refused({ code = 4005 }, ks.cards:private_info { card_no = card.card_no })
    end)

    it("tells where the secret is another, and shows nothing of it", function()
      local card = world:card()
      local other = world:client { api_secret = "another-secret-of-32-bytes-long!" }
      local err = support.refused({ outcome = "unknown", operation = "cards.private_info" },
        other.cards:private_info { card_no = card.card_no })
      assert.is_true(err.kind == "crypto" or err.kind == "protocol", err.kind)
    end)
  end)

  describe("cards.activate", function()
    local card, plastic

    before_each(function()
      card = world:card "Physical"
      plastic = world:plastic(card)
    end)

    local function activate(changes)
      local fields = { cardholder_no = card.cardholder_no, card_no = card.card_no,
        cvv = plastic.cvv, card_last_no = plastic.card_last_no }
      for name, value in pairs(changes or {}) do
        fields[name] = value
      end
      return ks.cards:activate(fields)
    end

    it("works", function()
      assert.is_true(assert(activate()))
      assert.equal("Activated", assert(card:refresh()).status)
    end)

    it("is refused with 1004 and the field where CVV, last four or holder are wrong", function()
      local cvv = plastic.cvv == "190" and "910" or "190"
      support.refused({ code = 1004, field = "cvv" }, activate { cvv = cvv })
      local last = plastic.card_last_no == "1908" and "9081" or "1908"
      support.refused({ code = 1004, field = "card_last_no" }, activate { card_last_no = last })
      support.refused({ code = 1004, field = "cardholder_no" },
        activate { cardholder_no = world:holder().cardholder_no })
    end)

    it("is refused with 2002 and 4001 for a holder or a card that there isn't", function()
      support.refused({ code = 2002 }, activate { cardholder_no = "U1" })
      support.refused({ code = 4001 }, activate { card_no = "C1" })
    end)

    it("is refused with 4005 unless the card is ToActivate", function()
      assert(activate())
      support.refused({ code = 4005, attempts = 1 }, activate())
    end)
  end)

  describe("cards.update_status", function()
    it("works: there and back, and away", function()
      local card = world:card()
      for _, status in ipairs { "Frozen", "Activated", "Delete" } do
        assert.is_true(assert(ks.cards:update_status { card_no = card.card_no,
          status = status }))
        assert.equal(status, assert(card:refresh()).status)
      end
    end)

    it("is refused with 4001 for a card that there isn't", function()
      unknown("update_status", { status = "Frozen" })
    end)

    it("is refused with 4005 where the state doesn't lead there", function()
      local card = world:card()
      support.refused({ code = 4005, attempts = 1 },
        ks.cards:update_status({ card_no = card.card_no, status = "Activated" },
          { settle = false }))
      assert(card:delete())
      support.refused({ code = 4005 },
        ks.cards:update_status { card_no = card.card_no, status = "Frozen" })
    end)
  end)

  describe("cards.set_pin", function()
    local function set_pin(card, changes)
      local fields = { card_no = card.card_no, cardholder_no = card.cardholder_no,
        pin = "862947" }
      for name, value in pairs(changes or {}) do
        fields[name] = value
      end
      return ks.cards:set_pin(fields)
    end

    it("works", function()
      assert.is_true(assert(set_pin((world:activated_physical()))))
    end)

    it("is refused with 1004, 2002 and 4001 for what there isn't", function()
      local card = world:activated_physical()
      support.refused({ code = 2002 }, set_pin(card, { cardholder_no = "U1" }))
      support.refused({ code = 4001 }, set_pin(card, { card_no = "C1" }))
      support.refused({ code = 1004, field = "cardholder_no" },
        set_pin(card, { cardholder_no = world:holder().cardholder_no }))
    end)

    it("is refused with 4005 before it is activated", function()
      support.refused({ code = 4005 }, set_pin((world:card "Physical")))
    end)

    it("is refused with 4016 over its digits, here already", function()
      local card = world:activated_physical()
      support.refused({ kind = "invalid", field = "pin", outcome = "not_sent" },
        set_pin(card, { pin = "123890" }))
      world:fault("cards.set_pin", 4016)
      support.refused({ code = 4016 }, set_pin(card))
    end)

    it("is refused with 4017 for a virtual card", function()
      support.refused({ code = 4017 }, set_pin((world:card())))
    end)
  end)

  describe("cards.packages", function()
    it("works: fees and limits, money as text, tags as lists", function()
      local list = assert(ks.cards:packages())
      assert.equal(3, #list)
      for _, package in ipairs(list) do
        support.check_row("cards.packages", package)
      end
      assert.equal("P-1", list[1].package_no)
      assert.same({ "online" }, list[1].en_tag_list)
      assert.equal("100000.00", list[1].consumption_limit.limit_balance)
      assert.equal("1.50", list[3].fee_detail.cross_consume_rate)
    end)

    it("finds by type and number, and by page", function()
      local list = assert(ks.cards:packages { type = "Physical" })
      assert.equal(1, #list)
      assert.equal("P-2", list[1].package_no)
      assert.equal("P-3", assert(ks.cards:packages { package_no = "P-3" })[1].package_no)
      assert.equal("P-2", assert(ks.cards:packages { page = 1, size = 1 })[1].package_no)
      assert.same({}, ks.cards:packages { package_no = "P-404" })
    end)
  end)

  describe("cards.bins", function()
    it("works: in authorization mode", function()
      local list = assert(world.authorization.cards:bins())
      assert.equal(2, #list)
      for _, bin in ipairs(list) do
        support.check_row("cards.bins", bin)
      end
      assert.equal("411111", list[1].card_bin)
      assert.is_true(list[1].support_physical)
      assert.is_false(list[2].support_physical)
      assert.same({ "USD", "EUR" }, list[1].currencies)
      assert.equal("1000.00", list[1].balance_limit.limit_atm_day_balance)
    end)

    it("finds by number and by page", function()
      local cards = world.authorization.cards
      assert.equal("545454", assert(cards:bins { card_bin_no = "B-2" })[1].card_bin)
      assert.equal("B-2", assert(cards:bins { page = 1, size = 1 })[1].card_bin_no)
    end)
  end)
end)
