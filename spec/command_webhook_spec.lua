-- lua/keysecure/command/listen.lua and journal.lua, and examples/authorizer.lua: as processes,
-- asked by the real emulator.
local api = require "keysecure.api"
local background = require "spec.support.background"
local command = require "spec.support.command"
local platform = require "spec.support.emulator"
local webhook = require "keysecure.webhook"

local account = api.environments.emulator.merchants.authorization

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

local function read(path)
  local file = assert(io.open(path))
  local text = file:read "*a"
  file:close()
  return text
end

describe("the command line of webhooks #plain", function()
  local peer, child, folder

  setup(function() peer = platform.start() end)
  teardown(function() peer:stop() end)

  before_each(function()
    folder = os.tmpname()
    os.remove(folder)
    os.execute("mkdir " .. folder)
  end)
  after_each(function()
    if child then
      child:stop()
      child = nil
    end
    os.execute("rm -r " .. folder)
    peer:reset()
  end)

  -- Starts a program that listens, and has the emulator call it back.
  local function start(words, environment)
    environment = environment or { KEYSECURE_ENVIRONMENT = "emulator" }
    table.insert(words, 1, command.interpreter())
    child = background.start(words, environment)
    local url = child:expect("listening on "):match "http://%S+"
    assert(peer:control("POST", "config", { callback_url = url }))
    return url:gsub("/$", "")
  end

  local function listen(words, environment)
    table.insert(words, 1, "bin/keysecure")
    table.insert(words, 2, "listen")
    table.insert(words, "--port")
    table.insert(words, "0")
    return start(words, environment)
  end

  local function auth(card_no, amount)
    return peer:ok("simulate.auth", { card_no = card_no, amount = amount,
      local_currency = "USD" })
  end

  it("prints what comes, and declines where nobody decides", function()
    local url = listen {}
    local card_no = peer:card("Virtual", "authorization")
    assert.matches("^%d%d:%d%d:%d%d Card_update  " .. card_no .. ": Pending %-> Activated",
      child:expect "Card_update")
    local purchase = auth(card_no, "12.50")
    assert.equal("declined", purchase.decision)
    assert.matches("Auth         12.50 USD " .. purchase.consume_no
      .. ": declined, nobody decides here", child:expect "Auth")
    assert.matches("12.50 USD " .. purchase.consume_no .. ": Consumption Fail",
      child:expect "Consumption")
    platform.http(url, "POST", "/", { Timestamp = "1", Signature = ("0"):rep(64) }, "{}")
    child:expect "refused      400 there is no data"
    assert.matches("ended with 0\n$", child:stop())
  end)

  it("takes handlers from a file, and keeps a journal that can be reported on", function()
    local handlers, journal = folder .. "/handlers.lua", folder .. "/journal"
    write(handlers, [[
      local money = require "keysecure.money"
      return {
        Auth = function(event) return money.compare(event.data.amount, "50.00") <= 0 end,
      }]])
    listen { "--handler", handlers, "--journal", journal, "--budget", "0.5" }
    local card_no = peer:card("Virtual", "authorization")
    local yes, no = auth(card_no, "12.50"), auth(card_no, "80.00")
    assert.same({ "approved", "declined" }, { yes.decision, no.decision })
    child:expect(no.consume_no .. ": Consumption Fail")
    peer:ok("simulate.consumption_clear", { consume_no = yes.consume_no })
    child:expect(yes.consume_no .. ": Consumption Success")
    child:stop()
    assert.is_nil(read(journal):find(account.api_secret, 1, true))
    local result = command.run { "journal", "report", journal }
    assert.equal(0, result.status, result.err)
    for _, line in ipairs { "authorizations       2\n", "  approved           1\n",
      "  declined           1\n", "fallbacks            0\n", "milliseconds         p50 ",
      "other callbacks      4: 4 taken", "cleared as approved  1\n",
      "cleared unapproved   0 \n" } do
      assert.truthy(result.out:find(line, 1, true), line .. " is not in:\n" .. result.out)
    end
  end)

  it("takes a function that is given the webhook", function()
    local handlers = folder .. "/handlers.lua"
    write(handlers, 'return function(hook) hook:on("Auth", function() return true end) end')
    listen { "--handler", handlers }
    assert.equal("approved", auth(peer:card("Virtual", "authorization"), "1.00").decision)
  end)

  it("takes the keys from the environment", function()
    listen({}, { KEYSECURE_API_KEY = account.api_key, KEYSECURE_API_SECRET = account.api_secret })
    peer:card("Virtual", "authorization")
    child:expect "Card_update"
  end)

  it("ends with 1 and says why, on one line, where it can't begin", function()
    local broken, empty = folder .. "/broken.lua", folder .. "/empty.lua"
    write(broken, "return {")
    write(empty, "")
    local emulator = { environment = { KEYSECURE_ENVIRONMENT = "emulator" } }
    local sandbox = { environment = { KEYSECURE_ENVIRONMENT = "sandbox" } }
    for _, case in ipairs {
      { { "listen" }, sandbox, "KEYSECURE_API_KEY" },
      { { "listen", "--handler", broken }, emulator, "broken.lua" },
      { { "listen", "--handler", empty }, emulator, "returns neither" },
      { { "listen", "--handler", folder .. "/none.lua" }, emulator, "none.lua" },
      { { "listen", "--journal", folder .. "/no/journal" }, emulator, "No such file" },
      { { "listen", "--budget", "0.9" }, emulator, "budget" },
      { { "listen", "--port", peer.address:match ":(%d+)$" }, emulator, "in use" },
      { { "journal", "report", folder .. "/none" }, emulator, "No such file" },
    } do
      local result = command.run(case[1], case[2])
      assert.equal(1, result.status, result.out .. result.err)
      assert.truthy(result.err:find(case[3], 1, true), result.err)
      assert.matches("^[^\n]+\n$", result.err)
    end
  end)

  it("reports on standard input", function()
    local result = command.run({ "journal", "report", "-" }, { input =
      '{"kind":"answer","action":"Auth","decision":"approve","reason":"handler","ms":3}\nx\n' })
    assert.equal(0, result.status)
    assert.truthy(result.out:find("authorizations       1\n", 1, true))
    assert.truthy(result.out:find("0 dropped, 1 unreadable", 1, true))
  end)

  it("has an authorizer for an example, whose balances come out right", function()
    local url = start { "-e", string.format("package.path, package.cpath = %q, %q", package.path,
      package.cpath), "examples/authorizer.lua", "0" }
    local card_no = peer:card("Virtual", "authorization")
    local first, second = auth(card_no, "60.00"), auth(card_no, "40.01")
    assert.same({ "approved", "declined" }, { first.decision, second.decision })
    child:expect(second.consume_no .. "\tConsumption\tFail\t40.01\t40.00")
    peer:ok("simulate.consumption_fail", { consume_no = first.consume_no })
    child:expect(first.consume_no .. "\tConsumption\tFail\t60.00\t100.00")
    local third = auth(card_no, "100.00")
    assert.equal("approved", third.decision)
    peer:ok("simulate.consumption_clear", { consume_no = third.consume_no })
    child:expect(third.consume_no .. "\tConsumption\tSuccess\t100.00\t0.00")
    for _, amount in ipairs { "1e1", "-5", "0.01" } do
      local headers, body = webhook.test_request({ action = "Auth", data = string.format(
        '{"consume_no":"T%s","cardholder_no":"%s","amount":%s}', amount,
        peer:control("GET", "state").cards[1].cardholder_no, amount) }, account)
      assert.equal(1, platform.http(url, "POST", "/", headers, body).json.code, amount)
    end
  end)
end)
