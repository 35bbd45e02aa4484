-- The scripts of examples/, each as a process of its own.
local api = require "keysecure.api"
local receivers = require "examples.support.receiver"
local support = require "spec.support.emulator"
local webhook = require "keysecure.webhook"

local merchants = api.environments.emulator.merchants

local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function interpreter()
  local i = 0
  while arg[i - 1] do
    i = i - 1
  end
  return arg[i]
end

local CLEAN = { KEYSECURE_API_KEY = "", KEYSECURE_API_SECRET = "", KEYSECURE_MODE = "",
  KEYSECURE_ADDRESS = "", KEYSECURE_CALLBACK_PORT = "", SUMSUB_SHARE_TOKEN = "share-token",
  KEYSECURE_ENVIRONMENT = "emulator" }

-- Runs an example; answers what it wrote, errors included, and its exit status.
local function run(example, variables, argument)
  local words = {}
  for name, value in pairs(CLEAN) do
    words[#words + 1] = name .. "=" .. quoted(variables[name] or value)
  end
  words[#words + 1] = quoted(interpreter())
  words[#words + 1] = "-e " .. quoted(string.format("package.path, package.cpath = %q, %q",
    package.path, package.cpath))
  words[#words + 1] = "examples/" .. example .. ".lua " .. (argument or "")
  local pipe = assert(io.popen(table.concat(words, " ") .. " 2>&1; echo \"status $?\"", "r"))
  local output, status = pipe:read("*a"):match("^(.*)status (%d+)\n$")
  pipe:close()
  return output, tonumber(status)
end

local function contains(text, part)
  assert(text:find(part, 1, true), "no '" .. part .. "' in:\n" .. text)
end

local function lacks(text, part)
  assert(not text:find(part, 1, true), "'" .. part .. "' in:\n" .. text)
end

-- Nothing that looks like a card number, a token, or a secret of the emulator's merchants.
local function assert_no_secret(output)
  assert.is_nil(output:find(("%d"):rep(13) .. "%d*%f[%D]"), output)
  assert.is_nil(output:find(("%x"):rep(32)), output)
  for _, merchant in pairs(merchants) do
    lacks(output, merchant.api_secret)
  end
end

local function is_listening(url)
  return (pcall(support.http, url, "GET", "/"))
end

describe("examples", function()
  local peer, here

  setup(function()
    peer = support.start()
    here = { KEYSECURE_ADDRESS = peer.address }
  end)
  teardown(function() peer:stop() end)
  after_each(function() peer:reset() end)

  it("game_server plays, and tells its worst frame", function()
    local output, status = run("game_server", here, "1")
    assert.equal(0, status, output)
    contains(output, "eve   bought a horse: consumption ")
    contains(output, "5 cards, 15 purchases, 0 failures in ")
    assert.matches("the worst frame took [%d.]+ ms, of which cards at most [%d.]+ ms", output)
    assert_no_secret(output)
  end)

  it("game_server goes on playing where the platform refuses", function()
    peer:control("POST", "faults", { operation = "cards.apply", code = 3002, times = 2 })
    local output, status = run("game_server", here, "2")
    assert.equal(1, status, output)
    contains(output, "the account failed: cards.apply: ")
    contains(output, "3 cards, 9 purchases, 2 failures in ")
  end)

  for example, count in pairs { cqueues_loop = 3, luv_loop = 1 } do
    it(example .. " issues and is told of it in one loop", function()
      local listener = require "cqueues.socket".listen { host = "127.0.0.1", port = 0 }
      listener:listen()
      local port = string.format("%d", (select(3, listener:localname())))
      listener:close()
      peer:control("POST", "config", { callback_url = "http://127.0.0.1:" .. port .. "/" })
      local output, status = run(example, here, port)
      assert.equal(0, status, output)
      assert.equal(count, select(2, output:gsub("issued    card C%d+ %(Activated%)", "")), output)
      assert.equal(count, select(2, output:gsub("callback  card C%d+ is Activated", "")), output)
      assert_no_secret(output)
    end)
  end

  local function with(variables)
    for name, value in pairs(here) do
      variables[name] = value
    end
    return variables
  end

  local function plastic()
    local cards = peer:control("GET", "state").cards
    assert.equal(1, #cards)
    return peer:plastic(cards[1].card_no)
  end

  -- Neither the whole number nor the three digits of the CVV, which money may have by chance.
  local function assert_no_card_data(output)
    local card = plastic()
    lacks(output, card.pan)
    local rest = output:gsub("%d+%.%d+", "")
    assert.is_nil(rest:find("%f[%w]" .. card.cvv .. "%f[%W]"), output)
  end

  describe("issue_card", function()
    it("issues a funded card in at most twenty lines of code", function()
      local output, status = run("issue_card", here, "one")
      assert.equal(0, status, output)
      assert.matches("^card C%d+ %(Activated%)\t411111%*%*%*%*%*%*%d%d%d%d %d%d/%d%d%d%d\n$",
        output)
      assert_no_card_data(output)
      assert.equal("100.00", peer:control("GET", "state").cardholders[1].balance)

      local count = 0
      for line in io.lines("examples/issue_card.lua") do
        if line:find("%S") and not line:find("^%s*%-%-") then
          count = count + 1
        end
      end
      assert.is_true(count <= 20, "lines: " .. count)
    end)

    it("runs again: with another number for another card, with the same for the same", function()
      local first, status = run("issue_card", here, "one")
      assert.equal(0, status)
      local second
      second, status = run("issue_card", here, "two")
      assert.equal(0, status)
      assert.not_equal(first, second)
      local again
      again, status = run("issue_card", here, "two")
      assert.equal(0, status)
      assert.equal(second, again)
    end)
  end)

  describe("restart", function()
    it("goes on where it was, and does nothing twice", function()
      peer:control("POST", "faults", { operation = "accounts.transfer", code = 1001,
        after = true })
      local first, status = run("restart", here, "4711 12.50")
      assert.equal(0, status, first)
      local again
      again, status = run("restart", here, "4711 12.5")
      assert.equal(0, status, again)
      assert.equal(first, again)
      local state = peer:control("GET", "state")
      assert.same({ 1, 1, 1 }, { #state.cardholders, #state.cards, #state.transfers })
      assert.equal("12.50", state.cardholders[1].balance)
    end)

    it("says where the order is another", function()
      local output, status = run("restart", here, "4711 12.50")
      assert.equal(0, status, output)
      output, status = run("restart", here, "4711 13.00")
      assert.equal(1, status)
      contains(output, "unique_number_taken")
    end)
  end)

  describe("credit_story", function()
    it("goes from KYC to the deleted card", function()
      local output, status = run("credit_story", here)
      assert.equal(0, status, output)
      for _, part in ipairs { "ks.cardholders:apply", 'card:wait "Activated"', "411111******",
        "decision approved", "Consumption 12.50 (Success)", "Refund 5.00 (Success)",
        "account TUSDT 92.50", "(Frozen)", "(Delete)", "11 steps, all as they should be" } do
        contains(output, part)
      end
      assert_no_secret(output)
      assert_no_card_data(output)
    end)

    it("ends with 1 and says why when a call is refused", function()
      assert(peer:control("POST", "faults", { operation = "cards.apply", code = 4003 }))
      local output, status = run("credit_story", here)
      assert.equal(1, status, output)
      contains(output, "failed: cards.apply: ")
      contains(output, "code 4003, refused")
      lacks(output, "as they should be")
    end)

    it("ends with 1 when a step succeeds without doing what it should", function()
      assert(peer:control("POST", "config", { merchants = { credit = { pci = false } } }))
      local output, status = run("credit_story", here)
      assert.equal(1, status, output)
      contains(output, "pci_not_enabled, code 1013")
    end)
  end)

  describe("authorization_story", function()
    local url, port

    -- A port that was free a moment ago.
    before_each(function()
      local receiver = receivers.start(0, { KEYSECURE_ENVIRONMENT = "emulator" })
      url = receiver.url
      port = url:match ":(%d+)/"
      receiver:stop()
    end)

    it("has its receiver approve one purchase and decline another", function()
      peer:control("POST", "config", { callback_url = url })
      local output, status = run("authorization_story", with { KEYSECURE_CALLBACK_PORT = port })
      assert.equal(0, status, output)
      assert.matches("decision approved, status Pending\n +callback +Auth +12.50 USD S%d+: "
        .. "approved", output)
      assert.matches("decision declined, status Fail\n +callback +Auth +80.00 USD S%d+: declined, "
        .. "the limit is 50.00", output)
      contains(output, "7 steps, all as they should be")
      assert_no_secret(output)
      assert_no_card_data(output)
      assert.is_false(is_listening(url))
    end)

    it("ends with 1 and asks about the callback URL when no callback comes", function()
      local output, status = run("authorization_story", with { KEYSECURE_CALLBACK_PORT = port })
      assert.equal(1, status, output)
      contains(output, "failed: no Card_update callback for C")
      contains(output, "is that where the merchant's callbacks go?")
    end)

    it("ends with 1 when the port is taken", function()
      local output, status = run("authorization_story", with {
        KEYSECURE_CALLBACK_PORT = peer.address:match ":(%d+)$" })
      assert.equal(1, status, output)
      contains(output, "Address already in use")
    end)
  end)

  describe("demo", function()
    it("tells both stories, shows no secret, and leaves nothing behind", function()
      local output, status = run("demo", { KEYSECURE_API_KEY = "mine", KEYSECURE_API_SECRET = "x",
        KEYSECURE_ENVIRONMENT = "production" })
      assert.equal(0, status, output)
      contains(output, "\n11. Freeze the card, then delete it\n")
      contains(output, "Activated -> Frozen")
      assert.matches("Auth +12.50 USD S%d+: approved", output)
      assert.matches("Auth +80.00 USD S%d+: declined", output)
      assert.matches("\ndemo: 2 stories, 18 steps, all as they should be, in %d+%.%d s\n$", output)
      assert.is_nil(output:find("[^\n\32-\126]"), output)
      assert_no_secret(output)
      assert.is_false(is_listening(output:match "http://[%d%.:]+"))
    end)

    it("ends with 1 when a step fails, and leaves nothing behind", function()
      local output, status = run("demo", { SUMSUB_SHARE_TOKEN = "reject" })
      assert.equal(1, status, output)
      contains(output, "failed: cardholders.info status: is Rejected")
      assert.matches("\ndemo: failed\n$", output)
      assert.is_false(is_listening(output:match "http://[%d%.:]+"))
    end)
  end)

  describe("callback_receiver", function()
    local receiver
    local account = { api_key = merchants.authorization.api_key,
      api_secret = merchants.authorization.api_secret }
    local number = 0

    setup(function()
      receiver = receivers.start(0, { KEYSECURE_ENVIRONMENT = "emulator",
        KEYSECURE_MODE = "authorization", KEYSECURE_API_KEY = "", KEYSECURE_API_SECRET = "" })
    end)
    teardown(function() receiver:stop() end)

    -- What it tells of a callback; complaints about strange ones go before that.
    local function told()
      local line
      repeat
        line = receiver:line(3)
      until not line or not line:find "^keysecure webhook: "
      return line
    end

    local function callback(action, data)
      number = number + 1
      local headers, body = webhook.test_request({ action = action,
        data = data:gsub("S1", "S" .. number, 1) }, account)
      local answer = support.http(receiver.url, "POST", "/", headers, body)
      return answer.status, answer.json.code, told()
    end

    it("approves up to 50.00, by every digit", function()
      for amount, code in pairs { ["50.00"] = 0, ["0"] = 0, ["50"] = 0, ["50.000"] = 0,
        ["50.01"] = 1, ["50.0000000000000000000001"] = 1, ["1e1"] = 1, ["-0.00"] = 0,
        ["99999999999999999999"] = 1, ['"x"'] = 1, ["null"] = 1, ["[1]"] = 1, ["true"] = 1 } do
        local status, answered = callback("Auth", '{"consume_no":"S1","amount":' .. amount .. "}")
        assert.equal(200, status, amount)
        assert.equal(code, answered, amount)
      end
    end)

    it("is not misled by what other members say", function()
      local data = [[{"consume_no":"S1\"1\\","merchant_info":{"merchant_name":"\"amount\":1,",]]
        .. [["amount":2},"x":"amount\\","amount":80.00}]]
      local status, code, line = callback("Auth", data)
      assert.equal(200, status)
      assert.equal(1, code)
      assert.matches("80.00 S%d+\"1\\: declined, the limit is 50.00", line)
    end)

    it("takes the other actions, known or not", function()
      local _, code, line = callback("Consumption",
        '{"consume_no":"S1","amount":1.0,"type":"Refund","status":"Success"}')
      assert.equal(0, code)
      assert.matches("1.0 S%d+: Refund Success", line)
      _, code, line = callback("Card_update",
        '{"card_no":"C1","before_status":"Activated","after_status":"Frozen"}')
      assert.equal(0, code)
      contains(line, "C1: Activated -> Frozen")
      _, code, line = callback("Weather", '{"sun":true}')
      assert.equal(0, code)
      contains(line, "Weather")
      _, code = callback("Consumption", "{}")
      assert.equal(0, code)
    end)

    it("refuses what is not signed", function()
      local headers, body = webhook.test_request({ action = "Auth",
        data = '{"consume_no":"S-x","amount":12.50}' }, account)
      local changed = body:gsub("12%.50", "12.5")
      assert.equal(401, support.http(receiver.url, "POST", "/", headers, changed).status)
      contains(receiver:line(3), "refused")
      assert.equal(400, support.http(receiver.url, "POST", "/", {}, body).status)
      contains(receiver:line(3), "refused")
    end)

    it("ends when its parent lets go", function()
      local other = receivers.start(0, { KEYSECURE_ENVIRONMENT = "emulator" })
      assert.is_true(is_listening(other.url))
      other:stop()
      assert.is_false(is_listening(other.url))
    end)

    it("says what it needs", function()
      local output, status = run("callback_receiver", { KEYSECURE_ENVIRONMENT = "sandbox" })
      assert.equal(1, status)
      contains(output, "KEYSECURE_API_KEY")
    end)
  end)
end)
