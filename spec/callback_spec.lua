-- csrc/core/callback.c, mac.c and csrc/lua/values.c, through core.verifier.
local cjson = require "cjson"
local core = require "keysecure.core"
local signature = require "keysecure.signature"

local APP, SECRET, STAMP = "app", "0123456789abcdef", "1763880000500"

local function sign(data, options)
  options = options or {}
  return assert(signature.sign(data, { app_id = options.app_id or APP,
    timestamp = options.timestamp or STAMP, secret = options.secret or SECRET,
    order = options.order }))
end

local function body_of(data)
  return '{"id":"1","action":"Auth","data":' .. data .. "}"
end

local function read(data, options)
  return core.verifier(APP, SECRET):read(body_of(data), sign(data, options), STAMP)
end

local function assert_refused(field, message, ok, why, whose)
  assert.is_nil(ok)
  assert.equal(field, whose)
  assert.truthy(why:find(message, 1, true), why)
  assert.is_nil(core.openssl_error())
end

describe("a verifier", function()
  it("believes every vector, in both orders", function()
    local count = 0
    for line in io.lines "spec/vectors/callback-signatures.jsonl" do
      local vector = cjson.decode(line)
      local verifier = core.verifier(vector.app_id, vector.secret)
      for _, order in ipairs { "document_order", "hash_order" } do
        if vector[order] then
          local data, raw = verifier:read(body_of(vector.data), vector[order].signature,
            vector.timestamp)
          assert.is_table(data, vector.name)
          assert.equal(vector.data, raw)
          count = count + 1
        end
      end
    end
    assert.is_true(count > 300, "checked " .. count)
  end)

  it("gives the members of the body, in any order and the last of two", function()
    local data = '{"a":1}'
    local body = '\n{ "data":{"a":2}, "action" : "Au\\u0074h", "data" : ' .. data
      .. ' ,"x":[{}], "id":"\\"1\\"" } '
    local values, raw, id, action = core.verifier(APP, SECRET):read(body, sign(data), STAMP)
    assert.same({ a = "1" }, values)
    assert.same({ data, '"1"', "Auth" }, { raw, id, action })
  end)

  it("gives nil for an id and an action that are missing or null", function()
    for _, rest in ipairs { "", ',"id":null,"action":null' } do
      local values, raw, id, action = core.verifier(APP, SECRET):read('{"data":{}' .. rest .. "}",
        sign "{}", STAMP)
      assert.same({}, values)
      assert.equal("{}", raw)
      assert.is_nil(id)
      assert.is_nil(action)
    end
  end)

  it("keeps every digit of money, makes integers of times, and loses nothing else", function()
    local values = read [=[{"amount":12.50,"big":123456789012345678901234567890,"e":-1.0E+5,
      "time":1763880000123,"o":{"time":5,"times":6,"x":{}},"list":[1.10,null,"a\n",[],{"t":true}],
      "f":false,"s":"\u00e9\ud83d\ude00","gone":null,"two":1,"two":2,"left":1,"left":null}]=]
    assert.same({
      amount = "12.50", big = "123456789012345678901234567890", e = "-1.0E+5",
      time = 1763880000123, o = { time = 5, times = "6", x = {} },
      list = { "1.10", cjson.null, "a\n", {}, { t = true } },
      f = false, s = "é😀", two = "2",
    }, values)
    if math.type then
      assert.equal("integer", math.type(values.time))
    end
  end)

  it("leaves a time that is no plain integer as its text", function()
    for _, time in ipairs { "1.0", "-1", "1e3", "1234567890123456" } do
      assert.equal(time, read('{"time":' .. time .. "}").time)
    end
    assert.equal("noon", read('{"time":"noon"}').time)
  end)

  it("refuses a signature of other data, another moment, another app or another secret", function()
    local verifier = core.verifier(APP, SECRET)
    for _, case in ipairs { sign '{"a":2}', sign('{"a":1}', { timestamp = "1763880000501" }),
      sign('{"a":1}', { app_id = "apq" }), sign('{"a":1}', { secret = "0123456789abcdeg" }) } do
      assert_refused("signature", "does not match", verifier:read(body_of '{"a":1}', case, STAMP))
    end
    for _, bad in ipairs { "", "x", ("0"):rep(63), ("A"):rep(64), ("0"):rep(65) } do
      assert_refused("signature", "64 lower-case hex digits",
        verifier:read(body_of "{}", bad, STAMP))
    end
  end)

  it("refuses what is no JSON object with an object `data` in it", function()
    local verifier = core.verifier(APP, SECRET)
    for _, body in ipairs { "", "x", "[]", "{}", '{"data":null}', '{"data":[]}', '{"data":"{}"}',
      '{"data":{}}x', '{"data":{}', '{"data":{"a":"\255"}}', ("["):rep(100000),
      '{"data":{},"data":1}', '{"data":' .. ('{"a":'):rep(64) .. "1" .. ("}"):rep(65) } do
      assert_refused("data", "(at byte ", verifier:read(body, ("0"):rep(64), STAMP))
    end
    assert_refused("data", "too large", verifier:read(body_of('{"a":"' .. ("x"):rep(300000)
      .. '"}'), ("0"):rep(64), STAMP))
  end)

  it("refuses a header that the data's own timestamp replaces in what is signed", function()
    for _, data in ipairs { '{"timestamp":1}', '{"timestamp":"1"}', '{"timestamp":{}}' } do
      assert_refused("signature", "does not match", read(data))
    end
    for _, data in ipairs { '{"timestamp":1763880000500}', '{"timestamp":"1763880000500"}',
      '{"timestamp":null}', '{"timestamp":"176388000050\\u0030"}' } do
      assert.is_table((read(data)))
    end
  end)

  it("knows several keys", function()
    local first = core.verifier(APP, "first")
    local both = first:with(nil, "second")
    local all = both:with("other", "third")
    local function knows(verifier, app_id, secret)
      return verifier:read(body_of "{}", sign("{}", { app_id = app_id, secret = secret }), STAMP)
        ~= nil
    end
    for _, case in ipairs {
      { first, APP, "first", true }, { first, APP, "second", false },
      { both, APP, "first", true }, { both, APP, "second", true }, { both, APP, "third", false },
      { all, APP, "first", true }, { all, APP, "second", true }, { all, "other", "third", true },
      { all, "other", "first", false }, { all, APP, "third", false },
    } do
      assert.equal(case[4], knows(case[1], case[2], case[3]))
    end
  end)

  it("takes the order that was right last time first, and still finds the other", function()
    local data = '{"o":{"b":1,"a":{"z":1,"y":2}}}'
    local verifier = core.verifier(APP, SECRET)
    for _, order in ipairs { "hash", "hash", "document", "hash", "document", "document" } do
      assert.is_table((verifier:read(body_of(data), sign(data, { order = order }), STAMP)))
    end
    -- A number that only one order can write does not hide the other.
    local huge = '{"o":[1e99999999999]}'
    assert.is_table((verifier:read(body_of(data), sign(data, { order = "hash" }), STAMP)))
    assert.is_table((verifier:read(body_of(huge), sign(huge), STAMP)))
  end)

  it("raises on misuse and shows no secret", function()
    local verifier = core.verifier(APP, SECRET)
    assert.equal("keysecure.core verifier", tostring(verifier))
    assert.has_error(function() core.verifier(APP, "") end)
    assert.has_error(function() core.verifier(nil, SECRET) end)
    assert.has_error(function() core.verifier(APP, 1) end)
    assert.has_error(function() verifier:with(nil, "") end)
    assert.has_error(function() verifier:read("{}", nil, STAMP) end)
    for _ = 1, 7 do
      verifier = verifier:with(nil, "x")
    end
    local ok, err = pcall(verifier.with, verifier, nil, SECRET)
    assert.is_false(ok)
    assert.falsy(err:find(SECRET, 1, true))
  end)

  it("forgets a monstrous body, and reads the next one", function()
    local verifier = core.verifier(APP, SECRET)
    local data = '{"k":[' .. ('"\\u00e9",'):rep(20000) .. "1]}"
    assert.equal(20001, #verifier:read(body_of(data), sign(data), STAMP).k)
    assert.same({ a = "1" }, (verifier:read(body_of '{"a":1}', sign '{"a":1}', STAMP)))
  end)
end)
