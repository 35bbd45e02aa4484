-- lua/keysecure/cipher.lua, csrc/core/cipher.c, csrc/core/base64.c.
local cipher = require "keysecure.cipher"
local core = require "keysecure.core"
local errors = require "keysecure.errors"
local nist = dofile "spec/vectors/aes-ecb.lua"

local KEY = "0123456789abcdef"

local function from_hex(hex)
  return (hex:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

local function to_hex(bytes)
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

-- Base64 as openssl has it, so that our codec is not tested with itself.
local function filter(command, input)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(input)
  file:close()
  local pipe = assert(io.popen("{ " .. command .. "; } < " .. path, "r"))
  local output = pipe:read "*a"
  pipe:close()
  os.remove(path)
  return output
end

local function base64_of(bytes)
  return filter("openssl base64 -A", bytes)
end

local function random_text(size)
  local bytes = {}
  for i = 1, size do
    bytes[i] = string.char(math.random(0, 255))
  end
  return table.concat(bytes)
end

local function assert_refused(message, ok, err)
  assert.is_nil(ok)
  assert.is_true(errors.is(err))
  assert.equal("crypto", err.kind)
  assert.equal(message, err.message)
  assert.is_nil(core.openssl_error())
end

describe("cipher", function()
  after_each(function()
    assert.is_nil(core.openssl_error()) -- each function leaves the queue empty
  end)

  it("agrees with the platform's published example", function()
    local c = assert(cipher.new(KEY))
    assert.equal("zNkSeANebsT6uK05MK4mkA==", c:encrypt "123")
    assert.same({ true, "123" }, { c:decrypt "zNkSeANebsT6uK05MK4mkA==" })
  end)

  for _, vector in ipairs(nist) do
    it("gives NIST's known answer " .. vector.name, function()
      local c = assert(cipher.new(vector.key, { encoding = "hex" }))
      local plain = from_hex(nist.plain)
      local base64 = c:encrypt(plain)
      local bytes = filter("openssl base64 -d -A", base64)
      assert.equal(#plain + 16, #bytes)
      assert.equal(vector.blocks, to_hex(bytes:sub(1, #plain)))
      assert.same({ true, plain }, { c:decrypt(base64) })
    end)
  end

  it("agrees with openssl enc on random texts", function()
    local seed = os.time()
    math.randomseed(seed)
    for bits, size in pairs { [128] = 16, [192] = 24, [256] = 32 } do
      for _, length in ipairs { 0, 1, 15, 16, 17, math.random(18, 400), 5000 } do
        local key, text = random_text(size), random_text(length)
        local options = (" -aes-%d-ecb -K %s"):format(bits, to_hex(key))
        local c = assert(cipher.new(key))
        local said = ("seed %d, %d bits, %d bytes"):format(seed, bits, length)
        local base64 = filter("openssl enc" .. options .. " | openssl base64 -A", text)
        assert(base64 == c:encrypt(text), said)
        local ok, opened = c:decrypt(base64)
        assert(ok and opened == text, said)
      end
    end
  end)

  it("is used many times, and goes on after a failure", function()
    local c = assert(cipher.new(KEY))
    for i = 1, 200 do
      local text = ("x"):rep(i * 7 % 300)
      local base64 = c:encrypt(text)
      assert.is_nil((c:decrypt "zNkSeANebsT6uK05MK4mkQ=="))
      assert.same({ true, text }, { c:decrypt(base64) })
    end
  end)

  it("takes a mebibyte and not a byte more", function()
    local c = assert(cipher.new(KEY))
    local most = ("m"):rep(1024 * 1024)
    local ok, text = c:decrypt(assert(c:encrypt(most)))
    assert.is_true(ok and text == most)
    assert_refused("too large", c:encrypt(most .. "m"))
    assert_refused("too large", c:decrypt(("AAAA"):rep(400000)))
  end)
end)

describe("cipher keys", function()
  it("are the secret's bytes, unless Base64 or hex is named [A6]", function()
    local base64, hex = base64_of(KEY), to_hex(KEY)
    local wanted = assert(cipher.new(KEY)):encrypt "123"
    assert.equal(wanted, assert(cipher.new(KEY, {})):encrypt "123")
    assert.equal(wanted, assert(cipher.new(KEY, { encoding = "utf8" })):encrypt "123")
    assert.equal(wanted, assert(cipher.new(base64, { encoding = "base64" })):encrypt "123")
    assert.equal(wanted, assert(cipher.new(hex, { encoding = "hex" })):encrypt "123")
    assert.equal(wanted, assert(cipher.new(hex:upper(), { encoding = "hex" })):encrypt "123")
    -- 24 and 32 characters are keys in their own right
    assert.not_equal(wanted, assert(cipher.new(base64)):encrypt "123")
    assert.not_equal(wanted, assert(cipher.new(hex)):encrypt "123")
  end)

  it("of another length are refused, the three readings named and the secret not", function()
    for size = 0, 70 do
      local secret = ("deadbeefCAFE+/zz"):rep(5):sub(1, size)
      for _, encoding in ipairs { "utf8", "base64", "hex" } do
        local c, err = cipher.new(secret, { encoding = encoding })
        if not c then
          assert.is_true(errors.is(err))
          assert.same({ "invalid", "api_secret", "not_sent" }, { err.kind, err.field, err.outcome })
          for _, reading in ipairs { "utf8: ", "base64: ", "hex: " } do
            assert.truthy(err.message:find(reading, 1, true))
          end
          assert.falsy(size > 3 and tostring(err):find(secret:sub(1, 4), 1, true))
        end
        if encoding == "utf8" then
          assert.equal(size == 16 or size == 24 or size == 32, c ~= nil)
        end
      end
    end
  end)

  it("say what each reading would give", function()
    local _, err = cipher.new "not a key"
    assert.truthy(err.message:find("utf8: 9 bytes, base64: not possible, hex: not possible", 1,
      true))
    _, err = cipher.new(to_hex(KEY), { encoding = "base64" })
    assert.truthy(err == nil) -- 32 digits of hex are also 24 bytes of Base64
    _, err = cipher.new "00112233"
    assert.truthy(err.message:find("utf8: 8 bytes, base64: 6 bytes, hex: 4 bytes", 1, true))
  end)
end)

describe("cipher:decrypt", function()
  local c = assert(cipher.new(KEY))
  local sealed = c:encrypt '{"pan":"4111111111111111","cvv":"123"}' -- three blocks

  it("refuses what is not strict Base64", function()
    for _, text in ipairs { "A", "AA", "AAA", "AAAAA", "A===", "====", "AA=A", "AAA=AAAA", "=AAA",
      "AAAA====", sealed:sub(1, -2), sealed .. "=", sealed .. "\n", " " .. sealed, sealed .. "\0",
      sealed:sub(1, 32) .. "\n" .. sealed:sub(33), (sealed:gsub("^.", "-")),
      (sealed:gsub("^.", "_")), (sealed:gsub("^.", "\255")), (sealed:gsub("^.", "=")),
      "AAB=", "AB==", "not Base64!!" } do
      assert_refused("not Base64", c:decrypt(text))
    end
  end)

  it("refuses what is not whole blocks", function()
    for _, size in ipairs { 0, 1, 2, 15, 17, 31, 33 } do
      assert_refused("ciphertext is not whole blocks of 16 bytes",
        c:decrypt(base64_of(("x"):rep(size))))
    end
  end)

  it("refuses a cut or prolonged ciphertext", function()
    local bytes = filter("openssl base64 -d -A", sealed)
    assert.equal(48, #bytes)
    for _, damaged in ipairs { bytes:sub(1, 32), bytes:sub(1, 16), bytes .. bytes:sub(1, 16),
      bytes .. ("\0"):rep(16) } do
      assert_refused("wrong key or damaged ciphertext", c:decrypt(base64_of(damaged)))
    end
  end)

  it("refuses another key's ciphertext", function()
    local other = assert(cipher.new "0123456789abcdeg")
    assert_refused("wrong key or damaged ciphertext", other:decrypt(sealed))
  end)
end)

describe("misuse of cipher", function()
  local c = assert(cipher.new(KEY))

  it("raises, pointing at the line", function()
    for _, case in ipairs {
      { function() cipher.new() end, "the secret must be a string, not a nil" },
      { function() cipher.new(12) end, "the secret must be a string, not a number" },
      { function() cipher.new(KEY, "hex") end, "the options must be a table, not a string" },
      { function() cipher.new(KEY, { encodng = "hex" }) end,
        "unknown option 'encodng'; did you mean 'encoding'" },
      { function() cipher.new(KEY, { encoding = "HEX" }) end,
        "must be 'utf8', 'base64' or 'hex'" },
      { function() cipher.new(KEY, { encoding = 16 }) end, "must be 'utf8', 'base64' or 'hex'" },
      { function() c.encrypt "123" end, "use cipher:encrypt%(text%) with a colon" },
      { function() c.decrypt "123" end, "use cipher:decrypt%(base64%) with a colon" },
      { function() c:encrypt(123) end, "the text must be a string, not a number" },
      { function() c:decrypt() end, "the base64 must be a string, not a nil" },
    } do
      local ok, message = pcall(case[1])
      assert.is_false(ok)
      assert.truthy(message:find("spec/cipher_spec.lua:%d+: .*" .. case[2]), message)
    end
  end)

  it("does not crash on a closed or foreign handle", function()
    local handle = core.cipher(KEY, "utf8")
    local methods = getmetatable(handle)
    methods.__gc(handle)
    methods.__gc(handle)
    assert.error_matches(function() handle:encrypt "x" end, "closed")
    assert.error(function() methods.encrypt(io.stdout, "x") end)
    assert.error(function() methods.__gc {} end)
  end)
end)

describe("a cipher", function()
  it("shows no secret", function()
    local c = assert(cipher.new(KEY))
    assert.equal("keysecure.cipher", tostring(c))
    for _, value in pairs(c) do
      assert.falsy(tostring(value):find(KEY, 1, true))
    end
  end)
end)
