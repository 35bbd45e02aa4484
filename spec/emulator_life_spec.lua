-- What happens over time: KYC, issuing, card states, tokens, money.
local core = require "keysecure.core"
local cqueues = require "cqueues"
local support = require "spec.support.emulator"

describe("the emulator's life cycles", function()
  local peer

  setup(function() peer = support.start() end)
  teardown(function() peer:stop() end)
  after_each(function() peer:reset() end)

  local function configure(changes)
    assert(peer:control("POST", "config", changes))
  end

  local function apply(share_token, cardholder_no, unique)
    return peer:ok("cardholders.apply", { cardholder_no = cardholder_no,
      cardholder_unique_no = unique or peer:unique "holder", sumsub_share_token = share_token })
  end

  local function status_of(holder)
    return peer:ok("cardholders.info", { cardholder_no = holder }).status
  end

  local function seen(read, last)
    local states = {}
    support.wait(function()
      local state = read()
      if states[#states] ~= state then
        states[#states + 1] = state
      end
      return state == last
    end)
    return states
  end

  it("take KYC from Pending over In_progress to Approved", function()
    configure { kyc_delay = 0.06 }
    local holder = apply("share").cardholder_no
    assert.same({ "Pending", "In_progress", "Approved" },
      seen(function() return status_of(holder) end, "Approved"))
  end)

  it("reject a marked share token with a reason, and let one apply again", function()
    configure { kyc_delay = 0.03 }
    local unique = peer:unique "holder"
    local holder = apply("reject-me", nil, unique).cardholder_no
    assert.same({ "Pending", "In_progress", "Rejected" },
      seen(function() return status_of(holder) end, "Rejected"))
    local row = peer:ok("cardholders.list", { cardholder_no = holder, start_time = "2026-01-01",
      end_time = "2026-03-01" })
    assert.same({}, row.list) -- outside of the window
    row = peer:control("GET", "state").cardholders[1]
    assert.are_not.equal("", row.fail_reason)
    assert.equal(holder, apply("share", holder, unique).cardholder_no)
    assert.equal("", peer:control("GET", "state").cardholders[1].fail_reason)
    assert.same({ "Pending", "In_progress", "Approved" },
      seen(function() return status_of(holder) end, "Approved"))
  end)

  it("don't hurry because the server's clock is wrong", function()
    configure { kyc_delay = 5 }
    local holder = apply("share").cardholder_no
    for _, offset in ipairs { 20, -20 } do
      configure { clock_offset = offset }
      local shifted = string.format("%.0f", core.wall() + offset * 1000)
      local info = peer:ok("cardholders.info", { cardholder_no = holder },
        { headers = { Timestamp = shifted } })
      assert.equal("Pending", info.status)
    end
  end)

  it("issue a card: Pending, then Activated, ToActivate or Fail", function()
    local holder = peer:holder()
    configure { issue_delay = 0.15 }
    local function issue(kind, unique)
      local card = peer:ok("cards.apply", { package_no = kind == "Virtual" and "P-1" or "P-2",
        cardholder_no = holder, card_unique_no = unique, card_type = kind,
        address_info = support.address_info })
      return card.card_no
    end
    local ends = { { "Virtual", "v", "Activated" }, { "Physical", "p", "ToActivate" },
      { "Virtual", "fail-1", "Fail" } }
    for _, case in ipairs(ends) do
      local card_no, last = issue(case[1], case[2]), case[3]
      local function read()
        return peer:ok("cards.detail", { card_no = card_no }).status
      end
      assert.equal("Pending", read())
      assert.equal(4005, peer:call("cards.private_info", { card_no = card_no }).json.code)
      assert.same({ "Pending", last }, seen(read, last))
    end
  end)

  it("allow the transitions of a card's status that A10 lists, and no others", function()
    local allowed = {
      Pending = {}, Fail = {}, Delete = {}, ToActivate = { Delete = true },
      Activated = { Frozen = true, Delete = true }, Frozen = { Activated = true, Delete = true },
    }
    local function set(card_no, status)
      return peer:call("cards.update_status", { card_no = card_no, status = status }).json.code
    end
    local function card_that_is(status)
      local holder = peer:holder()
      configure { issue_delay = status == "Pending" and 60 or 0 }
      local physical = status == "ToActivate"
      local card_no = peer:ok("cards.apply", { package_no = physical and "P-2" or "P-1",
        cardholder_no = holder, card_type = physical and "Physical" or "Virtual",
        card_unique_no = peer:unique(status == "Fail" and "fail" or "card"),
        address_info = support.address_info }).card_no
      if status == "Frozen" or status == "Delete" then
        assert.equal(0, set(card_no, status))
      end
      assert.equal(status, peer:ok("cards.detail", { card_no = card_no }).status)
      return card_no
    end
    for from, targets in pairs(allowed) do
      for _, to in ipairs { "Frozen", "Activated", "Delete" } do
        assert.equal(targets[to] and 0 or 4005, set(card_that_is(from), to), from .. " " .. to)
      end
    end
  end)

  it("keep an old token good beside a new one, and end it with single_session", function()
    local function code(token)
      return peer:call("cards.packages", {}, { headers = { ["Access-Token"] = token } }).json.code
    end
    local first = peer:ok("merchant.token").access_token
    local second = peer:ok("merchant.token").access_token
    assert.equal(0, code(first))
    assert.equal(0, code(second))
    configure { single_session = true }
    local third = peer:ok("merchant.token").access_token
    assert.equal(1007, code(first))
    assert.equal(1007, code(second))
    assert.equal(0, code(third))
  end)

  it("let a token expire", function()
    configure { token_lifetime = 0.08 }
    peer.tokens.credit = peer:ok("merchant.token").access_token
    assert.equal(0, peer:call("cards.packages").json.code)
    cqueues.sleep(0.1)
    assert.equal(1007, peer:call("cards.packages").json.code)
  end)
end)

describe("the emulator's money", function()
  local peer

  setup(function() peer = support.start() end)
  teardown(function() peer:stop() end)

  local function transfer(holder, kind, amount)
    return peer:call("accounts.transfer", { cardholder_no = holder, type = kind, balance = amount,
      transfer_unique_no = peer:unique "t" }).json
  end

  local function simulate(name, values)
    return peer:call("simulate." .. name, values).json
  end

  local function row_of(consume_no)
    return peer:ok("consumptions.info", { consume_no = consume_no })
  end

  it("is exact, however long the amount", function()
    local holder = peer:holder()
    transfer(holder, "In", "0.1")
    assert.equal("0.30", transfer(holder, "In", "0.2").data.after_balance)
    local huge = ("9"):rep(29) .. ".99"
    assert.equal("1" .. ("0"):rep(29) .. ".29", transfer(holder, "In", huge).data.after_balance)
    assert.equal("0.30", transfer(holder, "Out", huge).data.after_balance)
    assert.equal(3001, transfer(holder, "Out", "0.31").code)
    assert.equal("0.00", transfer(holder, "Out", "0.30").data.after_balance)
  end)

  it("is held by an authorization and paid by its clearing", function()
    local consume_no, _, holder = peer:purchase("40.00", "100.00")
    assert.equal("100.00", peer:balance(holder))
    assert.equal(3001, transfer(holder, "Out", "60.01").code)
    assert.equal(0, simulate("consumption_clear", { consume_no = consume_no, remark = "ok" }).code)
    assert.equal("60.00", peer:balance(holder))
    assert.equal("Success", row_of(consume_no).status)
    assert.equal(0, transfer(holder, "Out", "60.00").code)
  end)

  it("is free again when a purchase fails", function()
    local consume_no, _, holder = peer:purchase("40.00", "50.00")
    assert.equal(0, simulate("consumption_fail", { consume_no = consume_no }).code)
    assert.equal("50.00", peer:balance(holder))
    assert.equal(0, transfer(holder, "Out", "50.00").code)
  end)

  it("is refunded in parts, never more than was paid", function()
    local consume_no, _, holder = peer:purchase("40.00", "50.00")
    assert.equal(4005, simulate("refund", { consume_no = consume_no }).code)
    simulate("consumption_clear", { consume_no = consume_no })
    assert.equal(0, simulate("refund", { consume_no = consume_no, amount = "15.50" }).code)
    assert.equal("25.50", peer:balance(holder))
    local too_much = simulate("refund", { consume_no = consume_no, amount = "24.51" })
    assert.equal("amount invalid parameter", too_much.msg)
    assert.equal(1004, simulate("refund", { consume_no = consume_no, amount = "0.00" }).code)
    local rest = simulate("refund", { consume_no = consume_no }).data
    assert.equal("24.50", row_of(rest.consume_no).amount)
    assert.equal(consume_no, row_of(rest.consume_no).consume_relate_no)
    assert.equal("50.00", peer:balance(holder))
    assert.equal(1004, simulate("refund", { consume_no = consume_no }).code)
    assert.equal(4005, simulate("refund", { consume_no = rest.consume_no }).code)
  end)

  it("is freed by a reversal before clearing and given back by one after", function()
    local consume_no, _, holder = peer:purchase("40.00", "50.00")
    simulate("reversal", { consume_no = consume_no, amount = "10.00" })
    assert.equal("Pending", row_of(consume_no).status)
    assert.equal(0, transfer(holder, "Out", "20.00").code)
    assert.equal(3001, transfer(holder, "Out", "0.01").code)
    simulate("consumption_clear", { consume_no = consume_no })
    assert.equal("0.00", peer:balance(holder))
    local back = simulate("reversal", { consume_no = consume_no }).data
    assert.equal("Reversal", row_of(back.consume_no).type)
    assert.equal("30.00", peer:balance(holder))

    local whole, _, other = peer:purchase("5.00", "5.00")
    simulate("reversal", { consume_no = whole })
    assert.equal("Fail", row_of(whole).status)
    assert.equal(0, transfer(other, "Out", "5.00").code)
  end)

  it("declines what the balance doesn't cover, and what a frozen card wants", function()
    local card_no, holder = peer:card()
    peer:fund(holder, "10.00")
    local declined = simulate("auth", { card_no = card_no, amount = "10.01" }).data
    assert.same({ "Fail", "declined" }, { declined.status, declined.decision })
    assert.equal("approved", simulate("auth", { card_no = card_no, amount = "6" }).data.decision)
    assert.equal("declined", simulate("auth", { card_no = card_no, amount = "6" }).data.decision)
    peer:ok("cards.update_status", { card_no = card_no, status = "Frozen" })
    assert.equal("declined", simulate("auth", { card_no = card_no, amount = "1" }).data.decision)
  end)

  it("pays the fee that the package asks, rounded half up", function()
    local holder = peer:holder()
    peer:fund(holder, "105.00")
    local card_no = peer:ok("cards.apply", { package_no = "P-3", cardholder_no = holder,
      card_unique_no = peer:unique "card", card_type = "Virtual" }).card_no
    local auth = simulate("auth", { card_no = card_no, amount = "12.50" }).data -- 0.125
    local row = row_of(auth.consume_no)
    assert.equal("0.13", row.fee)
    assert.same({ { fee_type = "Consume_fee", amount = "0.13" } }, row.fee_list)
    simulate("consumption_clear", { consume_no = auth.consume_no })
    assert.equal("87.37", peer:balance(holder))
  end)
end)
