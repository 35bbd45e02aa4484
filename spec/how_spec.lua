local how = require "keysecure.how"

describe("how", function()
  local told = { attempts = 2, waited = 7, lookups = 1, settled = "found" }

  it("is kept beside a value, and not in it", function()
    local row = {}
    how.keep(row, told)
    assert.equal(told, how.of(row))
    assert.is_nil(next(row))
    assert.equal(how.ordinary, how.of({}))
  end)

  it("is not kept of what has no identity", function()
    how.keep(true, told)
    how.keep("text", told)
    for _, value in ipairs { true, "text", 7 } do
      assert.equal(how.ordinary, how.of(value))
    end
    assert.equal(how.ordinary, how.of(nil))
  end)

  it("does not keep the value alive", function()
    local rows = setmetatable({}, { __mode = "k" })
    for _ = 1, 10 do
      local row = {}
      rows[row] = true
      how.keep(row, told)
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(rows))
  end)
end)
