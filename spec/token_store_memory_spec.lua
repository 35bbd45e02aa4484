local memory = require "keysecure.token_store.memory"
local support = require "spec.support.token_store"

describe("the token store in memory", function()
  support.contract({ it = it, before_each = before_each }, memory.new,
    function(store) return store end)

  it("is not shared with one made anew", function()
    local store = memory.new()
    store:save("key", "text", 60)
    assert.is_nil(memory.new():load("key"))
  end)
end)
