-- Every operation of the table does what it is for.
local api = require "keysecure.api"
local cipher = require "keysecure.cipher"
local core = require "keysecure.core"
local json = require "keysecure.emulator.json"
local support = require "spec.support.emulator"

local peer

-- Every field that `api` says comes back is there, in its type, and nothing else is.
local LUA_TYPES = { integer = "number", number = "number", time = "number", boolean = "boolean",
  object = "table", list = "table", any = "table" }

local check_row

local function check_value(field, value, path)
  assert.equal(LUA_TYPES[field.type] or "string", type(value), path)
  if field.type == "object" then
    check_row(field.fields, value, path .. ".")
  elseif field.type == "list" then
    for _, row in ipairs(value) do
      check_row(field.fields, row, path .. ".")
    end
  elseif field.type == "money" then
    assert.matches("^%d+%.%d%d$", value, path)
  end
end

function check_row(fields, row, prefix)
  local known = {}
  for _, field in ipairs(fields) do
    known[field.name] = true
    if row[field.name] ~= nil then
      check_value(field, row[field.name], (prefix or "") .. field.name)
    end
  end
  for name in pairs(row) do
    assert.is_true(known[name] == true, "unknown field " .. (prefix or "") .. name)
  end
end

local function check_data(name, data)
  local operation = api.operations[name]
  if operation.returns == "list" then
    for _, row in ipairs(data.list) do
      check_row(operation.data, row)
    end
  elseif operation.returns ~= "cipher" then
    check_row(operation.data, data)
  end
end

local function succeed(name, values, options)
  local data = peer:ok(name, values, options)
  check_data(name, data)
  return data
end

local happy = {}

happy["merchant.token"] = function()
  local data = succeed "merchant.token"
  assert.matches("^%x+$", data.access_token)
  assert.is_true(math.abs(data.expired_time - core.wall() - 86400000) < 2000)
  assert.are_not.equal(data.access_token, succeed("merchant.token").access_token)
end

happy["cardholders.apply"] = function()
  local values = peer:apply_values()
  local data = succeed("cardholders.apply", values)
  assert.matches("^U%d%d%d%d%d%d%d%d%d%d%d%d$", data.cardholder_no)
  assert.equal(values.cardholder_unique_no, data.cardholder_unique_no)
end

