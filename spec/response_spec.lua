local api = require "keysecure.api"
local cipher = require "keysecure.cipher"
local cjson = require "cjson"
local response = require "keysecure.response"

local key = assert(cipher.new("0123456789abcdef"))
local card_rows = { __tostring = function() return "a card" end }
local context = { cipher = key, rows = { card = card_rows } }

local function read(name, data, fields)
  return response.value(api.operations[name], data, context, fields or {})
end

describe("a response", function()
  it("becomes a row of its kind", function()
    local row = read("cards.detail", '{"card_no":"C1","status":"Activated","time":1763880000123,'
      .. '"card_name":null,"fee_detail":{"open_cost":"1.00","atm_min_fee":null}}')
    assert.equal("a card", tostring(row))
    assert.equal("C1", row.card_no)
    assert.is_nil(row.card_name)
    assert.same({ open_cost = "1.00" }, row.fee_detail)
    assert.equal("1763880000123", string.format("%d", row.time))
    if math.type then
      assert.equal("integer", math.type(row.time))
    end
  end)

  it("becomes a list of rows", function()
    local rows = read("cards.list", '{"list":[{"card_no":"C1"},{"card_no":"C2"}]}')
    assert.equal(2, #rows)
    assert.equal("a card", tostring(rows[2]))
    assert.same({}, read("cards.list", '{"list":[]}'))
  end)

  it("wraps the cards of a cardholder", function()
    local holder = read("cardholders.info", '{"cardholder_no":"U1","card_list":[{"card_no":"C1"}]}')
    assert.equal("a card", tostring(holder.card_list[1]))
  end)

  it("carries over what an application asked for", function()
    local row = read("cards.apply", '{"card_no":"C1","card_unique_no":"X"}',
      { cardholder_no = "U1", card_unique_no = "Y", card_type = "Virtual",
        address_info = { city = "x" } })
    assert.same({ card_no = "C1", card_unique_no = "X", cardholder_no = "U1",
      card_type = "Virtual" }, { card_no = row.card_no, card_unique_no = row.card_unique_no,
      cardholder_no = row.cardholder_no, card_type = row.card_type,
      address_info = row.address_info })
  end)

  it("keeps money exact, however it is written", function()
    assert.equal("100.10", read("accounts.transfer", '{"before_balance":"100.10"}').before_balance)
    assert.equal("12.5", read("accounts.transfer", '{"before_balance":12.50}').before_balance)
    assert.equal("100", read("accounts.transfer", '{"before_balance":100}').before_balance)
    local row, err = read("accounts.transfer", '{"before_balance":12345678901234567.89}')
    assert.is_nil(row)
    assert.equal("protocol", err.kind)
    assert.equal("before_balance", err.field)
  end)

  it("reads the time of a consumption that is text", function()
    local row = read("consumptions.info", '{"consume_no":"X","time":"1763880000123"}')
    assert.equal("1763880000123", string.format("%d", row.time))
  end)

  it("is true when something is done, and an error when it isn't said so", function()
    assert.is_true(read("cards.update_status", '{"result":true}'))
    for _, data in ipairs { '{"result":false}', "{}", '"x"', "null" } do
      local done, err = read("cards.update_status", data)
      assert.is_nil(done)
      assert.equal("protocol", err.kind)
      assert.equal("unknown", err.outcome)
    end
  end)

  it("is an error where the data has another shape", function()
    for name, bad in pairs {
      ["cards.detail"] = { "[]x", '"text"', "7", "null" },
      ["cards.list"] = { "{}", '{"list":7}', '{"list":null}', '{"list":[7]}',
        '{"list":{"rows":[{"card_no":"C1"}]}}', '{"list":[null,null,{"card_no":"C1"},null]}' },
      ["cardholders.info"] = { '{"card_list":{"card_no":"C1"}}' },
      ["cards.private_info"] = { "{}", "7" },
    } do
      for _, data in ipairs(bad) do
        local value, err = read(name, data)
        assert.is_nil(value, data)
        assert.equal("protocol", err.kind)
        assert.equal(name, err.operation)
      end
      assert.is_nil((read(name, nil)))
    end
    for _, time in ipairs { '"soon"', "1.5", "1e400", "true", "{}" } do
      local row, err = read("cards.detail", '{"time":' .. time .. "}")
      assert.is_nil(row, time)
      assert.equal("time", err.field)
    end
  end)

  it("decrypts private card data and guards it", function()
    local function encrypted(parts)
      return cjson.encode { key:encrypt(cjson.encode(parts)) }:sub(2, -2)
    end
    local parts = { card_no = "C1", cvv = "123", pan = "4111111111111111", exp_year = "2028",
      exp_month = "12" }
    local private = read("cards.private_info", encrypted(parts))
    assert.equal("411111******1111 12/2028", tostring(private))
    assert.equal("123", private.cvv)
    parts.cvv = nil
    local missing, err = read("cards.private_info", encrypted(parts))
    assert.is_nil(missing)
    assert.equal("cvv", err.field)
    local wrong
    wrong, err = read("cards.private_info", '"zNkSeANebsT6uK05MK4mk///"')
    assert.is_nil(wrong)
    assert.equal("crypto", err.kind)
    assert.equal("cards.private_info", err.operation)
    wrong, err = read("cards.private_info", '"zNkSeANebsT6uK05MK4mkA=="')
    assert.is_nil(wrong)
    assert.equal("protocol", err.kind)
  end)

  it("names the codes of a failure, and the field that the platform names", function()
    local err = response.failure(api.operations["cards.apply"], { kind = "api", code = 2002,
      message = "cardholder_no invalid parameter", outcome = "refused" })
    assert.equal("cardholder_not_found", err.name)
    assert.equal("cardholder_no", err.field)
    assert.equal("cards.apply", err.operation)
    err = response.failure(api.operations["cards.apply"], { kind = "api", code = 9999,
      message = "address_info.city invalid parameter", outcome = "refused" })
    assert.is_nil(err.name)
    assert.equal("address_info.city", err.field)
  end)
end)
