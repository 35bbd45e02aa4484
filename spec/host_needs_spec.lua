local needs = require "keysecure.host.needs"

describe("what one host needs", function()
  it("is what require gives", function()
    assert.equal(require "keysecure.core", needs("test", "keysecure.core"))
  end)

  it("is asked for by name where it is missing", function()
    assert.has_error(function() needs("test", "nowhere") end,
      "host 'test' needs nowhere: luarocks install nowhere")
  end)

  it("is said to be broken where it is", function()
    package.preload.broken_module = function() error("no such symbol", 0) end
    local ok, message = pcall(needs, "test", "broken_module")
    package.preload.broken_module = nil
    assert.is_false(ok)
    assert.matches("host 'test' needs broken_module, which does not load: ", message, 1, true)
    assert.matches("no such symbol", message, 1, true)
  end)
end)
