local suggest = require "keysecure.suggest"

describe("suggest", function()
  local names = { "cardholder_no", "card_unique_no", "card_type" }

  it("names what was probably meant", function()
    assert.equal("; did you mean 'cardholder_no'?", suggest("cardholder_on", names))
    assert.equal("; did you mean 'card_type'?", suggest("cardType", names))
    assert.equal("; did you mean 'cardholder_no'?", suggest("card_holder_no", names))
  end)

  it("keeps silent where nothing is near", function()
    assert.equal("", suggest("zebra", names))
    assert.equal("", suggest(true, names))
    assert.equal("", suggest("x", {}))
  end)
end)
