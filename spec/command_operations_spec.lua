-- Every operation of the platform through `bin/keysecure`, each call a process of its own, against
-- a real emulator: the stories of both modes, and what people get wrong.
local api = require "keysecure.api"
local cjson = require "cjson"
local command = require "spec.support.command"
local support = require "spec.support.emulator"

local DAYS = { "--start-time", os.date("!%Y-%m-%d", os.time() - 2 * 86400),
  "--end-time", os.date("!%Y-%m-%d", os.time() + 2 * 86400) }

local peer, used

-- Words of a command line; those of `DAYS` and the like are put in where a table stands.
local function words_of(...)
  local words = {}
  for _, part in ipairs { ... } do
    for word in (type(part) == "table" and table.concat(part, " ") or part):gmatch "%S+" do
      words[#words + 1] = word
    end
  end
  return words
end

local function environment_of(mode, more)
  local merchant = peer.emulator.merchants[mode]
  local variables = { KEYSECURE_ENVIRONMENT = "emulator", KEYSECURE_ADDRESS = peer.address,
    KEYSECURE_MODE = mode, KEYSECURE_API_KEY = merchant.api_key,
    KEYSECURE_API_SECRET = merchant.api_secret }
  for name, value in pairs(more or {}) do
    variables[name] = value
  end
  return variables
end

local function keysecure(line, options)
  options = options or {}
  local words = type(line) == "table" and line or words_of(line)
  if words[1] and words[2] then
    used[words[1] .. "." .. words[2]:gsub("-", "_")] = true
  end
  return command.run(words, { input = options.input,
    environment = environment_of(options.mode or "credit", options.environment) })
end

-- A call that must succeed, as JSON.
local function ask(line, options)
  local words = type(line) == "table" and line or words_of(line)
  words[#words + 1] = "--json"
  local result = keysecure(words, options)
  assert.equal("", result.err)
  assert.equal(0, result.status)
  return cjson.decode(result.out), result.out
end

local function contains(text, part)
  assert(text:find(part, 1, true), "no '" .. part .. "' in:\n" .. text)
end

-- One line on standard error that holds each part, nothing on the other, and this status.
local function assert_refused(result, status, ...)
  assert.equal(status, result.status, result.err)
  assert.equal("", result.out)
  assert.matches("^keysecure: [^\n]+\n$", result.err)
  for _, part in ipairs { ... } do
    contains(result.err, part)
  end
end

describe("the command line of the operations #plain", function()
  setup(function()
    peer, used = support.start(), {}
  end)
  teardown(function() peer:stop() end)

  local function new_holder(mode)
    return ask("cardholders apply --cardholder-unique-no " .. peer:unique "U",
      { mode = mode, environment = { KEYSECURE_SUMSUB_SHARE_TOKEN = "share" } }).cardholder_no
  end

  local ADDRESS = { "--address-info.first-name", "Ada", "--address-info.last-name", "Lovelace",
    "--address-info.phone-code", "44", "--address-info.phone", "2071234567",
    "--address-info.postal-code", "SW1Y-4JH", "--address-info.country", "GB",
    "--address-info.state", "London", "--address-info.city", "London",
    "--address-info.address-line1", "12-Square" }

  local function new_card(holder, mode, ...)
    return ask(words_of("cards apply --cardholder-no " .. holder .. " --card-unique-no "
      .. peer:unique "C", ...), { mode = mode }).card_no
  end

  local function virtual_card(holder)
    return new_card(holder, "credit", "--package-no P-1 --card-type Virtual")
  end

  it("tells the story of credit mode", function()
    local holder = new_holder "credit"
    assert.equal("Approved", ask("cardholders wait --cardholder-no " .. holder).status)
    assert.equal(holder, ask(words_of("cardholders list --cardholder-no " .. holder,
      DAYS))[1].cardholder_no)
    assert.equal("P-1", ask("cards packages --type Virtual")[1].package_no)
    local card = virtual_card(holder)
    assert.equal("Activated", ask("cards wait --card-no " .. card).status)
    local transfer = ask("accounts transfer --type in --balance 100.10 --cardholder-no " .. holder
      .. " --transfer-unique-no " .. peer:unique "T")
    assert.equal("100.10", transfer.after_balance)
    assert.equal("100.10", ask("accounts info --cardholder-no " .. holder)[1].balance)
    assert.equal(transfer.transfer_no, ask(words_of("accounts transfers --cardholder-no "
      .. holder, DAYS))[1].transfer_no)
    assert.equal("100.10", ask("cardholders info --cardholder-no " .. holder).total_balance)
    assert.equal(card, ask(words_of("cards list --card-no " .. card, DAYS))[1].card_no)
    assert.equal("0.00", ask("cards detail --card-no " .. card).fee_detail.consume_rate)

    local bought = ask("simulate auth --card-no " .. card .. " --amount 12.50 --local-currency USD"
      .. " --merchant-info.merchant-name Shop")
    assert.equal("approved", bought.decision)
    ask("simulate consumption-clear --remark paid --consume-no " .. bought.consume_no)
    local refund = ask("simulate refund --amount 5.00 --consume-no " .. bought.consume_no)
    assert.equal(bought.consume_no, refund.consume_relate_no)
    local reversed = ask("simulate auth --amount 3.00 --card-no " .. card)
    ask("simulate reversal --consume-no " .. reversed.consume_no)
    local failed = ask("simulate auth --amount 4.00 --card-no " .. card)
    ask("simulate consumption-fail --consume-no " .. failed.consume_no)
    local info, text = ask("consumptions info --consume-no " .. bought.consume_no)
    assert.equal("Success", info.status)
    contains(text, '"amount":"12.50"')
    assert.equal("Shop", info.merchant_info.merchant_name)
    assert.equal(5, #ask(words_of("consumptions list --card-no " .. card, DAYS)))

    assert.is_true(ask("cards update-status --status Frozen --card-no " .. card).result)
    assert.equal("Frozen", ask("cards detail --card-no " .. card).status)
  end)

  it("activates a physical card and sets its PIN, with secrets off the command line", function()
    local holder = new_holder "credit"
    local card = new_card(holder, "credit", "--package-no P-2 --card-type Physical", ADDRESS)
    assert.equal("ToActivate", ask("cards wait --status ToActivate --card-no " .. card).status)
    local plastic = peer:plastic(card)
    local both = " --card-no " .. card .. " --cardholder-no " .. holder
    local answer = ask("cards activate --cvv-file - --card-last-no " .. plastic.card_last_no
      .. both, { input = plastic.cvv .. "\r\n" })
    assert.is_true(answer.result)
    assert.is_true(ask("cards set-pin" .. both, { environment = { KEYSECURE_PIN = "135790" } })
      .result)
    assert.equal("Activated", ask("cards detail --card-no " .. card).status)
  end)

  it("masks private data unless asked to reveal it", function()
    local card = virtual_card(new_holder "credit")
    local plastic = peer:plastic(card)
    for _, form in ipairs { "", " --json" } do
      local masked = keysecure("cards private-info --card-no " .. card .. form)
      assert.equal(0, masked.status, masked.err)
      assert.is_nil(masked.out:find(plastic.pan, 1, true))
      assert.is_nil(masked.out:gsub("C%d+", ""):find("%f[%w]" .. plastic.cvv .. "%f[%W]"))
      contains(masked.out, plastic.pan:sub(1, 6) .. "******" .. plastic.pan:sub(-4))
      contains(keysecure("cards private-info --reveal --card-no " .. card .. form).out, plastic.pan)
      for _, line in ipairs { "merchant token", "pci client-token --card-no " .. card } do
        assert.is_nil(keysecure(line .. form).out:find("%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x"))
      end
    end
    assert.equal(plastic.cvv, ask("cards private-info --reveal --card-no " .. card).cvv)
    assert.is_truthy(ask("merchant token --reveal").access_token:find "^%x+$")

    local token = ask("pci client-token --reveal --card-no " .. card).client_access_token
    local detail = ask("pci card-detail --client-access-token-file - --reveal --card-no " .. card,
      { input = token })
    assert.equal(plastic.pan, detail.pan)
  end)

  it("tells the story of authorization mode", function()
    local merchant = { mode = "authorization" }
    assert.equal("B-1", ask("cards bins", merchant)[1].card_bin_no)
    local card = new_card(new_holder "authorization", "authorization",
      "--card-bin-no B-1 --card-type Virtual")
    assert.equal("Activated", ask("cards wait --card-no " .. card, merchant).status)
    local bought = ask("simulate auth --amount 9.99 --card-no " .. card, merchant)
    assert.equal("declined", bought.decision) -- there is nobody to ask
    assert.equal("Fail", ask("consumptions info --consume-no " .. bought.consume_no,
      merchant).status)
    assert_refused(keysecure("cards packages", merchant), 2, "exists in credit mode only")
  end)

  it("walks a list of any length with --all, as JSON or as a table", function()
    peer:reset()
    for i = 1, 12 do
      peer:ok("cardholders.apply", { cardholder_unique_no = "many-" .. i,
        sumsub_share_token = "share" })
    end
    local line = { "cardholders list", "--start-time", "2026-01-01", "--end-time",
      os.date("!%Y-%m-%d", os.time() + 86400) }
    assert_refused(keysecure(words_of(line)), 2, "end_time", "90 days")
    assert.equal(12, #ask(words_of(line, "--all")))
    assert.equal(5, #ask(words_of("cardholders list --size 5 --page 1", DAYS)))
    local text = keysecure(words_of(line, "--all")).out
    assert.matches("^CARDHOLDER_NO +CARDHOLDER_UNIQUE_NO +EMAIL ", text)
    assert.matches("\nU%d+ +many%-7 +u%d+@example%.com +%- +Approved +%d+%-%d+%-%d+ [%d:]+ UTC%+8",
      text)
    assert.equal(13, select(2, text:gsub("\n", "")))
    assert_refused(keysecure(words_of(line, "--all --page 1")), 2, "begins at the first page")
  end)

  it("does not close a JSON list that broke off", function()
    assert(peer:control("POST", "faults", { operation = "cards.list", code = 4010 }))
    local result = keysecure(words_of("cards list --all --json", DAYS))
    assert.equal(1, result.status)
    assert.is_false((pcall(cjson.decode, result.out)))
  end)

  it("prints rows for people: nested fields by their paths, no control characters", function()
    local card = virtual_card(new_holder "credit")
    local text = keysecure("cards detail --card-no " .. card .. " --timezone UTC-3").out
    assert.matches("\nfee_detail%.consume_rate +0.00\n", text)
    assert.matches("\nstatus +Activated\n", text)
    assert.matches("\ntime +%d+%-%d+%-%d+ [%d:]+ UTC%-3\n", text)
    assert.equal("done\n", keysecure("cards update-status --status Frozen --card-no "
      .. card).out)
    assert.equal("no rows\n", keysecure(words_of("cards list --card-no none", DAYS)).out)
    assert.equal("[]\n", keysecure(words_of("cards list --json --card-no none", DAYS)).out)
    assert.equal("name  a [2J b  é", require("keysecure.command.output").row({ data = {} },
      { name = "a\27[2J\194\155b\127\194\128é" }, { zone = "UTC" }))
  end)

  it("passes any field on to a simulation", function()
    local result = keysecure "simulate auth --card-no x --amount 1.00 --field mcc=5999 --field a"
    assert_refused(result, 2, "NAME=VALUE expected, got 'a'")
    assert_refused(keysecure "simulate auth --card-no x --amount 1.00 --field mcc=5999", 1,
      "code 4001")
  end)

  describe("exit status", function()
    it("is 1 for a refusal, with the platform's code", function()
      assert_refused(keysecure "cards detail --card-no C-none", 1, "card_not_found, code 4001",
        "refused")
    end)

    it("is 1 where nobody listens", function()
      assert_refused(keysecure("cards detail --card-no C --timeout 5",
        { environment = { KEYSECURE_ADDRESS = "http://127.0.0.1:1" } }), 1, "not_sent")
    end)

    it("is 2 for values that can't be, with the field", function()
      assert_refused(keysecure("accounts transfer --type In --balance 1.005"
        .. " --cardholder-no U --transfer-unique-no T"), 2, "balance", "at most 2 decimals")
      assert_refused(keysecure "cards update-status --card-no C --status Molten", 2,
        "one of Frozen, Activated, Delete")
      assert_refused(keysecure "cards packages --size ten", 2, "--size", "number expected")
      assert_refused(keysecure "cards wait --card-no C --status Melted", 2, "no card status")
      assert_refused(keysecure "cards detail --card-no C --mode both", 2, "mode")
    end)

    it("is 3 for a write whose answer is lost, and 1 for such a read", function()
      local holder = new_holder "credit"
      assert(peer:control("POST", "faults", { operation = "accounts.transfer", code = 1001 }))
      assert_refused(keysecure("accounts transfer --type In --balance 1.00 --timeout 1"
        .. " --transfer-unique-no lost --cardholder-no " .. holder), 3, "unknown")
      assert(peer:control("POST", "faults", { operation = "cards.packages", delay = 5 }))
      assert_refused(keysecure "cards packages --timeout 1", 1, "timeout")
    end)

    it("is 2 without credentials", function()
      assert_refused(keysecure("cards packages", { environment = { KEYSECURE_API_KEY = "" ,
        KEYSECURE_ENVIRONMENT = "" } }), 2, "KEYSECURE_API_KEY")
    end)
  end)

  describe("what people get wrong", function()
    it("is answered with what they may have meant", function()
      assert_refused(keysecure "card list", 2, "did you mean 'cards'?")
      assert_refused(keysecure "cards detial --card-no C", 2, "unknown command 'detial'")
      assert_refused(keysecure "cards lists", 2, "did you mean 'list'?")
      assert_refused(keysecure "cards detail --card-n C", 2, "did you mean '--card-no'?")
      assert_refused(keysecure "cards detail", 2, "--card-no")
      assert_refused(keysecure {}, 2, "keysecure help")
    end)

    it("is refused where it would show a secret", function()
      local result = keysecure "cards set-pin --card-no C --cardholder-no U --pin 135790"
      assert_refused(result, 2, "would be seen by every user", "--pin-file", "KEYSECURE_PIN")
      assert.is_nil(result.err:find("135790", 1, true))
      assert_refused(keysecure "cards set-pin --card-no C --cardholder-no U", 2, "pin is needed")
      assert_refused(keysecure "cards set-pin --card-no C --cardholder-no U --pin-file /none", 2,
        "/none")
    end)
  end)

  it("is all in docs/command.md", function()
    local file = assert(io.open "docs/command.md")
    local page = file:read "*a"
    file:close()
    for _, name in ipairs(api.names) do
      local group, verb = name:match "^(%w+)%.(.*)$"
      local line = page:match("`keysecure " .. group .. "`([^\n]*)")
      contains(line or "", "`" .. verb:gsub("_", "-") .. "`")
    end
  end)

  it("explains every verb with help", function()
    for _, name in ipairs(api.names) do
      local group, verb = name:match "^(%w+)%.(.*)$"
      verb = verb:gsub("_", "-")
      local result = keysecure("help " .. group .. " " .. verb)
      assert.equal(0, result.status, result.err)
      contains(result.out, "Usage: keysecure " .. group .. " " .. verb)
      for _, field in ipairs(api.operations[name].params) do
        contains(result.out, "--" .. field.name:gsub("_", "-"))
        assert.is_nil(field.secret and result.out:find("--" .. field.name .. " ", 1, true))
      end
    end
    contains(keysecure("help").out, "cardholders")
  end)

  it("has been through all operations", function()
    for _, name in ipairs(api.names) do
      assert(used[name], name .. " was not tried")
    end
  end)
end)
