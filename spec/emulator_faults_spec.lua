-- Faults on demand: answers that are broken on their way, and callbacks that are.
local core = require "keysecure.core"
local cqueues = require "cqueues"
local signature = require "keysecure.signature"
local support = require "spec.support.emulator"

local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

describe("the emulator's faults", function()
  local peer

  setup(function() peer = support.start { callback_delays = { 0.02, 0.02 } } end)
  teardown(function() peer:stop() end)
  after_each(function() peer:reset() end)

  local function fault(given)
    peer.emulator:fault(given)
  end

  local function holders()
    return peer:control("GET", "state").counts.cardholders
  end

  -- What curl makes of the answer to an apply: its exit status, the HTTP status, what it received.
  local function apply_by_curl()
    local operation = require("keysecure.api").operations["cardholders.apply"]
    -- Without the sanitizers' runtime, under which the program curl may not come to its end.
    local words = { "env -u LD_PRELOAD curl -s --max-time 10 -w '\\n%{http_code}'" }
    for name, value in pairs(peer:headers(operation, "credit")) do
      words[#words + 1] = "-H " .. quoted(name .. ": " .. value)
    end
    words[#words + 1] = "-d " .. quoted '{"cardholder_unique_no":"once","sumsub_share_token":"s"}'
    words[#words + 1] = peer.address .. "/open-api/v1/cardholder/apply"
    words[#words + 1] = "; status=$?; echo; echo $status"
    local pipe = assert(io.popen(table.concat(words, " ")))
    local text = pipe:read "*a"
    pipe:close()
    local body, http, exit = text:match "^(.*)\n(%d+)\n(%d+)\n$"
    return { exit = tonumber(exit), status = tonumber(http), body = body }
  end

  local EMPTY_REPLY, PARTIAL, RESET = 52, 18, 56 -- curl's exit statuses

  it("lose the answer, before or after the deed", function()
    peer:headers(require("keysecure.api").operations["cards.list"], "credit")
    for after, count in pairs { [false] = 0, [true] = 1 } do
      peer:reset()
      fault { operation = "cardholders.apply", answer = "closed", after = after }
      assert.equal(EMPTY_REPLY, apply_by_curl().exit)
      assert.equal(count, holders())
    end
  end)

  it("reset the connection", function()
    fault { operation = "cardholders.apply", answer = "reset", after = true }
    assert.equal(RESET, apply_by_curl().exit)
    assert.equal(1, holders())
  end)

  it("send half an answer, garbage, a proxy's page", function()
    fault { operation = "cardholders.apply", answer = "half", after = true }
    local half = apply_by_curl()
    assert.equal(PARTIAL, half.exit)
    assert.matches('^{"code":0', half.body)
    assert.equal(1, holders())

    fault { operation = "cardholders.apply", answer = "garbage" }
    local garbage = apply_by_curl()
    assert.same({ 0, 200 }, { garbage.exit, garbage.status })
    assert.is_nil(require("keysecure.emulator.json").decode_object(garbage.body))

    fault { operation = "cardholders.apply", answer = "html" }
    local page = apply_by_curl()
    assert.equal(502, page.status)
    assert.matches("^<html>", page.body)
    assert.equal(1, holders())
  end)

  it("go on as if nothing had been", function()
    peer:ok "merchant.token"
    for i, answer in ipairs { "closed", "reset", "half" } do
      peer:headers(require("keysecure.api").operations["cards.list"], "credit")
      fault { operation = "cardholders.apply", answer = answer, times = 3 }
      for _ = 1, 3 do
        assert.are_not.equal(0, apply_by_curl().exit)
      end
      assert.equal(i == 1 and 0 or 2001, peer:call("cardholders.apply",
        { cardholder_unique_no = "again", sumsub_share_token = "s" }).json.code)
    end
  end)

  it("are late, then broken", function()
    fault { operation = "cards.packages", answer = "html", delay = 0.1 }
    peer:headers(require("keysecure.api").operations["cards.packages"], "credit")
    local started = core.monotonic()
    assert.equal(502, peer:call("cards.packages").status)
    assert.is_true(core.monotonic() - started >= 100)
  end)

  it("raise where they make no sense", function()
    for _, given in ipairs { { operation = "*", answer = "maybe" }, { callback = "*" },
      { callback = "Nothing", delay = 1 }, { callback = "Auth", code = 1 },
      { operation = "*", callback = "*", delay = 1 }, { operation = "*", duplicate = true } } do
      assert.has_error(function() fault(given) end)
    end
    assert.error_matches(function() fault { operation = "*", answer = "maybe" } end,
      "emulator: answer is not usable")
  end)

  describe("of callbacks", function()
    local function listen(answer)
      local receiver = support.receiver(answer)
      assert(peer:control("POST", "config", { callback_url = receiver.url }))
      return receiver
    end

    local function is_signed(event)
      local merchant = peer.emulator.merchants.credit
      local expected = signature.sign(event.raw:match '"data":(.*)}$', { app_id = merchant.api_key,
        timestamp = event.headers:get "timestamp", secret = merchant.api_secret })
      return expected == event.headers:get "signature"
    end

    it("send one twice, with one id", function()
      support.run(function()
        local receiver = listen()
        fault { callback = "Card_update", duplicate = true }
        peer:card()
        local events = receiver.wait("Card_update", 2)
        assert.equal(events[1].json.id, events[2].json.id)
        peer:card()
        assert.are_not.equal(events[1].json.id, receiver.wait("Card_update", 3)[3].json.id)
      end)
    end)

    it("hold one back until the next has overtaken it", function()
      support.run(function()
        local receiver = listen()
        fault { callback = "Card_update", reorder = true }
        local card_no = peer:card()
        peer:ok("cards.update_status", { card_no = card_no, status = "Frozen" })
        local events = receiver.wait("Card_update", 2)
        assert.equal("Frozen", events[1].json.data.after_status)
        assert.equal("Activated", events[2].json.data.after_status)
      end)
    end)

    it("send what was overtaken at its own times from then on", function()
      support.run(function()
        local receiver = listen(function() return 500 end)
        assert(peer:control("POST", "config", { callback_delays = { 60 } }))
        fault { callback = "Card_update", reorder = true }
        local card_no = peer:card()
        peer:ok("cards.update_status", { card_no = card_no, status = "Frozen" })
        receiver.wait("Card_update", 2)
        peer.emulator:clock { advance = 30 }
        assert.equal(2, #receiver.events)
        peer.emulator:clock { advance = 31 }
        assert.equal(4, #receiver.events)
      end)
    end)

    it("let go of it after five seconds where none comes", function()
      support.run(function()
        local receiver = listen()
        fault { callback = "Card_update", reorder = true }
        peer:card()
        assert.equal(0, #receiver.events)
        peer.emulator:clock { advance = 5 }
        assert.equal(1, #receiver.events)
      end)
    end)

    it("send one late", function()
      support.run(function()
        local receiver = listen()
        fault { callback = "*", delay = 60 }
        peer:card()
        peer.emulator:clock { advance = 59 }
        assert.equal(0, #receiver.events)
        peer.emulator:clock { advance = 1.5 }
        assert.equal(1, #receiver.events)
      end)
    end)

    it("sign one badly, and its repeat well", function()
      support.run(function()
        local receiver
        receiver = listen(function(event)
          return 200, is_signed(event) and '{"code":0}' or '{"code":401}'
        end)
        fault { callback = "Card_update", bad_signature = true }
        peer:card()
        local events = receiver.wait("Card_update", 2)
        assert.is_false(is_signed(events[1]))
        assert.is_true(is_signed(events[2]))
        assert.matches("^%x+$", events[1].headers:get "signature")
        assert.equal(events[1].json.id, events[2].json.id)
      end)
    end)

    it("ask twice for one decision, badly signed or late", function()
      support.run(function()
        local receiver = listen()
        local card_no = peer:card("Virtual", "authorization")
        fault { callback = "Auth", duplicate = true, bad_signature = true }
        local data = peer:ok("simulate.auth", { card_no = card_no, amount = "1.00" })
        assert.equal("approved", data.decision)
        local asked = receiver.wait("Auth", 2)
        assert.equal(asked[1].json.id, asked[2].json.id)
        fault { callback = "Auth", delay = 0.1 }
        local started = cqueues.monotime()
        peer:ok("simulate.auth", { card_no = card_no, amount = "1.00" })
        assert.is_true(cqueues.monotime() - started >= 0.1)
      end)
    end)

    it("remember request and reply, without what could be a card number", function()
      support.run(function()
        local receiver = listen(function()
          return 200, '{"code":3,"message":"no 4111 1111 1111 1111 here \255"}'
        end)
        peer:card()
        receiver.wait("Card_update", 1)
        local delivery = support.wait(function()
          local first = peer:control("GET", "callbacks").callbacks[1]
          return first.attempts[1] and first
        end)
        local attempt = delivery.attempts[1]
        assert.equal(receiver.events[1].raw, delivery.body)
        assert.equal(receiver.events[1].headers:get "signature", attempt.headers.signature)
        assert.equal(receiver.url, attempt.url)
        assert.equal('{"code":3,"message":"no *** here ?"}', attempt.reply)
      end)
    end)
  end)
end)
