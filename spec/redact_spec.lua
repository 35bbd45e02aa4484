local redact = require "keysecure.redact"

describe("redact", function()
  it("takes out the secrets of a call, whatever they look like", function()
    assert.equal("pin *** bad", redact.text("pin 135790 bad", { "135790" }))
    assert.equal("*** and ***", redact.text("a%d+.b and a%d+.b", { "a%d+.b" }))
    assert.equal("as it was", redact.text("as it was", { "", "x" }))
  end)

  it("takes out whatever may be a card number", function()
    assert.equal("card *** refused", redact.text("card 4111111111111111 refused", {}))
    assert.equal("card *** refused", redact.text("card 4111 1111 1111 1111 refused", {}))
    assert.equal("card *** refused", redact.text("card 4111-1111-1111-1111 refused", {}))
    assert.equal("code 1004 in 2026-11-23", redact.text("code 1004 in 2026-11-23", {}))
  end)
end)
