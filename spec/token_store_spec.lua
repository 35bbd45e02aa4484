local memory = require "keysecure.token_store.memory"
local token_store = require "keysecure.token_store"

describe("a token store of one's own", function()
  it("is told which method it lacks", function()
    for _, name in ipairs { "load", "save", "claim", "release" } do
      local store = { load = print, save = print, claim = print, release = print }
      assert.is_nil(token_store.fault(store))
      store[name] = nil
      assert.matches("'" .. name .. "' expected", token_store.fault(store))
    end
    assert.is_nil(token_store.fault(memory.new()))
  end)
end)
