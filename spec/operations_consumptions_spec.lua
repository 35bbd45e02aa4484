-- The operations on consumption records through the client, over HTTP.
local support = require "spec.support.client"

describe("consumptions", function()
  local world, ks

  setup(function()
    world = support.start()
    ks = world.ks
  end)
  teardown(function()
    world:stop()
  end)

  describe("consumptions.info", function()
    it("works: amounts as text, time as integer", function()
      local consume_no, card, holder = world:purchase "12.50"
      assert(ks.simulate:consumption_clear { consume_no = consume_no })
      local row = assert(ks.consumptions:info { consume_no = consume_no })
      support.check_row("consumptions.info", row, { consume_relate_no = true })
      assert.equal(card.card_no, row.card_no)
      assert.equal(holder.cardholder_no, row.cardholder_no)
      assert.equal("Consumption", row.type)
      assert.equal("12.50", row.amount)
      assert.equal("Success", row.status)
      assert.equal("0.00", row.fee)
      assert.equal("5999", row.merchant_info.merchant_mcc)
      assert.equal("consumption " .. consume_no .. " Consumption 12.50 (Success)",
        tostring(row))
    end)

    it("lists the fees", function()
      local holder = world:holder()
      world:fund(holder)
      local card = assert(holder:apply_card { package_no = "P-3", card_type = "Virtual",
        card_unique_no = world:unique "card" })
      local purchase = assert(ks.simulate:auth { card_no = card.card_no, amount = "20.00" })
      local row = assert(ks.consumptions:info { consume_no = purchase.consume_no })
      assert.equal("0.20", row.fee)
      assert.same({ { fee_type = "Consume_fee", amount = "0.20" } }, row.fee_list)
    end)

    it("is refused with 4002 for a record that there isn't", function()
      support.refused({ code = 4002, attempts = 1 }, ks.consumptions:info { consume_no = "S1" })
    end)
  end)

  describe("consumptions.list", function()
    it("works: rows with methods, newest first", function()
      local first, card, holder = world:purchase "1.00"
      local second = assert(ks.simulate:auth { card_no = card.card_no, amount = "2.00" })
      for _, fields in ipairs { { card_no = card.card_no },
        { cardholder_no = holder.cardholder_no } } do
        local window = support.window()
        fields.start_time, fields.end_time = window.start_time, window.end_time
        local list = assert(ks.consumptions:list(fields))
        assert.equal(2, #list)
        for _, row in ipairs(list) do
          support.check_row("consumptions.list", row)
        end
        assert.equal(second.consume_no, list[1].consume_no)
        assert.equal("1.00", list[2].amount)
      end
      local fields = support.window()
      fields.consume_no = first
      local list = assert(ks.consumptions:list(fields))
      assert.equal(1, #list)
      assert.equal("Pending", list[1].status)
      assert.is_nil(list[1].cardholder_no)
      assert.equal(holder.cardholder_no, assert(list[1]:refresh()).cardholder_no)
    end)

    it("is refused by the platform with 1019 and 1020 where it counts otherwise", function()
      for _, code in ipairs { 1019, 1020 } do
        world:fault("consumptions.list", code)
        support.refused({ code = code }, ks.consumptions:list(support.window()))
      end
    end)
  end)
end)
