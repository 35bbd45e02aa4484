-- The client against the emulator over HTTPS: which server it trusts.
local basexx = require "basexx"
local keysecure = require "keysecure"
local digest = require "openssl.digest"
local pkey = require "openssl.pkey"
local socket = require "cqueues.socket"
local ssl_context = require "openssl.ssl.context"
local support = require "spec.support.client"

local refused = support.refused

-- "sha256//…" of a public key, as curl's CURLOPT_PINNEDPUBLICKEY spells it.
local function pin_of(key)
  local pem = key:toPEM "public"
  local der = basexx.from_base64((pem:gsub("%-%-%-%-%-[^\n]*", ""):gsub("%s", "")))
  return "sha256//" .. basexx.to_base64(digest.new("sha256"):final(der))
end

-- The public key that the server shows.
local function key_of(address)
  local host, port = address:match "^https://([^:]+):(%d+)$"
  local connection = assert(socket.connect { host = host, port = tonumber(port) })
  assert(connection:starttls(ssl_context.new("TLS", false), 10))
  local key = connection:checktls():getPeerCertificate():getPublicKey()
  connection:close()
  return key
end

describe("over HTTPS", function()
  local world

  setup(function()
    world = support.start { tls = true }
  end)
  teardown(function()
    world:stop()
  end)

  -- A call that never came to be sent, and that nothing was repeated of.
  local function not_trusted(changes)
    local ks = world:client(changes)
    local counted = world:counted(function()
      for _, call in ipairs {
        function() return ks.cards:packages() end,
        function() return ks.cards:update_status { card_no = "C1", status = "Frozen" } end,
        function() return ks.simulate:auth { card_no = "C1", amount = "1.00" } end,
      } do
        local err = refused({ kind = "transport", outcome = "not_sent" }, call())
        assert.is_nil(err.http_status)
        assert.is_nil(err.code)
        assert.is_true(#err.message > 0)
      end
    end)
    assert.equal(0, counted.total)
  end

  it("the CA file makes the server trusted", function()
    assert.matches("^https://", world.address)
    local holder = world:holder()
    world:fund(holder, "5.00")
    assert.equal("5.00", assert(holder:refresh()).total_balance)
    local card = world:card("Virtual", world.ks, holder)
    assert.equal(world:plastic(card).pan, assert(card:private_info()).pan)
  end)

  it("many calls go at once, with HTTP/2 and without", function()
    for _, http2 in ipairs { true, false } do
      local options = world:options()
      options.http2 = http2
      local ks = assert(keysecure.new(options))
      local items = {}
      for i = 1, 40 do
        items[i] = i
      end
      local counted = world:counted(function()
        local results, failures = ks:parallel(20, items, function()
          return ks.cards:packages()
        end)
        assert.is_nil(failures)
        assert.equal(40, #results)
      end)
      assert.equal(1, counted.token_requests)
      ks:close()
    end
  end)

  it("an unknown server is sent nothing, and not tried again", function()
    not_trusted { ca_file = false }
  end)

  it("a CA file that isn't there, or is none, trusts nobody", function()
    not_trusted { ca_file = "/nowhere/ca.pem" }
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write "no certificate\n"
    file:close()
    not_trusted { ca_file = path }
    os.remove(path)
  end)

  it("another name than the certificate's is refused", function()
    local port = world.address:match ":(%d+)$"
    not_trusted { address = "https://127.0.0.2:" .. port }
  end)

  it("the pinned key must be the server's", function()
    local pin = pin_of(key_of(world.address))
    assert.equal(3, #assert(world:client { pinned_key = pin }.cards:packages()))
    local other = pin_of(pkey.new { type = "EC", curve = "prime256v1" })
    not_trusted { pinned_key = other }
    assert.equal(3, #assert(world:client { pinned_key = other .. ";" .. pin }.cards:packages()))
    -- A pin is no trust in itself.
    not_trusted { pinned_key = pin, ca_file = false }
  end)

  it("plain HTTP to the same port is no answer", function()
    local ks = world:client { address = world.address:gsub("^https", "http"), ca_file = false,
      timeout = 0.5 }
    local _, err = ks.cards:packages()
    assert.is_true(err.kind == "transport" or err.kind == "protocol" or err.kind == "timeout",
      err.kind)
    assert.is_nil(err.code)
  end)
end)
