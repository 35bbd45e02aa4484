local api = require "keysecure.api"
local rules = require "keysecure.rules"

local address = {
  first_name = "Ada", last_name = "Lovelace", phone_code = "44", phone = "2071234567",
  postal_code = "SW1A 1AA", country = "GB", state = "London", city = "London",
  address_line1 = "12 St. James's Square",
}

local function card(changes)
  local values = { cardholder_no = "U1", card_unique_no = "C-1", card_type = "Virtual",
    package_no = "P1" }
  for name, value in pairs(changes or {}) do
    values[name] = value ~= "(none)" and value or nil
  end
  return values
end

local function with_address(changes)
  local copy = {}
  for name, value in pairs(address) do
    copy[name] = value
  end
  for name, value in pairs(changes or {}) do
    copy[name] = value ~= "(none)" and value or nil
  end
  return copy
end

local function broken(operation, values, mode)
  local result = rules.broken(api.operations[operation], values, mode)
  return result and result.field, result and result.code, result and result.message
end

describe("rules", function()
  it("let good values through", function()
    assert.is_nil(broken("cards.apply", card(), "credit"))
    assert.is_nil(broken("cards.apply", card()))
    assert.is_nil(broken("cards.apply", card { card_type = "Physical", address_info = address }))
    assert.is_nil(broken("accounts.transfer", { cardholder_no = "U1", transfer_unique_no = "T",
      type = "out", balance = "0.01" }))
    assert.is_nil(broken("cards.list", { start_time = "2026-01-01", end_time = "2026-04-01" }))
    assert.is_nil(broken("cards.list", { start_time = "2026-01-01", end_time = "2026-01-01" }))
  end)

  it("ask for what each mode requires", function()
    assert.same({ "package_no", 1004, "is required" },
      { broken("cards.apply", card { package_no = "(none)" }, "credit") })
    assert.equal("card_bin_no", (broken("cards.apply", card(), "authorization")))
    assert.equal("card_bin_no", (broken("cards.apply", card { package_no = "(none)" })))
  end)

  it("ask for an address where the card is physical, and for a whole one", function()
    assert.equal("address_info", (broken("cards.apply", card { card_type = "Physical" })))
    for name in pairs(address) do
      local field = broken("cards.apply", card { card_type = "Physical",
        address_info = with_address { [name] = "(none)" } })
      assert.equal("address_info." .. name, field)
    end
    assert.is_nil(broken("cards.apply", card {
      address_info = with_address { first_name = "(none)", phone = "(none)" } }))
    assert.equal("address_info.city",
      (broken("cards.apply", card { address_info = with_address { city = "(none)" } })))
  end)

  it("know an address that the platform refuses", function()
    local expected = {
      { "city", "Zürich", 2008 }, { "city", "a;b", 2007 }, { "country", "gb", 2009 },
      { "postal_code", "#1", 2010 }, { "phone_code", "+44", 1004 },
    }
    for _, case in ipairs(expected) do
      local field, code = broken("cards.apply",
        card { address_info = with_address { [case[1]] = case[2] } })
      assert.equal("address_info." .. case[1], field)
      assert.equal(case[3], code)
    end
  end)

  it("tell a wrong type, which is misuse, from a wrong value", function()
    local wrong = rules.broken(api.operations["cards.apply"], card { cardholder_no = 7 })
    assert.is_true(wrong.misuse)
    wrong = rules.broken(api.operations["accounts.transfer"], { cardholder_no = "U1",
      transfer_unique_no = "T", type = "In", balance = 100 })
    assert.is_true(wrong.misuse)
    assert.is_truthy(wrong.message:find("money is decimal text", 1, true))
    wrong = rules.broken(api.operations["cards.apply"], card { card_type = "virtual" })
    assert.is_nil(wrong.misuse)
  end)

  it("refuse money that isn't", function()
    for _, balance in ipairs { "", "-1", "1.", ".5", "1e3", "1,000.00", " 1", "0", "0.00", "1.001",
      "100.00 ", ("9"):rep(40) } do
      assert.equal("balance", (broken("accounts.transfer", { cardholder_no = "U1",
        transfer_unique_no = "T", type = "In", balance = balance })), balance)
    end
  end)

  it("refuse numbers that could leave their path", function()
    for _, number in ipairs { "", "../x", "a/b", "a?b", "a b", "a%2fb", "é", "a\r\nb",
      ("x"):rep(65) } do
      assert.equal("card_no", (broken("cards.detail", { card_no = number })), number)
    end
  end)

  it("refuse a PIN with three identical or sequential digits", function()
    local function pin(text)
      return broken("cards.set_pin", { card_no = "C1", cardholder_no = "U1", pin = text })
    end
    for _, text in ipairs { "111284", "281115", "284111", "123905", "590321", "987401", "12345",
      "1234567", "abcdef", "" } do
      local field, code = pin(text)
      assert.equal("pin", field, text)
      assert.equal(4016, code)
    end
    for _, text in ipairs { "112233", "135790", "908172", "246802" } do
      assert.is_nil(pin(text), text)
    end
  end)

  it("hold windows to 90 days, end after start", function()
    local function window(from, to)
      local field, code = broken("cards.list", { start_time = from, end_time = to })
      return field and field .. " " .. code
    end
    assert.equal("end_time 1019", window("2026-01-02", "2026-01-01"))
    assert.equal("end_time 1019", window("2026-01-01 10:00:00", "2026-01-01 10:00:00"))
    assert.equal("end_time 1020", window("2026-01-01", "2026-04-02"))
    assert.equal("end_time 1020", window("2026-01-01 00:00:00", "2026-04-01 00:00:01"))
    assert.is_nil(window("2026-01-01 00:00:00", "2026-04-01 00:00:00"))
    assert.is_nil(window("2026-01-01 10:00:00", "2026-01-01"))
  end)

  it("bound pages and texts, counting characters", function()
    local function list(changes)
      changes.start_time, changes.end_time = "2026-01-01", "2026-01-02"
      return (broken("cards.list", changes))
    end
    assert.equal("page", list { page = -1 })
    assert.equal("size", list { size = 0 })
    assert.equal("size", list { size = 101 })
    assert.equal("card_unique_no", list { card_unique_no = ("é"):rep(65) })
    assert.is_nil(list { card_unique_no = ("é"):rep(64) })
    assert.equal("card_unique_no", list { card_unique_no = "a\nb" })
  end)

  it("check of a simulation only what is given", function()
    assert.is_nil(rules.broken_given(api.operations["simulate.auth"], { other = 1 }))
    assert.equal("card_no",
      rules.broken_given(api.operations["simulate.auth"], { card_no = "../x" }).field)
  end)

  it("spell a value as the platform lists it, where letter case doesn't matter", function()
    local field = api.operations["accounts.transfer"].params[3]
    assert.equal("In", rules.spelling(field, "IN"))
    assert.equal("as is", rules.spelling({ type = "text" }, "as is"))
  end)
end)
