-- Your own specs, against a platform of their own: run `busted` in this folder.
local platform = require "spec.platform"
local shop = require "shop"

describe("shop.issue", function()
  local ks
  local customer = { number = "1001", share_token = "share-token", amount = "25.00" }

  before_each(function()
    platform.reset()
    ks = platform.client()
  end)
  after_each(function() ks:close() end)

  it("gives a customer a card with money on it", function()
    local card = assert(shop.issue(ks, customer))
    assert(card:wait "Activated")
    local bought = assert(ks.simulate:auth { card_no = card.card_no, amount = "25.00" })
    assert.equal("approved", bought.decision)
    assert.equal("25.00", platform.state().cardholders[1].balance)
  end)

  it("begins every test with an empty platform", function()
    assert.equal(0, #platform.state().cardholders)
  end)

  it("does not try again with somebody whom KYC rejects", function()
    local card, failure = shop.issue(ks, { number = "1002", share_token = "reject",
      amount = "25.00" })
    assert.is_nil(card)
    assert.matches("Rejected", failure.message)
    assert.equal(0, #platform.state().cards)
  end)

  it("does not try again what the platform refuses", function()
    platform.fault { operation = "cards.apply", code = 4003 }
    local card, failure = shop.issue(ks, customer)
    assert.is_nil(card)
    assert.matches("code 4003", failure.message)
    assert.is_false(failure.again)
  end)

  it("issues one card where the answer is lost", function()
    platform.fault { operation = "cards.apply", answer = "closed", after = true }
    local card = assert(shop.issue(ks, customer))
    assert.equal(card.card_no, platform.state().cards[1].card_no)
    assert.equal(1, #platform.state().cards)
  end)
end)