happy["cardholders.list"] = function()
  local holder = peer:holder()
  local rows = succeed("cardholders.list", support.today { cardholder_no = holder }).list
  assert.equal(1, #rows)
  assert.equal("Approved", rows[1].status)
  assert.equal("", rows[1].fail_reason)
  assert.matches("@example%.com$", rows[1].email)
end

happy["cardholders.info"] = function()
  local card_no, holder = peer:card()
  peer:fund(holder, "7.5")
  local data = succeed("cardholders.info", { cardholder_no = holder })
  assert.equal("7.50", data.total_balance)
  assert.same({ { card_no = card_no } }, data.card_list)
end

happy["cards.apply"] = function()
  local values = peer:card_values()
  local data = succeed("cards.apply", values)
  assert.matches("^C%d%d%d%d%d%d%d%d%d%d%d%d$", data.card_no)
  assert.equal(values.card_unique_no, data.card_unique_no)
  local other = { merchant = "authorization" }
  assert.is_truthy(succeed("cards.apply", { card_bin_no = "B-2", card_type = "Virtual",
    card_unique_no = peer:unique "card", cardholder_no = peer:holder(other) }, other).card_no)
end

happy["cards.list"] = function()
  local card_no, holder = peer:card()
  local row = succeed("cards.list", support.today { cardholder_no = holder }).list[1]
  assert.equal(card_no, row.card_no)
  assert.equal("VISA", row.organization)
  assert.equal(peer:plastic(card_no).card_last_no, row.card_last_no)
end

happy["cards.detail"] = function()
  local card_no, holder = peer:card()
  local data = succeed("cards.detail", { card_no = card_no })
  assert.equal(holder, data.cardholder_no)
  assert.equal("Activated", data.status)
  local fees = 0
  for _ in pairs(data.fee_detail) do
    fees = fees + 1
  end
  assert.equal(22, fees)
end

happy["cards.private_info"] = function()
  local card_no = peer:card()
  local text = succeed("cards.private_info", { card_no = card_no })
  local secret = peer.emulator.merchants.credit.api_secret
  local ok, plain = cipher.new(secret):decrypt(text)
  assert.is_true(ok)
  local data, plastic = json.decode_object(plain), peer:plastic(card_no)
  for _, name in ipairs { "card_no", "cvv", "pan", "exp_year", "exp_month" } do
    assert.equal(plastic[name], data[name], name)
  end
  assert.matches("^%d%d%d%d$", data.exp_year)
  assert.matches("^%d%d$", data.exp_month)
end

happy["cards.activate"] = function()
  local card_no = peer:activated_physical()
  assert.equal("Activated", peer:ok("cards.detail", { card_no = card_no }).status)
end

happy["cards.update_status"] = function()
  local card_no = peer:card()
  for _, status in ipairs { "Frozen", "Activated", "Delete" } do
    assert.is_true(succeed("cards.update_status", { card_no = card_no, status = status }).result)
    assert.equal(status, peer:ok("cards.detail", { card_no = card_no }).status)
  end
end

happy["cards.set_pin"] = function()
  local card_no, holder = peer:activated_physical()
  assert.is_true(succeed("cards.set_pin",
    { card_no = card_no, cardholder_no = holder, pin = "862947" }).result)
end

happy["consumptions.info"] = function()
  local consume_no, card_no, holder = peer:purchase("12.50")
  local data = succeed("consumptions.info", { consume_no = consume_no })
  assert.equal(card_no, data.card_no)
  assert.equal(holder, data.cardholder_no)
  assert.equal("12.50", data.amount)
  assert.equal("USD", data.local_currency)
  assert.equal("Consumption", data.type)
  assert.equal("Emulator Store", data.merchant_info.merchant_name)
end

happy["consumptions.list"] = function()
  local consume_no, card_no = peer:purchase()
  local rows = succeed("consumptions.list", support.today { card_no = card_no }).list
  assert.equal(1, #rows)
  assert.equal(consume_no, rows[1].consume_no)
end

happy["pci.client_token"] = function()
  local data = succeed("pci.client_token", { card_no = (peer:card()) })
  assert.equal(300, data.expires_in)
end

happy["pci.card_detail"] = function()
  local card_no = peer:card()
  local data = succeed("pci.card_detail",
    { card_no = card_no, client_access_token = peer:client_token(card_no) })
  assert.equal(peer:plastic(card_no).pan, data.pan)
end

happy["accounts.transfer"] = function()
  local holder = peer:holder()
  local first = succeed("accounts.transfer",
    peer:transfer_values { cardholder_no = holder, balance = "100", type = "in" })
  assert.equal("0.00", first.before_balance)
  assert.equal("100.00", first.after_balance)
  local second = succeed("accounts.transfer",
    peer:transfer_values { cardholder_no = holder, balance = "0.5", type = "OUT" })
  assert.equal("100.00", second.before_balance)
  assert.equal("99.50", second.after_balance)
end

happy["accounts.info"] = function()
  local holder = peer:holder()
  peer:fund(holder, "3.00")
  local account = succeed("accounts.info", { cardholder_no = holder }).list[1]
  assert.equal("TUSDT", account.symbol)
  assert.equal("3.00", account.balance)
  assert.equal("3.00", account.usd_balance)
end

happy["accounts.transfers"] = function()
  local holder = peer:holder()
  local transfer = peer:fund(holder, "3.5")
  local row = succeed("accounts.transfers",
    support.today { transfer_unique_no = transfer.transfer_unique_no }).list[1]
  assert.equal(transfer.transfer_no, row.transfer_no)
  assert.equal("In", row.type)
  assert.equal("3.50", row.balance)
  assert.equal("Success", row.status)
end

happy["cards.packages"] = function()
  assert.equal(3, #succeed("cards.packages").list)
  assert.equal(1, #succeed("cards.packages", { type = "Physical" }).list)
  local row = succeed("cards.packages", { package_no = "P-1" }).list[1]
  assert.equal("Virtual", row.package_type)
  assert.equal("100000.00", row.consumption_limit.limit_balance)
  assert.equal("0.00", row.fee_detail.consume_cancle_fee)
end

happy["cards.bins"] = function()
  assert.equal(2, #succeed("cards.bins").list)
  local row = succeed("cards.bins", { card_bin_no = "B-2" }).list[1]
  assert.is_false(row.support_physical)
  assert.same({ "USD" }, row.currencies)
end

happy["simulate.auth"] = function()
  local card_no, holder = peer:card()
  peer:fund(holder, "10.00")
  local data = succeed("simulate.auth", { card_no = card_no, amount = "10.00" })
  assert.equal("Pending", data.status)
  assert.equal("approved", data.decision)
end

happy["simulate.consumption_clear"] = function()
  local data = succeed("simulate.consumption_clear", { consume_no = (peer:purchase()) })
  assert.equal("Success", data.status)
end

happy["simulate.consumption_fail"] = function()
  local data = succeed("simulate.consumption_fail", { consume_no = (peer:purchase()) })
  assert.equal("Fail", data.status)
end

happy["simulate.reversal"] = function()
  local consume_no = peer:purchase()
  local data = succeed("simulate.reversal", { consume_no = consume_no })
  assert.equal(consume_no, data.consume_relate_no)
end

happy["simulate.refund"] = function()
  local consume_no = peer:purchase()
  peer:ok("simulate.consumption_clear", { consume_no = consume_no })
  local data = succeed("simulate.refund", { consume_no = consume_no, amount = "2.50" })
  assert.equal(consume_no, data.consume_relate_no)
  local row = peer:ok("consumptions.info", { consume_no = data.consume_no })
  assert.equal("Refund", row.type)
  assert.equal("2.50", row.amount)
end

describe("the emulator's operations", function()
  setup(function() peer = support.start() end)
  teardown(function() peer:stop() end)
  after_each(function() peer:reset() end)

  for _, name in ipairs(api.names) do
    it("do what " .. name .. " is for", function()
      assert.is_truthy(happy[name], "no happy path is written for " .. name)
      happy[name]()
    end)
  end

  it("name the field where a number is taken, a CVV or last four are wrong", function()
    local values = peer:card_values()
    peer:ok("cards.apply", values)
    assert.equal("card_unique_no invalid parameter", peer:call("cards.apply", values).json.msg)
    local transfer = peer:transfer_values { cardholder_no = values.cardholder_no }
    peer:ok("accounts.transfer", transfer)
    assert.equal("transfer_unique_no invalid parameter",
      peer:call("accounts.transfer", transfer).json.msg)
    assert.equal("10.00", peer:balance(values.cardholder_no))

    local card_no, holder = peer:card "Physical"
    local plastic = peer:plastic(card_no)
    local function activate(cvv, last, options)
      return peer:call("cards.activate", { cardholder_no = holder, card_no = card_no, cvv = cvv,
        card_last_no = last }, options).json.msg
    end
    local wrong_cvv = plastic.cvv == "111" and "222" or "111"
    local wrong_last = plastic.card_last_no == "1111" and "2222" or "1111"
    assert.equal("cvv invalid parameter", activate(wrong_cvv, plastic.card_last_no))
    assert.equal("cvv invalid parameter", activate(plastic.cvv, plastic.card_last_no,
      { wire = true })) -- plaintext on the wire
    assert.equal("cvv invalid parameter", activate("1234", plastic.card_last_no))
    assert.equal("card_last_no invalid parameter", activate(plastic.cvv, wrong_last))
    assert.equal("Success", activate(plastic.cvv, plastic.card_last_no))
  end)

  it("let a cardholder's cards be touched in its own name only", function()
    local card_no = peer:card "Physical"
    local plastic, other = peer:plastic(card_no), peer:holder()
    local answer = peer:call("cards.activate", { cardholder_no = other, card_no = card_no,
      cvv = plastic.cvv, card_last_no = plastic.card_last_no })
    assert.equal("cardholder_no invalid parameter", answer.json.msg)
    answer = peer:call("cards.set_pin", { cardholder_no = other, card_no = card_no,
      pin = "862947" })
    assert.equal("cardholder_no invalid parameter", answer.json.msg)
  end)

  it("refuse a card type that the package or BIN does not come in", function()
    local answer = peer:call("cards.apply", peer:card_values { package_no = "P-2" })
    assert.equal("card_type invalid parameter", answer.json.msg)
  end)

  it("keep merchants apart", function()
    local card_no, holder = peer:card()
    local other = { merchant = "authorization" }
    assert.equal(4001, peer:call("cards.detail", { card_no = card_no }, other).json.code)
    assert.equal(2002, peer:call("cardholders.info", { cardholder_no = holder }, other).json.code)
    assert.same({}, peer:ok("cards.list", support.today {}, other).list)
    local values = { cardholder_unique_no = "same", sumsub_share_token = "s" }
    peer:ok("cardholders.apply", values)
    peer:ok("cardholders.apply", values, other)
    local token = peer.tokens.credit
    assert.equal(1007, peer:call("cards.packages", {},
      { merchant = "authorization", headers = { ["Access-Token"] = token } }).json.code)
  end)

  it("draw PANs with a right check digit", function()
    for _ = 1, 5 do
      local pan = peer:plastic((peer:card())).pan
      local sum = 0
      for i = 1, #pan do
        local digit = tonumber(pan:sub(-i, -i)) * (i % 2 == 0 and 2 or 1)
        sum = sum + (digit > 9 and digit - 9 or digit)
      end
      assert.equal(16, #pan)
      assert.equal(0, sum % 10)
    end
  end)
end)
