local options = require "keysecure.options"

local function given(changes)
  local result = { environment = "sandbox", api_key = "key", api_secret = "0123456789abcdef" }
  for name, value in pairs(changes or {}) do
    result[name] = value ~= "(none)" and value or nil
  end
  return result
end

local function fault(changes)
  local checked, err = options.check(given(changes))
  assert.is_nil(checked)
  assert.equal("invalid", err.kind)
  return err.field
end

describe("options", function()
  it("have defaults", function()
    local checked = assert(options.check(given()))
    assert.equal("https://sandbox-openplatform.keysecure.io", checked.address)
    assert.equal(30, checked.timeout)
    assert.equal("UTC+8", checked.timezone)
  end)

  it("let an address of your own stand for the environment's", function()
    assert.equal("https://x.example:8443/gate",
      options.check(given { address = "https://x.example:8443/gate/" }).address)
  end)

  it("know the emulator's keys, unless you give yours", function()
    local checked = assert(options.check { environment = "emulator" })
    assert.equal("emulator-credit", checked.api_key)
    assert.equal("credit", checked.mode)
    checked = assert(options.check { environment = "emulator", mode = "authorization" })
    assert.equal("emulator-authorization", checked.api_key)
    checked = assert(options.check(given { environment = "emulator" }))
    assert.equal("key", checked.api_key)
    assert.is_nil(checked.mode)
  end)

  it("refuse plain http to another machine", function()
    for _, address in ipairs { "http://openplatform.keysecure.io", "http://localhost.evil.example",
      "http://127.0.0.1.evil.example", "http://127evil.example", "http://10.0.0.1" } do
      assert.equal("address", fault { address = address })
    end
    for _, address in ipairs { "http://127.0.0.1:8787", "http://localhost", "http://[::1]:80",
      "http://127.1.2.3/x" } do
      assert(options.check(given { address = address }), address)
    end
    local long = "https://" .. ("x"):rep(504)
    assert(options.check(given { address = long }))
    assert.equal("address", fault { address = long .. "x" })
  end)

  it("refuse addresses that hide something", function()
    for _, address in ipairs { "", "openplatform.keysecure.io", "ftp://x", "https://",
      "https://u:p@x", "https://x?y", "https://x#y", "https://x\r\nA: b", "https://x/../y?z",
      "https://x:port" } do
      assert.equal("address", fault { address = address }, address)
    end
  end)

  it("name the one at fault", function()
    assert.equal("environment", fault { environment = "prod" })
    assert.equal("mode", fault { mode = "CREDIT" })
    assert.equal("api_key", fault { api_key = "a b" })
    assert.equal("api_key", fault { api_key = "a\r\nb" })
    assert.equal("api_key", fault { api_key = "(none)" })
    assert.equal("api_secret", fault { api_secret = "(none)" })
    assert.equal("environment", fault { environment = "(none)" })
    assert.equal("timezone", fault { timezone = "Europe/Berlin" })
    assert.equal("language", fault { language = "de" })
    assert.equal("timeout", fault { timeout = 0 })
    assert.equal("timeout", fault { timeout = 0 / 0 })
    assert.equal("connect_timeout", fault { connect_timeout = -1 })
    assert.equal("max_response", fault { max_response = 0 })
    for _, count in ipairs { 0, 1.5, 65536, 0 / 0 } do
      assert.equal("max_connections", fault { max_connections = count })
    end
    assert.equal("secret_encoding", fault { secret_encoding = "latin1" })
  end)

  it("raise for what isn't an option, and for wrong types", function()
    local _, message = pcall(options.check, given { time_out = 3 })
    assert.is_truthy(message:find("no option 'time_out'; did you mean 'timeout'?", 1, true))
    _, message = pcall(options.check, given { timeout = "3" })
    assert.is_truthy(message:find("option timeout: number expected, got string", 1, true))
    assert.has_error(function()
      options.check "sandbox"
    end)
  end)
end)
