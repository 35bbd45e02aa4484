-- lua/keysecure/signature.lua, csrc/core/signature.c, canonical.c, java.c.
local cjson = require "cjson"
local core = require "keysecure.core"
local errors = require "keysecure.errors"
local signature = require "keysecure.signature"

local APP, STAMP, SECRET = "app", "1726063391846", "0123456789abcdef"

local vectors = {} -- computed by fastjson 1.2.83 and 2.x themselves
for line in io.lines "spec/vectors/callback-signatures.jsonl" do
  vectors[#vectors + 1] = cjson.decode(line)
end

-- What the nested value `json` becomes.
local function canonical(json, order)
  local text, err = signature.canonical('{"":[' .. json .. "]}",
    { app_id = "", timestamp = "", order = order })
  return text and assert(text:match "^=%[(.*)%]&appId=&timestamp=$"), err
end

local function top(json, order)
  return signature.canonical(json, { app_id = APP, timestamp = STAMP, order = order })
end

local function assert_error(kind, field, message, ok, err)
  assert.is_nil(ok)
  assert.is_true(errors.is(err))
  assert.same({ kind, field }, { err.kind, err.field })
  assert.truthy(err.message:find(message, 1, true), err.message)
  assert.falsy(tostring(err):find(SECRET, 1, true))
  assert.is_nil(core.openssl_error())
end

describe("vectors", function()
  it("are all there", function()
    assert.equal(160, #vectors)
  end)

  for _, vector in ipairs(vectors) do
    for _, order in ipairs { "document", "hash" } do
      -- Where the data holds a number with an exponent, fastjson 2.x is not specified: no vector.
      local wanted = vector[order .. "_order"]
      if wanted then
        it(vector.name .. " in " .. order .. " order", function()
          local options = { app_id = vector.app_id, timestamp = vector.timestamp, order = order }
          assert.equal(wanted.canonical, signature.canonical(vector.data, options))
          options.secret = vector.secret
          assert.equal(wanted.signature, signature.sign(vector.data, options))
          options.order = nil
          assert.is_true(signature.verify(vector.data, wanted.signature, options))

          local signer = assert(signature.new {
            app_id = vector.app_id,
            secret = vector.secret,
          })
          assert.equal(wanted.canonical, signer:canonical(vector.data, vector.timestamp, order))
          assert.equal(wanted.signature, signer:sign(vector.data, vector.timestamp, order))
          assert.is_true(signer:verify(vector.data, wanted.signature, vector.timestamp))
        end)
      else
        it(vector.name .. " has no known " .. order .. " order", function()
          assert.equal("document", order)
          assert.truthy(vector.data:find "%d[eE][+-]?%d")
        end)
      end
    end
  end
end)

describe("the top level", function()
  it("adds appId and timestamp, sorts, leaves nulls out", function()
    assert.equal("appId=app&timestamp=" .. STAMP, top "{}")
    assert.equal("a=1&appId=app&b=&timestamp=" .. STAMP .. "&z=true",
      top '{"z":true,"b":"","n":null,"a":1}')
  end)

  it("writes strings as they are and values compactly", function()
    assert.equal('appId=app&o={"a":[1,null,{}]}&s=a"\\\n&=/\0&timestamp=' .. STAMP,
      top [=[{"s":"a\"\\\n&=\/\u0000","o" : { "a" : [ 1 , null , { } ] } }]=])
  end)

  it("lets a member of the data win over the header", function()
    assert.equal("appId=mine&timestamp=12.50", top '{"timestamp":12.50,"appId":"mine"}')
    assert.equal("appId=b&timestamp=" .. STAMP, top '{"appId":"a","appId":"b"}')
  end)

  it("does not let a null win over the header", function()
    assert.equal("appId=app&timestamp=" .. STAMP, top '{"appId":null,"timestamp":null}')
    assert.equal("appId=app&timestamp=" .. STAMP, top '{"appId":"a","appId":null}')
    assert.equal("appId=a&timestamp=" .. STAMP, top '{"appId":null,"appId":"a"}')
  end)

  it("takes the last of duplicates, however they are written", function()
    assert.equal("a=3&appId=app&timestamp=" .. STAMP, top [=[{"a":1,"\u0061":2,"a":3}]=])
    assert.equal("appId=app&timestamp=" .. STAMP, top '{"a":1,"a":null}')
    assert.equal("a=1&appId=app&timestamp=" .. STAMP, top '{"a":null,"a":1}')
  end)

  it("sorts by UTF-16 code unit", function()
    -- U+10000 and U+1F600 come before U+E000 and U+FB00, though after them in UTF-8
    local keys = { "", "A", "a", "ab", "\127", "é", "中", "\237\159\191", "\240\144\128\128", "😀",
      "\244\143\191\191", "\238\128\128", "ﬀ", "\239\191\191" }
    local members = {}
    for i = #keys, 1, -1 do
      members[#members + 1] = ('"k%s":%d'):format(keys[i], i)
    end
    local text = top("{" .. table.concat(members, ",") .. "}")
    local found = {}
    for value in text:gmatch "k[^=]*=(%d+)" do
      found[#found + 1] = tonumber(value)
    end
    assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14 }, found)
  end)

  it("sorts many members as it sorts few", function()
    local members, wanted = {}, {}
    for i = 1, 500 do
      members[i] = ('"k%03d":%d'):format((i * 7) % 500, i)
      wanted[(i * 7) % 500 + 1] = ("k%03d=%d"):format((i * 7) % 500, i)
    end
    assert.equal("appId=app&" .. table.concat(wanted, "&") .. "&timestamp=" .. STAMP,
      top("{" .. table.concat(members, ",") .. "}"))
  end)
end)

describe("nested objects", function()
  it("drop null members and keep null elements", function()
    for _, order in ipairs { "document", "hash" } do
      assert.equal('{"c":[null,{},[]]}',
        canonical('{"a":null,"c":[null,{"b":null},[]]}', order))
      assert.equal("{}", canonical('{"a":null}', order))
      assert.equal("[null,null]", canonical("[ null , null ]", order))
    end
  end)

  it("keep the place of the first duplicate and the value of the last", function()
    assert.equal('{"b":3,"a":2}', canonical('{"b":1,"a":2,"b":3}', "document"))
    assert.equal('{"a":2}', canonical('{"b":1,"a":2,"b":null}', "document"))
    assert.equal('{"b":3,"a":2}', canonical('{"b":null,"a":2,"b":3}', "document"))
    assert.equal('{"BB":3,"Aa":2}', canonical('{"BB":1,"Aa":2,"BB":3}', "hash"))
  end)

  -- As java.util.HashMap (OpenJDK 17) prints them.
  for _, case in ipairs {
    { "BBBB AaBB x AaAa BBAa", "x BBBB AaBB AaAa BBAa" }, -- four of one hash: in the text's order
    { "AaAa BBBB", "AaAa BBBB" },
    { "BBBB AaAa", "BBBB AaAa" },
    { "é 😀 中文 ﬀ a", "ﬀ a 中文 😀 é" },
    { "x 😀😀 🎉🎉 🚀x🚀 a😀b😀 💳💳 🏦🏦", "🎉🎉 x 🚀x🚀 🏦🏦 a😀b😀 😀😀 💳💳" },
    { "k1 k2 k3 k4 k5 k6 k7 k8 k9 k10 k11 k12",
      "k1 k2 k3 k4 k5 k11 k6 k10 k7 k8 k12 k9" },
    { "k1 k2 k3 k4 k5 k6 k7 k8 k9 k10 k11 k12 k13", -- the table has doubled
      "k1 k2 k3 k4 k5 k11 k6 k10 k7 k13 k8 k12 k9" },
    { "k1 k2 k3 k4 k5 k6 k7 k8 k9 k10 k11 k12 k13 k14 k15 k16 k17 k18 k19 k20 k21 k22 k23 k24",
      "k1 k2 k3 k20 k4 k5 k11 k22 k6 k10 k21 k7 k13 k24 k8 k12 k23 k9 k15 k14 k17 k16 k19 k18" },
    { "k1 k2 k3 k4 k5 k6 k7 k8 k9 k10 k11 k12 k13 k14 k15 k16 k17 k18 k19 k20 k21 k22 k23 k24 "
        .. "k25",
      "k11 k10 k13 k12 k15 k14 k17 k16 k19 k18 k1 k2 k3 k20 k4 k5 k22 k6 k21 k7 k24 k8 k23 k9 "
        .. "k25" },
  } do
    it("in hash order: " .. case[1], function()
      local function object(keys)
        return "{" .. keys:gsub("%S+", '"%0":0'):gsub(" ", ",") .. "}"
      end
      assert.equal(object(case[2]), canonical(object(case[1]), "hash"))
      assert.equal(object(case[1]), canonical(object(case[1]), "document"))
    end)
  end

  -- "U" and "e" share a bucket of 16, and go to two, "e" first, when there are 32.
  it("count null members for Java's table, and duplicates once", function()
    local function filled(count, member)
      local members = {}
      for i = 1, count do
        members[i] = member:format(i)
      end
      return canonical('{"U":0,"e":0,' .. table.concat(members, ",") .. "}", "hash")
    end
    assert.equal('{"U":0,"e":0}', filled(10, '"n%d":null'))
    assert.equal('{"e":0,"U":0}', filled(11, '"n%d":null'))
    assert.equal('{"U":0,"e":0}', filled(20, '"e":0'))
  end)
end)

describe("numbers", function()
  it("in document order stay as written, but for the sign of zero", function()
    for written, wanted in pairs { ["0"] = "0", ["-0"] = "0", ["12.50"] = "12.50",
      ["-1.10"] = "-1.10", ["0.0000001"] = "0.0000001", ["-0.00"] = "0.00", ["-0.01"] = "-0.01",
      ["1E+2"] = "1E+2", ["1.50e1"] = "1.50e1", ["-0e5"] = "0e5", ["-1e0"] = "-1e0",
      ["9007199254740993"] = "9007199254740993", ["-9007199254740993"] = "-9007199254740993",
      ["1e99999999999"] = "1e99999999999" } do
      assert.equal(wanted, canonical(written, "document"))
    end
  end)

  -- As java.math.BigDecimal (OpenJDK 17) prints them.
  it("in hash order are BigDecimal's", function()
    for _, case in ipairs {
      { "12.50", "12.50" }, { "0.0000001", "1E-7" }, { "0.000001", "0.000001" },
      { "-0.00", "0.00" }, { "-0.0", "0.0" }, { "0E-8", "0E-8" }, { "1E+2", "1E+2" },
      { "1e2", "1E+2" }, { "1.50E+1", "15.0" }, { "1.5e1", "15" }, { "15e-1", "1.5" },
      { "123e-9", "1.23E-7" }, { "-1.23e-10", "-1.23E-10" }, { "1e0", "1" }, { "0e0", "0" },
      { "0e5", "0E+5" }, { "-0e5", "0E+5" }, { "0.0e-7", "0E-8" }, { "0.0010", "0.0010" },
      { "100e-2", "1.00" }, { "1.0e10", "1.0E+10" }, { "0.1e-6", "1E-7" },
      { "9.99e-7", "9.99E-7" }, { "1E-0000000000005", "0.00001" },
      { "12345678901234567890.123", "12345678901234567890.123" },
      { "1e2147483647", "1E+2147483647" }, { "1e-2147483647", "1E-2147483647" },
      { "10e2147483647", "1.0E+2147483648" },
      -- integers are no BigDecimal
      { "-0", "0" }, { "0", "0" }, { "123456789012345678901234567890",
        "123456789012345678901234567890" }, { "-7", "-7" },
    } do
      assert.equal(case[2], canonical(case[1], "hash"))
    end
  end)

  it("beyond BigDecimal are refused in hash order", function()
    for _, number in ipairs { "1e2147483648", "1e-2147483648", "1.5e-2147483648", "1e99999999999",
      "1e" .. ("9"):rep(1000) } do
      assert_error("invalid", "data", "exponent is out of range (at byte 6)",
        canonical(number, "hash"))
    end
  end)

  it("never pass through a float", function()
    local digits = ("1234567890"):rep(20)
    for _, order in ipairs { "document", "hash" } do
      assert.equal(digits, canonical(digits, order))
      assert.equal(digits .. "." .. digits, canonical(digits .. "." .. digits, order))
    end
  end)
end)

describe("nested strings", function()
  it("in document order escape what must be", function()
    assert.equal([=["\"\\\b\f\n\r\t/\u0000\u000b\u001f]=] .. "\127\194\128é\226\128\168" .. '"',
      canonical([=["\"\\\b\f\n\r\t\/\u0000\u000B\u001F\u007f\u0080\u00e9\u2028"]=], "document"))
    assert.equal('"\127\226\128\168"', canonical('"\127\226\128\168"', "document"))
  end)

  it("in hash order escape more, in capitals", function()
    assert.equal([=["\"\\\b\f\n\r\t/\u0000\u000B\u001F\u007F\u0080\u009F]=] .. "\194\160é"
      .. [=[\u2028\u2029]=] .. '\226\128\170"',
      canonical([=["\"\\\b\f\n\r\t\/\u0000\u000b\u001f\u007f\u0080\u009f\u00a0\u00e9]=]
        .. [=[\u2028\u2029\u202a"]=], "hash"))
    assert.equal([=["\u007F\u0085\u2028"]=], canonical('"\127\194\133\226\128\168"', "hash"))
  end)

  it("include the keys", function()
    assert.equal([=[{"a\n\u0001\"é":0}]=], canonical([=[{"a\n\u0001\"\u00e9":0}]=], "document"))
    assert.equal([=[{"\u007F":0}]=], canonical('{"\127":0}', "hash"))
  end)
end)

describe("verify", function()
  local data = '{"amount":12.50,"info":{"merchant_mcc":"5814","country":"NL","city":"A"},"n":1}'
  local options = { app_id = APP, timestamp = STAMP, secret = SECRET }
  local signer = assert(signature.new { app_id = APP, secret = SECRET })
  local document = signer:sign(data, STAMP)
  local hash = signer:sign(data, STAMP, "hash")

  it("takes both orders, which differ, and signs in document order unless told", function()
    assert.not_equal(document, hash)
    assert.equal(document, signer:sign(data, STAMP, "document"))
    assert.equal(document, signature.sign(data, options))
    for _, hex in ipairs { document, hash } do
      assert.is_true(signature.verify(data, hex, options))
      assert.is_true(signer:verify(data, hex, STAMP))
    end
  end)

  it("agrees with openssl, for keys of every length around a block", function()
    for _, size in ipairs { 1, 63, 64, 65, 200 } do
      local secret = ("k"):rep(size)
      local text = signature.canonical(data, { app_id = APP, timestamp = STAMP })
      local pipe = io.popen(("printf %%s '%s' | openssl dgst -sha256 -hmac %s")
        :format(text, secret))
      local wanted = pipe:read("*a"):match "%x+%s*$":gsub("%s", "")
      pipe:close()
      assert.equal(wanted, signature.sign(data,
        { app_id = APP, timestamp = STAMP, secret = secret }))
    end
  end)

  it("refuses every signature with one bit changed", function()
    for _, hex in ipairs { document, hash } do
      for i = 1, #hex do
        for bit = 0, 7 do
          local byte, mask = hex:byte(i), 2 ^ bit
          local flipped = byte + (math.floor(byte / mask) % 2 == 0 and mask or -mask)
          local changed = hex:sub(1, i - 1) .. string.char(flipped) .. hex:sub(i + 1)
          local ok, err = signer:verify(data, changed, STAMP)
          assert.is_nil(ok)
          assert.same({ "crypto", "signature" }, { err.kind, err.field })
        end
      end
    end
  end)

  it("refuses every change of data, timestamp, app and secret", function()
    local function flips(text, check)
      for i = 1, #text do
        for bit = 0, 7 do
          local byte, mask = text:byte(i), 2 ^ bit
          local flipped = byte + (math.floor(byte / mask) % 2 == 0 and mask or -mask)
          check(text:sub(1, i - 1) .. string.char(flipped) .. text:sub(i + 1))
        end
      end
    end
    for _, hex in ipairs { document, hash } do
      flips(data, function(changed) assert.is_nil((signer:verify(changed, hex, STAMP))) end)
      flips(STAMP, function(changed) assert.is_nil((signer:verify(data, hex, changed))) end)
      flips(APP, function(changed)
        assert.is_nil((signature.verify(data, hex,
          { app_id = changed, timestamp = STAMP, secret = SECRET })))
      end)
      flips(SECRET, function(changed)
        assert.is_nil((signature.verify(data, hex,
          { app_id = APP, timestamp = STAMP, secret = changed })))
      end)
    end
  end)

  it("says the same whichever order came closer", function()
    local _, first = signer:verify(data, ("0"):rep(64), STAMP)
    local _, second = signer:verify(data, hash:sub(1, 63) .. (hash:sub(64) == "0" and "1" or "0"),
      STAMP)
    assert.equal(tostring(first), tostring(second))
    assert_error("crypto", "signature", "the signature does not match", nil, first)
  end)

  it("takes 64 lower-case digits only", function()
    local message = "the signature is not 64 lower-case hex digits"
    for _, hex in ipairs { "", document:sub(1, 63), document .. "0", document:upper(),
      document .. document, document:sub(1, 63) .. "g", document:sub(1, 63) .. "\0",
      " " .. document:sub(2), document .. "\n", ("x"):rep(64), "0x" .. document:sub(3),
      ("\255"):rep(64) } do
      assert_error("crypto", "signature", message, signer:verify(data, hex, STAMP))
    end
  end)

  it("refuses missing headers", function()
    assert_error("crypto", "signature", "there is none", signer:verify(data, nil, STAMP))
    assert_error("crypto", "timestamp", "there is none", signer:verify(data, document, nil))
    assert_error("crypto", "signature", "there is none", signature.verify(data, nil, options))
    assert_error("crypto", "timestamp", "there is none",
      signature.verify(data, document, { app_id = APP, secret = SECRET }))
  end)

  it("goes on after refusals", function()
    for _ = 1, 3 do
      assert.is_nil((signer:verify("{", document, STAMP)))
      assert.is_nil((signer:verify(data, ("0"):rep(64), STAMP)))
      assert.is_true(signer:verify(data, hash, STAMP))
      assert.is_true(signer:verify(data, document, STAMP))
    end
  end)

  it("does not accept an empty secret", function()
    assert_error("invalid", "secret", "empty", signature.new { app_id = APP, secret = "" })
    assert_error("invalid", "secret", "empty",
      signature.sign(data, { app_id = APP, timestamp = STAMP, secret = "" }))
    assert_error("invalid", "secret", "empty",
      signature.verify(data, document, { app_id = APP, timestamp = STAMP, secret = "" }))
  end)
end)

describe("hostile data", function()
  local signer = assert(signature.new { app_id = APP, secret = SECRET })
  local zeros = ("0"):rep(64)

  local function refused(data, message)
    for _, order in ipairs { "document", "hash" } do
      assert_error("invalid", "data", message, signer:canonical(data, STAMP, order))
      assert_error("invalid", "data", message, signer:sign(data, STAMP, order))
    end
    assert_error("invalid", "data", message, signer:verify(data, zeros, STAMP))
  end

  -- Both orders at work, in time that does not depend on who chose the keys.
  local function swallowed(data)
    local started = os.clock()
    assert.is_nil((signer:verify(data, zeros, STAMP)))
    for _, order in ipairs { "document", "hash" } do
      assert.is_true(signer:verify(data, signer:sign(data, STAMP, order), STAMP))
    end
    assert.is_true(os.clock() - started < 5) -- quadratic work takes minutes
  end

  local function object(count, key)
    local members = {}
    for i = 1, count do
      members[i] = ('"%s":%d'):format(key(i), i % 10)
    end
    return "{" .. table.concat(members, ",") .. "}"
  end

  it("gives clear errors", function()
    refused("", "the text ends where a value should be (at byte 1)")
    refused("[]", "an object should be here")
    refused('"text"', "an object should be here")
    refused("null", "an object should be here")
    refused("{", "(at byte 2)")
    refused('{"a":1}x', "something follows the value (at byte 8)")
    refused('{"a":"\255"}', "not UTF-8 (at byte 7)")
    refused('{"\192\128":1}', "not UTF-8 (at byte 3)")
    refused([=[{"a":"\ud800"}]=], "half of a surrogate pair (at byte 7)")
    refused([=[{"\udc00":1}]=], "half of a surrogate pair (at byte 3)")
    refused('{"a":"\0"}', "a control character inside a string (at byte 7)")
    refused("\0", "not a JSON value (at byte 1)")
    refused('{"a":' .. ("["):rep(100000), "nested too deeply (at byte 69)")
    refused('{"a":"' .. ("x"):rep(256 * 1024) .. '"}', "the data is too large")
  end)

  it("nested to the limit is signed", function()
    swallowed('{"a":' .. ("["):rep(63) .. ("]"):rep(63) .. "}")
    swallowed(('{"a":'):rep(64) .. "1" .. ("}"):rep(64))
  end)

  it("with zero bytes is signed whole", function()
    assert.not_equal(signer:sign([=[{"a":"x\u0000y"}]=], STAMP),
      signer:sign([=[{"a":"x\u0000z"}]=], STAMP))
  end)

  it("with thousands of colliding keys takes no longer", function()
    -- each key is 12 pairs of Aa or BB: one hash for all of Java's strings
    local function collide(i)
      local parts = {}
      for bit = 0, 11 do
        parts[bit + 1] = math.floor(i / 2 ^ bit) % 2 == 0 and "Aa" or "BB"
      end
      return table.concat(parts)
    end
    local data = object(4096, collide)
    swallowed('{"o":' .. data .. "}")
    swallowed(data)
  end)

  it("with thousands of equal, falling or long-prefixed keys takes no longer", function()
    for _, key in ipairs {
      function() return "" end,
      function() return [=[\u0061]=] end,
      function(i) return i % 2 end,
      function(i) return ("%05d"):format(50000 - i) end,
      function(i) return ("p"):rep(30) .. i end,
      function(i) return [=[\u00e9]=] .. i end,
    } do
      local data = object(5000, key)
      swallowed(data)
      swallowed('{"o":' .. data .. "}")
    end
  end)

  it("costs in proportion to its size", function()
    local function cost(count)
      local data = object(count, function(i) return ("%05d"):format(50000 - i) end)
      local best = math.huge
      for _ = 1, 3 do
        local started = os.clock()
        assert.is_nil((signer:verify(data, zeros, STAMP)))
        best = math.min(best, os.clock() - started)
      end
      return best
    end
    local few, many = cost(5000), cost(20000)
    assert.is_true(many < few * 10) -- sorting: 4 to 5; quadratic work: 16
  end)

  it("with ever more escaped keys is read rightly", function()
    for count = 1, 200 do
      local members, wanted = {}, {}
      for i = 1, count do
        members[i] = ([=["k\u0030%04d":%d]=]):format(i, i)
        wanted[i] = ("k0%04d=%d"):format(i, i)
      end
      assert.equal("appId=app&" .. table.concat(wanted, "&") .. "&timestamp=" .. STAMP,
        (signer:canonical("{" .. table.concat(members, ",") .. "}", STAMP)))
      local bare = table.concat(members, ","):gsub("\\u0030", "0")
      assert.equal(signer:sign("{" .. bare .. "}", STAMP),
        signer:sign("{" .. table.concat(members, ",") .. "}", STAMP)) -- on memory used before
    end
  end)

  it("that grows sixfold fits", function()
    swallowed('{"o":"' .. ("\127"):rep(256 * 1024 - 8) .. '"}')
    swallowed('{"o":[' .. ("0,"):rep(120000) .. "0]}")
    swallowed('{"o":' .. ("9"):rep(100000) .. "." .. ("9"):rep(100000) .. "}")
  end)

  it("does not slow down or spoil what comes after it", function()
    local data = '{"a":{"b":1}}'
    local before = signer:sign(data, STAMP)
    swallowed('{"o":[' .. ("0,"):rep(120000) .. "0]}")
    assert.equal(before, signer:sign(data, STAMP))
  end)
end)

describe("misuse of signature", function()
  local signer = assert(signature.new { app_id = APP, secret = SECRET })
  local full = { app_id = APP, timestamp = STAMP, secret = SECRET }

  it("raises, pointing at the line", function()
    for _, case in ipairs {
      { function() signature.sign({}, full) end, "data_json must be a string, not a table" },
      { function() signature.verify(nil, "", full) end, "data_json must be a string, not a nil" },
      { function() signature.verify("{}", 12, full) end, "hex must be a string, not a number" },
      { function() signature.verify("{}", false, full) end, "hex must be a string, not a boolean" },
      { function() signature.sign("{}") end, "the options must be a table, not a nil" },
      { function() signature.canonical("{}", full) end, "unknown option 'secret'" },
      { function() signature.verify("{}", "", { app_id = APP, timestmp = STAMP }) end,
        "unknown option 'timestmp'; did you mean 'timestamp'" },
      { function() signature.sign("{}", { app_id = APP, secret = SECRET }) end,
        "timestamp must be a string" },
      { function() signature.sign("{}", { app_id = APP, secret = SECRET, timestamp = 1 }) end,
        "timestamp must be a string" },
      { function() signature.verify("{}", "", { timestamp = STAMP, secret = SECRET }) end,
        "app_id must be a string" },
      { function() signature.new { app_id = APP } end, "secret must be a string" },
      { function() signer:sign("{}", STAMP, "fastjson") end, "order must be 'document' or 'hash'" },
      { function() signer:canonical("{}", STAMP, 1) end, "order must be 'document' or 'hash'" },
      { function() signer:sign "{}" end, "timestamp must be a string" },
      { function() signer:verify("{}", "", {}) end, "timestamp must be a string" },
      { function() signer.sign("{}", STAMP) end, "use signer:sign%(data_json, …%) with a colon" },
      { function() signer.verify("{}", "", STAMP) end, "use signer:verify" },
      { function() signer.canonical("{}", STAMP) end, "use signer:canonical" },
    } do
      local ok, message = pcall(case[1])
      assert.is_false(ok)
      assert.truthy(message:find("spec/signature_spec.lua:%d+: .*" .. case[2]), message)
    end
  end)

  it("does not crash on a closed or foreign handle", function()
    local handle = core.signer(SECRET)
    local methods = getmetatable(handle)
    methods.__gc(handle)
    methods.__gc(handle)
    assert.error_matches(function() handle:sign("{}", "", "", "hash") end, "closed")
    assert.error(function() methods.sign(io.stdout, "{}", "", "", "hash") end)
  end)

  it("shows no secret", function()
    assert.equal("keysecure.signer", tostring(signer))
    for _, value in pairs(signer) do
      assert.falsy(tostring(value):find(SECRET, 1, true))
    end
  end)
end)

describe("signature.data", function()
  it("is the raw text that was signed", function()
    assert.equal('{"amount": 12.50}',
      (signature.data('{"id":"1","data" : {"amount": 12.50} ,"action":"Auth"}')))
    assert.equal("{}", (signature.data('{"data":7,"d\\u0061ta":{}}')))
  end)

  it("says what a body lacks", function()
    for _, body in ipairs { "", "[]", "{}", '{"data":{}', '{"data":{}}x', "\255" } do
      local data, err = signature.data(body)
      assert.is_nil(data)
      assert.equal("invalid", err.kind)
      assert.equal("data", err.field)
    end
  end)
end)
