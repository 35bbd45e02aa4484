-- examples/openresty_authorizer: the whole of it, as run.sh starts it, with a real nginx and a real
-- Redis; told of purchases by signed requests, and by the emulator.
local api = require "keysecure.api"
local background = require "spec.support.background"
local cjson = require "cjson"
local core = require "keysecure.core"
local emulators = require "spec.support.client"
local http = require "spec.support.emulator".http
local money = require "keysecure.money"
local nginx = require "spec.support.nginx"
local redis = require "spec.support.redis"
local webhook = require "keysecure.webhook"

local KEYS = api.environments.emulator.merchants.authorization
local PATIENCE = 10000 -- milliseconds

local function root()
  local pipe = assert(io.popen "pwd")
  local path = pipe:read "*l"
  pipe:close()
  return path
end

nginx.describe("the authorizer on OpenResty", function()
  local server, program, address, last, journal
  local began, sent = math.floor(core.wall()) - 2000, 0

  local function wait(fn)
    local limit = core.monotonic() + PATIENCE
    repeat
      local ok, result = pcall(fn)
      if ok and result then
        return result
      end
      core.sleep(20)
    until core.monotonic() > limit
    error("waited in vain", 2)
  end

  setup(function()
    server = redis.start()
    last, journal = 0, os.tmpname()
    local port, here = nginx.free_port(), root()
    local build = (os.getenv "KS_BUILD" or here .. "/build/luajit"):gsub("[^/]+$", "luajit")
    program = background.start({ "sh", "examples/openresty_authorizer/run.sh" }, {
      PORT = port, REDIS_ADDRESS = server.address, REDIS_TIME_LIMIT = "2000", JOURNAL = journal,
      KEYSECURE_ENVIRONMENT = "emulator", LUA_CPATHS = build .. "/?.so",
      LUA_FOLDERS = here .. "/lua/?.lua;" .. here .. "/lua/?/init.lua",
    })
    address = "http://127.0.0.1:" .. port
    wait(function() return http(address, "GET", "/accounts/nobody").status == 404 end)
  end)
  teardown(function()
    local said = program:stop()
    server:stop()
    os.remove(journal)
    -- Nothing in the error log but what one of the specs below provokes.
    said = said:gsub("[^\n]*Consumption S%d+: a consumption without numbers or amounts[^\n]*\n", "")
    assert.equal("ended with 0\n", said)
  end)

  -- An account with 100.00, under a name that nothing had before.
  local function account(amount)
    last = last + 1
    local holder = "U" .. last
    local answer = http(address, "POST", "/accounts/" .. holder, {}, amount or "100.00")
    assert.equal(200, answer.status)
    return holder
  end

  local function balance(holder)
    local answer = http(address, "GET", "/accounts/" .. holder)
    return answer.json.available .. " " .. answer.json.held
  end

  local function purchase(holder, changes)
    last = last + 1
    local data = { consume_no = "S" .. last, card_no = "C1", cardholder_no = holder,
      type = "Consumption", amount = "12.50", local_amount = "12.50", local_currency = "USD",
      status = "Pending", time = 1763880000123 }
    for name, value in pairs(changes or {}) do
      data[name] = value
    end
    return data
  end

  -- Sends it as the platform would; the code of the answer.
  local function send(action, data, id)
    sent = sent + 1
    local headers, body = webhook.test_request({ id = id, action = action, data = data },
      { api_key = KEYS.api_key, api_secret = KEYS.api_secret,
        timestamp = began + sent }) -- no two the same
    local answer = http(address, "POST", "/callback", headers, body)
    assert.equal(200, answer.status)
    return answer.json.code
  end

  local function changed(data, changes)
    local copy = {}
    for _, source in ipairs { data, changes } do
      for name, value in pairs(source) do
        copy[name] = value
      end
    end
    return copy
  end

  local function told(data, changes)
    assert.equal(0, send("Consumption", changed(data, changes)))
  end

  -- A record of its own about a purchase.
  local function about(data, kind, amount)
    return purchase(data.cardholder_no, { type = kind, consume_relate_no = data.consume_no,
      amount = amount, status = "Success" })
  end

  -- A purchase that was approved, and its account.
  local function approved(amount)
    local holder = account()
    local data = purchase(holder, { amount = amount })
    assert.equal(0, send("Auth", data))
    return data, holder
  end

  it("holds what it approves, and declines what is not there", function()
    local data, holder = approved()
    assert.equal("87.50 12.50", balance(holder))
    assert.equal(0, send("Auth", purchase(holder, { amount = "87.50" })))
    assert.equal("0.00 100.00", balance(holder))
    assert.not_equal(0, send("Auth", purchase(holder, { amount = "0.01" })))
    assert.not_equal(0, send("Auth", purchase "nobody"))
    assert.equal(0, send("Auth", data)) -- asked again: held once
    assert.equal("0.00 100.00", balance(holder))
  end)

  it("counts in whole cents, and holds a fraction of one as a whole", function()
    local holder = account "1.00"
    assert.equal(0, send("Auth", purchase(holder, { amount = "0.001" })))
    assert.equal("0.99 0.01", balance(holder))
    assert.equal(0, send("Auth", purchase(holder, { amount = "0.5" })))
    assert.equal("0.49 0.51", balance(holder))
    assert.not_equal(0, send("Auth", purchase(holder, { amount = "0.491" })))
  end)

  it("takes what is cleared: all of it, less, or more", function()
    for cleared, left in pairs { ["12.50"] = "87.50", ["10.00"] = "90.00", ["15.00"] = "85.00",
      ["120.00"] = "-20.00" } do
      local data, holder = approved()
      told(data)
      assert.equal("87.50 12.50", balance(holder))
      told(data, { status = "Success", amount = cleared })
      assert.equal(left .. " 0.00", balance(holder))
      told(data, { status = "Success", amount = cleared, fee = "0.25" }) -- fees arrive later
      assert.equal(money.subtract(left, "0.25") .. " 0.00", balance(holder))
    end
  end)

  it("releases what fails", function()
    local data, holder = approved()
    told(data, { status = "Fail" })
    assert.equal("100.00 0.00", balance(holder))
  end)

  it("holds more for an incremental authorization, as far as there is more", function()
    local data, holder = approved()
    assert.equal(0, send("Auth", changed(data, { amount = "20.00" })))
    assert.equal("80.00 20.00", balance(holder))
    assert.not_equal(0, send("Auth", changed(data, { amount = "100.01" })))
    assert.equal("80.00 20.00", balance(holder))
    told(data, { status = "Success", amount = "18.00" })
    assert.equal("82.00 0.00", balance(holder))
  end)

  it("gives back what is reversed, before and after clearing", function()
    local data, holder = approved()
    told(about(data, "Reversal", "2.50"))
    assert.equal("90.00 10.00", balance(holder))
    told(data, { status = "Success" })
    assert.equal("90.00 0.00", balance(holder))
    told(about(data, "Reversal", "10.00"))
    assert.equal("100.00 0.00", balance(holder))

    data, holder = approved()
    told(about(data, "Reversal", "12.50"))
    told(data, { status = "Fail" })
    assert.equal("100.00 0.00", balance(holder))
  end)

  it("gives back what is refunded, of purchases it never heard of, too", function()
    local data, holder = approved()
    told(data, { status = "Success" })
    local refund = about(data, "Refund", "5.00")
    told(changed(refund, { status = "Pending" }))
    assert.equal("87.50 0.00", balance(holder))
    told(refund)
    told(about(data, "Refund", "7.50"))
    told(about({ consume_no = "long-ago", cardholder_no = holder }, "Refund", "1.00"))
    assert.equal("101.00 0.00", balance(holder))
  end)

  it("holds what the platform approved without it", function()
    local holder = account "5.00"
    told(purchase(holder))
    assert.equal("-7.50 12.50", balance(holder))
  end)

  it("ends the same, in whatever order it is told, and however often", function()
    math.randomseed(7)
    for _ = 1, 40 do
      local data, holder = approved()
      local refund, reversal = about(data, "Refund", "3.00"), about(data, "Reversal", "1.00")
      local messages = { data, changed(data, { status = "Success", amount = "11.00" }),
        reversal, changed(reversal, { status = "Pending" }), refund,
        changed(refund, { status = "Pending" }), about(data, "Refund", "0.50") }
      for i = #messages, 1, -1 do
        messages[#messages + 1] = messages[i] -- everything twice
      end
      for i = #messages, 2, -1 do
        local j = math.random(i)
        messages[i], messages[j] = messages[j], messages[i]
      end
      for _, message in ipairs(messages) do
        told(message)
      end
      assert.equal("93.50 0.00", balance(holder)) -- 100 - 11 + 1 + 3.50
    end
  end)

  -- How often the journal says of a purchase that it was decided too late.
  local function late_lines(consume_no)
    local file, count = assert(io.open(journal)), 0
    for line in file:lines() do
      local entry = cjson.decode(line)
      count = count + (entry.kind == "late" and entry.consume_no == consume_no and 1 or 0)
    end
    file:close()
    return count
  end

  it("releases what was approved too late", function()
    local holder = account()
    local data = purchase(holder)
    local client = server:client()
    client:raw_cmd "CLIENT PAUSE 900"
    local from = core.monotonic()
    assert.not_equal(0, send("Auth", data))
    assert.is_true(core.monotonic() - from >= 590, "it did not wait")
    client:quit()
    wait(function() return balance(holder) == "100.00 0.00" end)
    wait(function() return late_lines(data.consume_no) == 1 end)
    assert.not_equal(0, send("Auth", data))
    assert.equal("100.00 0.00", balance(holder))
  end)

  it("keeps what was approved before, where more of it was approved too late", function()
    local data, holder = approved()
    local client = server:client()
    for late, amount in ipairs { "20.00", "5.00" } do
      client:raw_cmd "CLIENT PAUSE 900"
      assert.not_equal(0, send("Auth", changed(data, { amount = amount })))
      wait(function() return late_lines(data.consume_no) == late end)
      wait(function() return balance(holder) == "87.50 12.50" end)
    end
    client:quit()
    told(data, { status = "Success" })
    assert.equal("87.50 0.00", balance(holder))
  end)

  it("keeps that also where more of it was approved too late twice, in any order", function()
    local library = require "redis"
    library.commands.eval = library.command "EVAL"
    local client, script = server:client(), dofile "examples/openresty_authorizer/script.lua"
    for _, order in ipairs {
      { "ask 2000", "ask 3000", "release 2000", "release 3000" },
      { "ask 2000", "ask 3000", "release 3000", "release 2000" },
      { "ask 3000", "ask 2000", "release 2000", "release 3000" },
      { "ask 2000", "release 2000", "release 2000", "ask 3000", "release 3000" },
      { "ask 1250 of EUR", "release 1250 of EUR", "release 1250 of EUR" },
    } do
      local holder, number = account(), "purchase:late-" .. last
      local function run(step)
        local verb, amount, of = step:match "^(%l+) (%d+)(.*)$"
        return client:eval(script, 3, "account:" .. holder, number, number, verb, "Consumption",
          "Pending", amount, "0", of)
      end
      assert.equal(1, run "ask 1250")
      for _, step in ipairs(order) do
        run(step)
      end
      assert.equal("87.50 12.50", balance(holder))
      assert.equal(1, run "release 1250")
      assert.equal("100.00 0.00", balance(holder))
      assert.equal(1, run "ask 9000") -- nothing of it is left in the way of another question
      assert.equal("10.00 90.00", balance(holder))
    end
    client:quit()
  end)

  it("asks for it again where it could not post it", function()
    local data, holder = approved()
    assert.not_equal(0, send("Consumption", changed(data, { amount = "x" }), "again-1"))
    assert.equal(0, send("Consumption", changed(data, { status = "Success" }), "again-1"))
    assert.equal("87.50 0.00", balance(holder))
  end)

  it("lives through the emulator's purchases", function()
    local world = emulators.start { callback_url = address .. "/callback",
      callback_delays = { 0.05, 0.1, 0.2 } }
    local ks = world.authorization
    local card, holder = world:card("Virtual", ks)
    local number = holder.cardholder_no
    assert.equal(200, http(address, "POST", "/accounts/" .. number, {}, "100.00").status)
    local function buy(amount)
      return assert(ks.simulate:auth { card_no = card.card_no, amount = amount })
    end
    local function becomes(expected)
      wait(function() return balance(number) == expected end)
    end
    local first = buy "60.00"
    assert.equal("Pending", first.status)
    assert.equal("Fail", buy("60.00").status)
    becomes "40.00 60.00"
    assert(ks.simulate:consumption_clear { consume_no = first.consume_no })
    becomes "40.00 0.00"
    assert(ks.simulate:refund { consume_no = first.consume_no, amount = "10.00" })
    becomes "50.00 0.00"
    local second = buy "50.00"
    becomes "0.00 50.00"
    assert(ks.simulate:reversal { consume_no = second.consume_no, amount = "20.00" })
    becomes "20.00 30.00"
    assert(ks.simulate:consumption_fail { consume_no = second.consume_no })
    becomes "50.00 0.00"
    world:stop()
  end)

  it("writes a journal that tells it all, with no card number in it", function()
    local file = assert(io.open(journal))
    local decisions = 0
    for line in file:lines() do
      local entry = cjson.decode(line)
      decisions = decisions + (entry.action == "Auth" and 1 or 0)
      -- As a word: in an id, which is hexadecimal, so many digits may follow each other.
      assert.is_nil(line:find("%f[%w]%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d*%f[%W]"))
    end
    file:close()
    assert.is_true(decisions > 60, decisions)
  end)
end)
