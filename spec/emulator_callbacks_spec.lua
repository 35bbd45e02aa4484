-- Callbacks: what is sent when, signed how, repeated how often, and the 800 ms of a decision.
local api = require "keysecure.api"
local cqueues = require "cqueues"
local signature = require "keysecure.signature"
local support = require "spec.support.emulator"

local AUTHORIZATION = { merchant = "authorization" }

-- The text of `data`, as it was sent.
local function data_text(event)
  return event.raw:match '^{"id":"%x+","action":"[%a_]+","data":(.*)}$'
end

describe("the emulator's callbacks", function()
  local peer

  setup(function() peer = support.start { callback_delays = { 0.02, 0.03, 0.04, 0.05 } } end)
  teardown(function() peer:stop() end)
  after_each(function() peer:reset() end)

  local function listen(answer, changes)
    local receiver = support.receiver(answer)
    local config = changes or {}
    config.callback_url = receiver.url
    assert(peer:control("POST", "config", config))
    return receiver
  end

  local function auth(card_no, amount, changes)
    local values = { card_no = card_no, amount = amount or "12.50" }
    for name, value in pairs(changes or {}) do
      values[name] = value
    end
    return peer:ok("simulate.auth", values)
  end

  local function check_signature(event, order)
    local merchant = peer.emulator.merchants.authorization
    if peer.emulator.merchants.credit.api_key == event.api_key then
      merchant = peer.emulator.merchants.credit
    end
    local headers = event.headers
    local options = { app_id = merchant.api_key, timestamp = headers:get "timestamp",
      secret = merchant.api_secret, order = order }
    assert.equal("V1", headers:get "sign-version")
    assert.equal(api.default_timezone, headers:get "timezone")
    assert.matches("^%d%d%d%d%d%d%d%d%d%d%d%d%d$", options.timestamp)
    assert.equal(signature.sign(data_text(event), options), headers:get "signature")
  end

  it("ask for the decision, signed in either order, with the digits that were given", function()
    support.run(function()
      local signatures = {}
      for _, order in ipairs { "document", "hash" } do
        local receiver = listen(nil,
          { merchants = { authorization = { signature_order = order } } })
        local card_no, holder = peer:card("Virtual", "authorization")
        local data = auth(card_no, "0012.50", { local_amount = "0099.100", local_currency = "EUR",
          merchant_info = { merchant_name = 'Café "Zoë"', city = "Paris" } })
        assert.same({ "Pending", "approved" }, { data.status, data.decision })
        local event = receiver.wait("Auth", 1)[1]
        check_signature(event, order)
        local other = order == "hash" and "document" or "hash"
        assert.has_error(function() check_signature(event, other) end)
        local text = data_text(event)
        assert.is_truthy(text:find('"amount":12.50,"local_amount":99.100', 1, true))
        assert.is_truthy(text:find('"merchant_info":{"merchant_name":"Café \\"Zoë\\""', 1, true))
        assert.equal(data.consume_no, event.json.data.consume_no)
        assert.equal(holder, event.json.data.cardholder_no)
        assert.equal("Pending", event.json.data.status)
        signatures[order] = event.headers:get "signature"
        check_signature(receiver.wait("Consumption", 1)[1], order)
        check_signature(receiver.wait("Card_update", 1)[1], order)
      end
      assert.are_not.equal(signatures.document, signatures.hash)
    end)
  end)

  it("approve on code 0 alone", function()
    support.run(function()
      local replies = {
        { 200, '{"code":0,"message":""}', "approved", "Pending" },
        { 200, '{"code":1,"message":"no"}', "declined", "Fail" },
        { 500, '{"code":0}', "declined", "Fail" },
        { 200, "yes", "declined", "Fail" },
        { 200, '{"code":"0"}', "declined", "Fail" },
        { 200, '{"code":"no"}', "declined", "Fail" },
        { 302, '{"code":0}', "declined", "Fail" },
      }
      local card_no = peer:card("Virtual", "authorization")
      local reply
      local receiver = listen(function(event)
        if event.json.action == "Auth" then
          return reply[1], reply[2]
        end
      end)
      for i = 1, #replies do
        reply = replies[i]
        local data = auth(card_no)
        assert.same({ reply[3], reply[4] }, { data.decision, data.status }, reply[2])
        assert.equal(i, #receiver.of "Auth")
        local told = receiver.wait("Consumption", i)[i].json.data
        assert.same({ data.consume_no, reply[4] }, { told.consume_no, told.status })
      end
    end)
  end)

  it("wait 800 ms for the decision, no longer, and never ask twice", function()
    support.run(function()
      local waits = { EUR = 0.6, USD = 1.0 }
      local receiver = listen(function(event)
        if event.json.action == "Auth" then
          return 200, nil, waits[event.json.data.local_currency]
        end
      end)
      local card_no = peer:card("Virtual", "authorization")
      local early, late, took
      support.together(function()
        early = auth(card_no, "1.00", { local_currency = "EUR" })
      end, function()
        local started = cqueues.monotime()
        late = auth(card_no, "1.00", { local_currency = "USD" })
        took = cqueues.monotime() - started
      end)
      assert.equal("approved", early.decision)
      assert.equal("declined", late.decision)
      assert.is_true(took >= 0.79 and took < 0.98, tostring(took))
      cqueues.sleep(0.1)
      assert.equal(2, #receiver.of "Auth")
    end)
  end)

  it("decide nothing about a purchase that is still being decided", function()
    support.run(function()
      local decided, blocked
      listen(function(event)
        if event.json.action == "Auth" then
          blocked = peer:call("simulate.consumption_clear",
            { consume_no = event.json.data.consume_no }).json.code
        end
      end)
      local card_no = peer:card("Virtual", "authorization")
      decided = auth(card_no)
      assert.equal(4005, blocked)
      peer:ok("simulate.consumption_clear", { consume_no = decided.consume_no })
    end)
  end)

  it("decline where there is no webhook, or none that answers", function()
    local card_no = peer:card("Virtual", "authorization")
    assert.equal("declined", auth(card_no).decision)
    peer:control("POST", "config", { callback_url = "http://127.0.0.1:1/hook" })
    assert.equal("declined", auth(card_no).decision)
    local log = peer:control("GET", "callbacks").callbacks
    local verdicts = {}
    for _, delivery in ipairs(log) do
      if delivery.action == "Auth" then
        verdicts[#verdicts + 1] = delivery.verdict
      end
    end
    assert.equal("no callback_url", verdicts[1])
    assert.equal(2, #verdicts)
  end)

  it("don't ask about a frozen card, nor in credit mode", function()
    support.run(function()
      local receiver = listen()
      local card_no = peer:card("Virtual", "authorization")
      peer:ok("cards.update_status", { card_no = card_no, status = "Frozen" }, AUTHORIZATION)
      assert.equal("declined", auth(card_no).decision)
      peer:purchase()
      receiver.wait("Consumption", 2)
      assert.equal(0, #receiver.of "Auth")
    end)
  end)

  it("tell every step of a purchase", function()
    support.run(function()
      local receiver = listen()
      local consume_no = peer:purchase("12.50")
      receiver.wait("Consumption", 1)
      peer:ok("simulate.consumption_clear", { consume_no = consume_no, remark = "cleared" })
      receiver.wait("Consumption", 2)
      local back = peer:ok("simulate.refund", { consume_no = consume_no, amount = "02.5" })
      local events = receiver.wait("Consumption", 3)
      local told = {}
      for i, event in ipairs(events) do
        event.api_key = peer.emulator.merchants.credit.api_key
        check_signature(event, "document")
        local data = event.json.data
        told[i] = { data.consume_no, data.status, data.type }
      end
      assert.same({ { consume_no, "Pending", "Consumption" },
        { consume_no, "Success", "Consumption" }, { back.consume_no, "Success", "Refund" } }, told)
      assert.equal("cleared", events[2].json.data.remark)
      assert.equal(consume_no, events[3].json.data.consume_relate_no)
      assert.is_truthy(data_text(events[3]):find('"amount":2.5,', 1, true))
      assert.are_not.equal(events[1].json.id, events[2].json.id)
    end)
  end)

  it("tell every change of a card", function()
    support.run(function()
      local receiver = listen(nil, { issue_delay = 0.03 })
      local card_no = peer:card()
      receiver.wait("Card_update", 1)
      for i, status in ipairs { "Frozen", "Activated", "Delete" } do
        peer:ok("cards.update_status", { card_no = card_no, status = status })
        receiver.wait("Card_update", i + 1)
      end
      local changes = {}
      for i, event in ipairs(receiver.of "Card_update") do
        changes[i] = event.json.data.before_status .. ">" .. event.json.data.after_status
        assert.equal(card_no, event.json.data.card_no)
      end
      assert.same({ "Pending>Activated", "Activated>Frozen", "Frozen>Activated",
        "Activated>Delete" }, changes)
    end)
  end)

  it("come again with the same id until taken, each time freshly signed", function()
    support.run(function()
      local receiver = listen(function(_, number)
        if number == 1 then
          return 500
        elseif number == 2 then
          return 200, '{"code":7}'
        elseif number == 3 then
          return 200, "not JSON"
        end
      end)
      peer:card()
      local events = receiver.wait("Card_update", 4)
      cqueues.sleep(0.1)
      assert.equal(4, #receiver.events)
      for _, event in ipairs(events) do
        assert.equal(events[1].json.id, event.json.id)
        assert.equal(data_text(events[1]), data_text(event))
        event.api_key = peer.emulator.merchants.credit.api_key
        check_signature(event, "document")
      end
      assert.are_not.equal(events[1].headers:get "timestamp", events[4].headers:get "timestamp")
      local delivery = peer:control("GET", "callbacks").callbacks[1]
      assert.equal("delivered", delivery.verdict)
      assert.equal("answered HTTP 500", delivery.attempts[1].verdict)
      assert.equal("answered code 7", delivery.attempts[2].verdict)
      assert.equal("answered without a code", delivery.attempts[3].verdict)
      assert.equal(200, delivery.attempts[4].http_status)
      assert.is_true(delivery.attempts[4].latency_ms >= 0)
    end)
  end)

  it("are given up after the last delay", function()
    support.run(function()
      local receiver = listen(function() return 503 end)
      peer:card()
      receiver.wait("Card_update", 5)
      cqueues.sleep(0.15)
      assert.equal(5, #receiver.events)
      local gaps = {}
      for i = 2, 5 do
        gaps[i - 1] = receiver.events[i].at - receiver.events[i - 1].at
      end
      for i, least in ipairs { 0.02, 0.03, 0.04, 0.05 } do
        assert.is_true(gaps[i] >= least - 0.002, i .. ": " .. gaps[i])
      end
    end)
  end)

  it("stop at a reset, those under way too", function()
    support.run(function()
      local function reset_after(first, wait, delays)
        local receiver = listen(function() return 500, nil, wait end,
          { callback_delays = delays })
        peer:card()
        receiver.wait("Card_update", 1)
        cqueues.sleep(first)
        peer:reset()
        cqueues.sleep(0.15)
        assert.equal(1, #receiver.events)
      end
      reset_after(0.005, 0.05, { 0.01 }) -- while it is answered
      reset_after(0.03, nil, { 0.1 }) -- while it waits to be repeated
    end)
  end)

  it("don't keep the emulator from stopping", function()
    support.run(function()
      local short = support.start()
      local receiver = support.receiver(function() return 500, nil, 5 end)
      assert(short:control("POST", "config", { callback_url = receiver.url }))
      short:card()
      receiver.wait("Card_update", 1)
      local started = cqueues.monotime()
      short:stop()
      assert.is_true(cqueues.monotime() - started < 1)
    end)
  end)

  it("repeat after 1, 5, 30 and 60 seconds unless told otherwise", function()
    local options = require "keysecure.emulator.options"
    assert.same({ 1, 5, 30, 60 }, options.defaults({}).callback_delays)
    assert.equal(0.8, api.decision_limit)
  end)
end)
