local errors = require "keysecure.errors"

describe("an error", function()
  it("prints as one line: where, what, and how it ended", function()
    local err = errors.new { kind = "api", code = 2002, name = "cardholder_not_found",
      operation = "cards.apply", field = "cardholder_no", message = "does not\nexist",
      outcome = "refused" }
    assert.equal("cards.apply cardholder_no: does not exist "
      .. "(cardholder_not_found, code 2002, refused)", tostring(err))
    err = errors.new { kind = "invalid", operation = "cards.detail", message = "no" }
    assert.equal("cards.detail: no (invalid, not_sent)", tostring(err))
    assert.equal("oops (crypto)",
      tostring(errors.new { kind = "crypto", message = "oops" }))
    assert.equal("api_key: is required (invalid)",
      tostring(errors.new { kind = "invalid", field = "api_key", message = "is required" }))
  end)

  it("never left this process unless something says so", function()
    assert.equal("not_sent", errors.new({ kind = "invalid", message = "no" }).outcome)
    local err = errors.new { kind = "api", message = "no", outcome = "unknown" }
    assert.equal("unknown", err.outcome)
  end)

  it("is known from other values", function()
    assert.is_true(errors.is(errors.new { kind = "invalid", message = "no" }))
    assert.is_false(errors.is({ kind = "invalid" }))
    assert.is_false(errors.is("no"))
    assert.is_false(errors.is(nil))
  end)

  it("raises misuse where the calling program is", function()
    local ok, message = pcall(errors.misuse, "wrong")
    assert.is_false(ok)
    assert.is_truthy(message:find("wrong", 1, true))
    local _, placed = pcall(function()
      require("keysecure.options").check { api_kye = "x" }
    end)
    assert.is_truthy(placed:find("errors_spec%.lua:%d+: no option 'api_kye'"), placed)
  end)
end)
