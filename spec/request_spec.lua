local api = require "keysecure.api"
local cipher = require "keysecure.cipher"
local cjson = require "cjson"
local request = require "keysecure.request"

local key = assert(cipher.new("0123456789abcdef"))

local function make(name, fields, mode)
  return request.new(api.operations[name], fields, key, mode)
end

describe("a request", function()
  it("puts numbers into the path and the rest into the body", function()
    assert.same({ path = "/card/C1/detail" }, make("cards.detail", { card_no = "C1" }))
    local made = make("cards.list",
      { start_time = "2026-01-01", end_time = "2026-01-02", page = 2 })
    assert.equal("/card/list", made.path)
    assert.same({ start_time = "2026-01-01", end_time = "2026-01-02", page = 2 },
      cjson.decode(made.body))
    assert.is_truthy(made.body:find('"page":2[,}]'))
    assert.equal("{}", make("cards.packages", {}).body)
  end)

  it("encrypts CVV and PIN", function()
    local made = make("cards.activate", { cardholder_no = "U1", card_no = "C1", cvv = "123",
      card_last_no = "1111" })
    assert.equal("zNkSeANebsT6uK05MK4mkA==", cjson.decode(made.body).cvv)
    made = make("cards.set_pin", { cardholder_no = "U1", card_no = "C1", pin = "135790" })
    assert.is_nil(made.body:find("135790", 1, true))
    assert.same({ true, "135790" }, { key:decrypt(cjson.decode(made.body).pin) })
  end)

  it("sends the one-time token as a header", function()
    local made = make("pci.card_detail", { card_no = "C1", client_access_token = "once" })
    assert.equal("Client-Access-Token", made.header)
    assert.equal("once", made.header_value)
    assert.same({ card_no = "C1" }, cjson.decode(made.body))
  end)

  it("spells enums as the platform does", function()
    local made = make("accounts.transfer", { cardholder_no = "U1", transfer_unique_no = "T1",
      type = "IN", balance = "1.00" })
    assert.same({ cardholder_no = "U1", transfer_unique_no = "T1", type = "In", balance = "1.00" },
      cjson.decode(made.body))
  end)

  it("raises for an unknown field, with the one meant", function()
    assert.has_error(function()
      make("cards.detail", { cardno = "C1" })
    end)
    local _, message = pcall(make, "cards.detail", { cardno = "C1" })
    assert.is_truthy(message:find(
      "cards.detail takes no field 'cardno'; did you mean 'card_no'?", 1, true), message)
  end)

  it("raises for a wrong type", function()
    local _, message = pcall(make, "cards.detail", { card_no = 17 })
    assert.is_truthy(message:find("cards.detail card_no: string expected, got number", 1, true))
  end)

  it("returns an error for a value that breaks a rule", function()
    local made, err = make("cards.detail", {})
    assert.is_nil(made)
    assert.equal("invalid", err.kind)
    assert.equal("not_sent", err.outcome)
    assert.equal("card_no", err.field)
    assert.equal("cards.detail", err.operation)
  end)

  it("passes on whatever a simulation is given", function()
    local made = make("simulate.auth", { card_no = "C1", amount = "1.00", anything = { deep = 1 } })
    assert.same({ card_no = "C1", amount = "1.00", anything = { deep = 1 } },
      cjson.decode(made.body))
  end)

  it("returns an error for what is too large to be sent", function()
    local frame = #'{"anything":""}'
    local made = make("simulate.consumption_clear", { anything = ("x"):rep(1000000 - frame) })
    assert.equal(1000000, #made.body)
    local none, err = make("simulate.consumption_clear", { anything = ("x"):rep(1000001 - frame) })
    assert.is_nil(none)
    assert.same({ "invalid", "not_sent", "simulate.consumption_clear" },
      { err.kind, err.outcome, err.operation })
  end)

  it("knows its secrets", function()
    assert.same({ "123" }, request.secrets(api.operations["cards.activate"], { cvv = "123" }))
    assert.same({}, request.secrets(api.operations["cards.detail"], { card_no = "C1" }))
  end)
end)
