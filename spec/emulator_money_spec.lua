-- What purchases cost and may cost: fees to the cent, limits, clearings of every kind, and the
-- sums on both sides of each.
local support = require "spec.support.emulator"

local DAY = 86400

describe("the emulator's money", function()
  local peer

  setup(function() peer = support.start() end)
  teardown(function() peer:stop() end)
  after_each(function() peer:reset() end)

  -- A card of P-3, which asks for something of everything; opening it costs 5.00.
  local function paid_card(funds)
    local holder = peer:holder()
    peer:fund(holder, funds)
    return peer:ok("cards.apply", { package_no = "P-3", cardholder_no = holder,
      card_unique_no = peer:unique "card", card_type = "Virtual" }).card_no, holder
  end

  local function auth(card_no, amount, changes)
    local values = { card_no = card_no, amount = amount }
    for name, value in pairs(changes or {}) do
      values[name] = value
    end
    return peer:ok("simulate.auth", values)
  end

  local function row_of(data)
    return peer:ok("consumptions.info", { consume_no = data.consume_no })
  end

  local function simulate(name, data, changes)
    local values = { consume_no = data.consume_no }
    for key, value in pairs(changes or {}) do
      values[key] = value
    end
    return peer:call("simulate." .. name, values).json
  end

  local function rows(kind)
    local result = {}
    for _, row in ipairs(peer:control("GET", "state").consumptions) do
      result[#result + 1] = row.type == kind and row or nil
    end
    return result
  end

  local function held()
    local all = peer:control("GET", "state").cardholders
    return all[#all].held
  end

  describe("in fees", function()
    local function fee_of(card_no, amount, changes)
      local row, list = row_of(auth(card_no, amount, changes)), {}
      for _, fee in ipairs(row.fee_list) do
        list[#list + 1] = fee.fee_type .. " " .. fee.amount
      end
      return row.fee, table.concat(list, ", ")
    end

    it("opens a card for its price, and gives that back where it fails", function()
      local _, holder = paid_card "5.00"
      assert.equal("0.00", peer:balance(holder))
      local opened = rows "Open_card"
      assert.same({ "5.00", "Success" }, { opened[1].amount, opened[1].status })
      assert.equal(3001, peer:call("cards.apply", { package_no = "P-3", cardholder_no = holder,
        card_unique_no = "c", card_type = "Virtual" }).json.code)
      peer:fund(holder, "5.00")
      peer:ok("cards.apply", { package_no = "P-3", cardholder_no = holder,
        card_unique_no = "fail-1", card_type = "Virtual" })
      assert.equal("5.00", peer:balance(holder))
      assert.equal(rows("Open_card")[2].consume_no, rows("Reversal")[1].consume_relate_no)
    end)

    it("takes the rate, half a cent up, and more in a foreign currency", function()
      local card_no = paid_card "1000.00"
      assert.same({ "0.13", "Consume_fee 0.13" }, { fee_of(card_no, "12.50") })
      assert.same({ "0.12", "Consume_fee 0.12" }, { fee_of(card_no, "12.49") })
      assert.same({ "0.32", "Consume_fee 0.13, Exchange_fee 0.19" },
        { fee_of(card_no, "12.50", { local_currency = "EUR", local_amount = "11.00" }) })
    end)

    it("declines what the balance covers, but for the fee", function()
      local card_no = paid_card "105.99"
      assert.equal("declined", auth(card_no, "100.00").decision)
      assert.equal("approved", auth(card_no, "99.99").decision)
    end)

    it("takes more of small purchases once the free ones are used", function()
      local card_no = paid_card "100.00"
      assert.same({ "0.02", "Consume_fee 0.02" }, { fee_of(card_no, "1.99") })
      assert.same({ "0.02", "Consume_fee 0.02" }, { fee_of(card_no, "1.50") })
      assert.same({ "0.22", "Consume_fee 0.02, Small_fee 0.20" }, { fee_of(card_no, "1.99") })
      assert.same({ "0.02", "Consume_fee 0.02" }, { fee_of(card_no, "2.00") })
    end)

    it("takes at least so much of cash, and so much of Apple Pay", function()
      local card_no = paid_card "1000.00"
      assert.same({ "0.10", "Apple_auth_fee 0.10" },
        { fee_of(card_no, "0.01", { apple_pay = true }) }) -- one of the free small ones
      local function cash(amount)
        return { fee_of(card_no, amount, { type = "Atm" }) }
      end
      assert.same({ "2.50", "Atm_fee 2.50" }, cash "50.00")
      assert.same({ "2.51", "Atm_fee 2.51" }, cash "125.50")
    end)

    it("takes a fee of a declined purchase once the free ones are used, for 30 days", function()
      local card_no, holder = paid_card "15.00"
      for _ = 1, 3 do
        assert.same({ "0.00", "" }, { fee_of(card_no, "99.00") })
      end
      assert.same({ "0.30", "Decline_fee 0.30" }, { fee_of(card_no, "99.00") })
      assert.equal("9.70", peer:balance(holder))
      peer.emulator:clock { advance = 30 * DAY + 1 }
      peer.tokens = {}
      assert.same({ "0.00", "" }, { fee_of(card_no, "99.00") })
    end)

    it("takes of a declined purchase no more than there is", function()
      local card_no, holder = paid_card "5.20"
      for _ = 1, 3 do
        auth(card_no, "99.00")
      end
      assert.equal("0.20", (fee_of(card_no, "99.00")))
      assert.equal("0.00", peer:balance(holder))
      assert.equal("0.00", (fee_of(card_no, "99.00")))
    end)

    it("takes a rate of refunds, and a fee of reversals from a threshold on", function()
      local card_no, holder = paid_card "505.00"
      local data = auth(card_no, "200.00") -- and 2.00
      simulate("consumption_clear", data)
      assert.equal("298.00", peer:balance(holder))
      local back = row_of(simulate("refund", data, { amount = "100.00" }).data)
      assert.same({ "0.50", "Refund_fee" }, { back.fee, back.fee_list[1].fee_type })
      assert.equal("397.50", peer:balance(holder))
      back = row_of(simulate("reversal", data, { amount = "49.99" }).data)
      assert.same({ "0.00", 0 }, { back.fee, #back.fee_list })
      back = row_of(simulate("reversal", data, { amount = "50.00" }).data)
      assert.same({ "0.25", "Cancel_fee" }, { back.fee, back.fee_list[1].fee_type })
      assert.equal("497.24", peer:balance(holder))
    end)

    it("takes a fee for every 30 days, as long as there is a card and money", function()
      local card_no, holder = paid_card "7.50"
      peer.emulator:clock { advance = 29 * DAY }
      assert.equal(0, #rows "Manage_fee")
      peer.emulator:clock { advance = 62 * DAY } -- the 91st day
      local paid = rows "Manage_fee"
      assert.equal(3, #paid)
      assert.equal("Success Success Fail", table.concat({ paid[1].status, paid[2].status,
        paid[3].status }, " "))
      assert.equal(30 * DAY, math.floor((paid[2].time - paid[1].time) / 1000 + 0.5))
      peer.tokens = {}
      assert.equal("0.50", peer:balance(holder))
      peer:ok("cards.update_status", { card_no = card_no, status = "Delete" })
      peer.emulator:clock { advance = 90 * DAY }
      assert.equal(3, #rows "Manage_fee")
    end)

    it("takes none for a month in which enough was spent", function()
      local card_no = paid_card "1000.00"
      simulate("consumption_clear", auth(card_no, "500.00"))
      peer.emulator:clock { advance = 31 * DAY }
      assert.equal(0, #rows "Manage_fee")
      peer.emulator:clock { advance = 30 * DAY }
      assert.equal(1, #rows "Manage_fee")
    end)
  end)

  describe("in limits", function()
    local function reason(card_no, amount, kind)
      if auth(card_no, amount, { type = kind }).decision == "approved" then
        return "approved"
      end
      local all = peer:control("GET", "state").consumptions
      return all[#all].remark
    end

    it("allows so much for one purchase and so much in a week, to the cent", function()
      local card_no, holder = peer:card()
      peer:fund(holder, "999999.00")
      assert.equal("above the limit for one purchase", reason(card_no, "100000.01"))
      assert.equal("above the limit of the week", reason(card_no, "50000.01"))
      assert.equal("approved", reason(card_no, "49999.99"))
      assert.equal("above the limit of the week", reason(card_no, "0.02"))
      assert.equal("approved", reason(card_no, "0.01"))
      peer.emulator:clock { advance = 7 * DAY }
      assert.equal("approved", reason(card_no, "50000.00"))
    end)

    it("counts weeks from Monday, in UTC+8", function()
      local ahead = os.time() + 30 * DAY + 8 * 3600 -- as UTC+8 would read it
      local to_monday = (8 - tonumber(os.date("!%w", ahead))) % 7
      peer.emulator:clock { set = os.date("!%Y-%m-%d", ahead + to_monday * DAY) }
      local card_no, holder = peer:card()
      peer:fund(holder, "999999.00")
      assert.equal("approved", reason(card_no, "50000.00"))
      peer.emulator:clock { advance = 7 * DAY - 60 }
      assert.equal("above the limit of the week", reason(card_no, "0.01"))
      peer.emulator:clock { advance = 60 }
      assert.equal("approved", reason(card_no, "0.01"))
    end)

    it("counts what was given back or failed no longer", function()
      local card_no, holder = peer:card()
      peer:fund(holder, "999999.00")
      local data = auth(card_no, "50000.00")
      assert.equal("above the limit of the week", reason(card_no, "10.00"))
      simulate("reversal", data, { amount = "10.00" })
      assert.equal("approved", reason(card_no, "10.00"))
      assert.equal("above the limit of the week", reason(card_no, "0.01"))
      simulate("consumption_fail", data)
      assert.equal("approved", reason(card_no, "49990.00"))
    end)

    it("allows so much cash in a day of UTC+8 and in a month", function()
      peer.emulator:clock { set = os.date("!%Y-%m-01 12:00:00", os.time() + 40 * DAY) }
      local card_no, holder = peer:card()
      peer:fund(holder, "99999.00")
      for _ = 1, 10 do
        assert.equal("approved", reason(card_no, "600.00", "Atm"))
        assert.equal("above the limit of cash for the day", reason(card_no, "400.01", "Atm"))
        assert.equal("approved", reason(card_no, "400.00", "Atm"))
        peer.emulator:clock { advance = DAY }
      end
      assert.equal("above the limit of cash for the month", reason(card_no, "0.01", "Atm"))
      assert.equal("approved", reason(card_no, "0.01", "Consumption"))
      peer.emulator:clock { advance = 31 * DAY }
      assert.equal("approved", reason(card_no, "1000.00", "Atm"))
    end)

    it("keeps them in authorization mode, before the merchant is asked", function()
      support.run(function()
        local receiver = support.receiver()
        assert(peer:control("POST", "config", { callback_url = receiver.url }))
        local card_no = peer:card("Virtual", "authorization")
        assert.equal("declined", auth(card_no, "100000.01").decision)
        assert.equal(0, #receiver.of "Auth")
        assert.equal("approved", auth(card_no, "1.00").decision)
      end)
    end)
  end)

  describe("in clearings", function()
    it("pays less than was authorized, and frees the rest", function()
      local consume_no, _, holder = peer:purchase("40.00", "50.00")
      assert.equal("40.00", held())
      local data = { consume_no = consume_no }
      assert.equal(0, simulate("consumption_clear", data, { amount = "15.00" }).code)
      assert.same({ "Success", "15.00" }, { row_of(data).status, row_of(data).amount })
      assert.equal("35.00", peer:balance(holder))
      assert.equal("0.00", held())
      assert.equal(1004, simulate("refund", data, { amount = "15.01" }).code)
      assert.equal(0, simulate("refund", data, { amount = "15.00" }).code)
    end)

    it("pays in several parts", function()
      local consume_no, _, holder = peer:purchase("40.00", "50.00")
      local data = { consume_no = consume_no }
      assert.equal(0, simulate("consumption_clear", data, { amount = "15", final = false }).code)
      assert.equal("Pending", row_of(data).status)
      assert.equal("35.00", peer:balance(holder))
      assert.equal("25.00", held())
      assert.equal(4005, simulate("consumption_fail", data).code)
      assert.equal(1004, simulate("reversal", data, { amount = "25.01" }).code)
      assert.equal(0, simulate("reversal", data, { amount = "5.00" }).code)
      assert.equal("20.00", held())
      simulate("consumption_clear", data, { amount = "15.00", final = false })
      assert.equal("5.00", held())
      simulate("consumption_clear", data)
      -- 35.00 cleared, and the 5.00 that the reversal's own record gives back.
      assert.same({ "Success", "40.00" }, { row_of(data).status, row_of(data).amount })
      assert.equal("15.00", peer:balance(holder))
      assert.equal(1004, simulate("refund", data, { amount = "35.01" }).code)
      assert.equal("0.00", held())
      assert.equal(4005, simulate("consumption_clear", data).code)
    end)

    it("ends with the last part that is left, final or not, and by reversing the rest", function()
      local data = { consume_no = peer:purchase("40.00", "50.00") }
      simulate("consumption_clear", data, { amount = "30.00", final = false })
      simulate("consumption_clear", data, { amount = "10.00", final = false })
      assert.same({ "Success", "40.00" }, { row_of(data).status, row_of(data).amount })

      local other = { consume_no = peer:purchase("40.00", "50.00") }
      simulate("consumption_clear", other, { amount = "30.00", final = false })
      simulate("reversal", other)
      assert.same({ "Success", "40.00" }, { row_of(other).status, row_of(other).amount })
      assert.equal(1004, simulate("refund", other, { amount = "30.01" }).code)
      assert.equal("0.00", held())
    end)

    it("pays more than was authorized, even more than there is", function()
      local consume_no, _, holder = peer:purchase("40.00", "50.00")
      local data = { consume_no = consume_no }
      assert.equal(1004, simulate("consumption_clear", data, { amount = "0.00" }).code)
      assert.equal(0, simulate("consumption_clear", data, { amount = "60.00" }).code)
      assert.same({ "Success", "60.00" }, { row_of(data).status, row_of(data).amount })
      assert.equal("-10.00", peer:balance(holder))
      assert.equal(3001, peer:call("accounts.transfer", peer:transfer_values {
        cardholder_no = holder, type = "Out", balance = "0.01" }).json.code)
      simulate("refund", data)
      assert.equal("50.00", peer:balance(holder))
    end)

    it("takes the fee of what was cleared, not of what was authorized", function()
      local card_no, holder = paid_card "205.00"
      local data = auth(card_no, "100.00")
      assert.equal("101.00", held())
      simulate("consumption_clear", data, { amount = "50.00", final = false })
      assert.equal("51.00", held())
      simulate("consumption_clear", data, { amount = "25.00" })
      assert.equal("0.75", row_of(data).fee)
      assert.equal("124.25", peer:balance(holder))
    end)

    it("is told at each step", function()
      support.run(function()
        local receiver = support.receiver()
        assert(peer:control("POST", "config", { callback_url = receiver.url }))
        local data = { consume_no = peer:purchase("40.00", "50.00") }
        receiver.wait("Consumption", 1)
        simulate("consumption_clear", data, { amount = "15.00", final = false })
        receiver.wait("Consumption", 2)
        simulate("consumption_clear", data, { amount = "50.00" })
        local told = {}
        for i, event in ipairs(receiver.wait("Consumption", 3)) do
          told[i] = event.json.data.status .. " " .. event.raw:match '"amount":([%d.]+)'
        end
        assert.same({ "Pending 40.00", "Pending 40.00", "Success 65.00" }, told)
      end)
    end)
  end)

  it("declines a card that is frozen while its purchase is decided", function()
    support.run(function()
      local card_no
      local receiver = support.receiver(function(event)
        if event.json.action == "Auth" then
          peer:ok("cards.update_status", { card_no = card_no, status = "Frozen" },
            { merchant = "authorization" })
        end
      end)
      assert(peer:control("POST", "config", { callback_url = receiver.url }))
      card_no = peer:card("Virtual", "authorization")
      assert.equal("declined", auth(card_no, "1.00").decision)
      assert.equal("card is Frozen", peer:control("GET", "state").consumptions[1].remark)
    end)
  end)

  it("answers a purchase over whose decision everything was forgotten", function()
    support.run(function()
      local receiver = support.receiver(function(event)
        return 200, nil, event.json.action == "Auth" and 0.3 or nil
      end)
      assert(peer:control("POST", "config", { callback_url = receiver.url }))
      local card_no = peer:card("Virtual", "authorization")
      local code
      support.together(function()
        code = peer:call("simulate.auth", { card_no = card_no, amount = "1.00" }).json.code
      end, function()
        receiver.wait("Auth", 1)
        peer:reset()
      end)
      assert.equal(1001, code)
      assert.equal(0, peer:control("GET", "state").counts.consumptions)
    end)
  end)
end)
