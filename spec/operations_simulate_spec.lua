-- The simulations through the client, over HTTP.
local support = require "spec.support.client"

describe("simulate", function()
  local world, ks

  setup(function()
    world = support.start()
    ks = world.ks
  end)
  teardown(function()
    world:stop()
  end)

  local function status_of(consume_no)
    return assert(ks.consumptions:info { consume_no = consume_no }).status
  end

  local function unknown(method)
    support.refused({ code = 4002, attempts = 1, operation = "simulate." .. method },
      ks.simulate[method](ks.simulate, { consume_no = "S1" }))
  end

  -- What the platform asks for is the platform's to say: the client passes it on.
  local function asks_for(method, field)
    support.refused({ code = 1004, field = field, outcome = "refused" },
      ks.simulate[method](ks.simulate, {}))
  end

  describe("simulate.auth", function()
    it("works: approved, and declined above the balance", function()
      local card, holder = world:card()
      world:fund(holder, "20.00")
      local purchase = assert(ks.simulate:auth { card_no = card.card_no, amount = "19.99",
        local_amount = "18.00", local_currency = "EUR", type = "Atm",
        merchant_info = { merchant_name = "Bank", merchant_mcc = "6011", city = "Oslo",
          country = "NO" } })
      support.check_row("simulate.auth", purchase)
      assert.equal("approved", purchase.decision)
      local row = assert(ks.consumptions:info { consume_no = purchase.consume_no })
      assert.equal("Atm", row.type)
      assert.equal("18.00", row.local_amount)
      assert.equal("EUR", row.local_currency)
      assert.equal("Bank", row.merchant_info.merchant_name)
      assert.equal("declined",
        assert(ks.simulate:auth { card_no = card.card_no, amount = "0.02" }).decision)
    end)

    it("needs neither Api-Key nor token, and has fields checked by the platform", function()
      local ks_without = world:client { api_key = "nobody" }
      support.refused({ code = 4001, attempts = 1 },
        ks_without.simulate:auth { card_no = "C1", amount = "1.00", more = { 1 } })
      asks_for("auth", "card_no")
    end)

    it("is refused with 4001 for a card that there isn't", function()
      support.refused({ code = 4001 }, ks.simulate:auth { card_no = "C1", amount = "1.00" })
    end)

    it("is refused with 4005 for a card that nobody has in hand", function()
      local card = world:card "Physical"
      support.refused({ code = 4005 },
        ks.simulate:auth { card_no = card.card_no, amount = "1.00" })
    end)
  end)

  describe("simulate.consumption_clear", function()
    it("works: what was held is paid", function()
      local consume_no, _, holder = world:purchase "30.00"
      local row = assert(ks.simulate:consumption_clear { consume_no = consume_no,
        remark = "settled" })
      support.check_row("simulate.consumption_clear", row)
      assert.equal("Success", status_of(consume_no))
      assert.equal("70.00", assert(holder:refresh()).total_balance)
    end)

    it("is refused with 4002 for a record that there isn't", function()
      unknown "consumption_clear"
      asks_for("consumption_clear", "consume_no")
    end)

    it("is refused with 4005 a second time", function()
      local consume_no = world:purchase()
      assert(ks.simulate:consumption_clear { consume_no = consume_no })
      support.refused({ code = 4005 }, ks.simulate:consumption_clear { consume_no = consume_no })
    end)
  end)

  describe("simulate.consumption_fail", function()
    it("works: nothing is paid", function()
      local consume_no, _, holder = world:purchase "30.00"
      local row = assert(ks.simulate:consumption_fail { consume_no = consume_no })
      support.check_row("simulate.consumption_fail", row)
      assert.equal("Fail", status_of(consume_no))
      assert.equal("100.00", assert(holder:refresh()).total_balance)
    end)

    it("is refused with 4002 for a record that there isn't", function()
      unknown "consumption_fail"
      asks_for("consumption_fail", "consume_no")
    end)

    it("is refused with 4005 once it has cleared", function()
      local consume_no = world:purchase()
      assert(ks.simulate:consumption_clear { consume_no = consume_no })
      support.refused({ code = 4005 }, ks.simulate:consumption_fail { consume_no = consume_no })
    end)
  end)

  describe("simulate.reversal", function()
    it("works: before the clearing, and after", function()
      local consume_no, _, holder = world:purchase "30.00"
      local row = assert(ks.simulate:reversal { consume_no = consume_no, amount = "10.00" })
      support.check_row("simulate.reversal", row)
      assert.equal(consume_no, row.consume_relate_no)
      local back = assert(ks.consumptions:info { consume_no = row.consume_no })
      assert.equal("Reversal", back.type)
      assert.equal("10.00", back.amount)
      assert(ks.simulate:consumption_clear { consume_no = consume_no })
      assert.equal("80.00", assert(holder:refresh()).total_balance)
      assert(ks.simulate:reversal { consume_no = consume_no })
      assert.equal("100.00", assert(holder:refresh()).total_balance)
    end)

    it("is refused with 4002 for a record that there isn't", function()
      unknown "reversal"
      asks_for("reversal", "consume_no")
    end)

    it("is refused with 4005 for a purchase that failed", function()
      local consume_no = world:purchase()
      assert(ks.simulate:consumption_fail { consume_no = consume_no })
      support.refused({ code = 4005 }, ks.simulate:reversal { consume_no = consume_no })
    end)
  end)

  describe("simulate.refund", function()
    it("works: in parts", function()
      local consume_no, _, holder = world:purchase "30.00"
      assert(ks.simulate:consumption_clear { consume_no = consume_no })
      local row = assert(ks.simulate:refund { consume_no = consume_no, amount = "10.00" })
      support.check_row("simulate.refund", row)
      assert.equal(consume_no, row.consume_relate_no)
      assert.equal("80.00", assert(holder:refresh()).total_balance)
      local back = assert(ks.consumptions:info { consume_no = row.consume_no })
      assert.equal("Refund", back.type)
      assert.equal(consume_no, back.consume_relate_no)
      support.refused({ code = 1004, field = "amount" },
        ks.simulate:refund { consume_no = consume_no, amount = "20.01" })
    end)

    it("is refused with 4002 for a record that there isn't", function()
      unknown "refund"
      asks_for("refund", "consume_no")
    end)

    it("is refused with 4005 before the clearing", function()
      local consume_no = world:purchase()
      support.refused({ code = 4005 }, ks.simulate:refund { consume_no = consume_no })
    end)
  end)
end)
