local api = require "keysecure.api"
local cjson = require "cjson"
local guarded = require "keysecure.guarded"

describe("guarded card data", function()
  local private

  before_each(function()
    private = guarded.new(api.operations["cards.private_info"], { pan = "4111111111111111",
      cvv = "123", exp_month = "12", exp_year = "2028", card_no = "C1" })
  end)

  it("gives its parts by name", function()
    assert.equal("4111111111111111", private.pan)
    assert.equal("C1", private.card_no)
    assert.is_nil(private.card_unique_no)
  end)

  it("prints masked", function()
    assert.equal("411111******1111 12/2028", tostring(private))
  end)

  it("shows nothing to whoever looks through it", function()
    for _ in pairs(private) do
      error("pairs found something")
    end
    assert.is_nil(next(private))
    assert.equal("guarded", getmetatable(private))
    assert.is_nil(cjson.encode(private):find("4111", 1, true))
  end)

  it("refuses misspelt parts and changes", function()
    local _, message = pcall(function()
      return private.cw
    end)
    assert.is_truthy(message:find("has no part 'cw'", 1, true))
    assert.has_error(function()
      private.pan = "x"
    end)
  end)

  it("guards a client token as well", function()
    local token = guarded.new(api.operations["pci.client_token"],
      { client_access_token = "once", expires_in = 60 })
    assert.equal("client token for 60 s", tostring(token))
    assert.equal("once", token.client_access_token)
  end)
end)
