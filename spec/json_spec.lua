-- csrc/core/json.c, through core.check_json and core.read_envelope.
local core = require "keysecure.core"

local DEPTH = 64 -- KS_JSON_DEPTH_MAX

local function nested(open, close, depth)
  return open:rep(depth) .. close:rep(depth)
end

local ACCEPTED = {
  -- any value may stand at the top
  "null", "true", "false", "0", "-0", '""', '"text"', "[]", "{}", "[null]",
  " \t\r\n[ \t\r\n] \t\r\n", '{ "a" : 1 , "b" : [ ] }', '{"a":{}}', "[[],[]]", "[[[]],{}]",
  -- numbers
  "1", "-1", "10", "12.50", "-0.00", "0.1", "1e5", "1E5", "1e+5", "1e-5", "0e0", "0E+1", "-0e-0",
  "1.5e3", "[0,0]", "123456789012345678901234567890", "1e999999999",
  ("9"):rep(5000),
  -- strings
  [=["\"\\\/\b\f\n\r\t"]=], [=["\u0000"]=], [=["\u00e9\u00E9"]=], [=["\ud83d\ude00"]=],
  [=["\uD834\uDD1E"]=], [=["\udbff\udfff"]=], [=["\ud7ff\ue000\uffff"]=], [=["\\u12"]=],
  '"\127"', '"é"', '"€"', '"😀"', '"\194\128"', '"\223\191"', '"\224\160\128"',
  '"\237\159\191"', '"\238\128\128"', '"\239\191\191"', '"\240\144\128\128"',
  '"\244\143\191\191"', '"12345678901234567890"', '"1234567é12345678"', [=["1234567\n12345678"]=],
  '{"":0}', '{"a":1,"a":2}', [=[{"\u0061":1}]=],
  nested("[", "]", DEPTH),
  (nested('{"a":', "}", DEPTH):gsub(":}", ":0}", 1)),
}

-- The text, and the position of the first byte at fault.
local REJECTED = {
  { "", 1 }, { " ", 2 }, { "nul", 1 }, { "nulll", 5 }, { "True", 1 }, { "NaN", 1 },
  { "Infinity", 1 }, { "-Infinity", 2 }, { "undefined", 1 }, { "'a'", 1 }, { "\0", 1 },
  { "1\0", 2 }, { "\239\187\191{}", 1 }, { "\194\160{}", 1 }, { "\f1", 1 }, { "\v1", 1 },
  { "// x\n1", 1 }, { "/**/1", 1 }, { "#1", 1 }, { "1 2", 3 }, { "{}}", 3 }, { "[]]", 3 },
  { "{}x", 3 }, { '""x', 3 },
  -- structure
  { "[", 2 }, { "]", 1 }, { "{", 2 }, { "}", 1 }, { "[1", 3 }, { "[1,", 4 }, { "[1,]", 4 },
  { "[,1]", 2 }, { "[1,,2]", 4 }, { "[1 2]", 4 }, { "[1}", 3 }, { "{]", 2 }, { "[}", 2 },
  { '{"a":1]', 7 }, { '{"a"}', 5 }, { '{"a":}', 6 }, { '{"a":1,}', 8 }, { "{,}", 2 },
  { '{"a" 1}', 6 }, { '{"a"::1}', 6 }, { "{a:1}", 2 }, { "{1:1}", 2 }, { "{null:1}", 2 },
  { '{"a":1 "b":2}', 8 }, { '{"a":1,,"b":2}', 8 }, { '{"a"', 5 }, { '{"a":', 6 },
  { '{"a":1', 7 }, { '{"a":1,', 8 }, { "[:]", 2 }, { "[1:2]", 3 }, { ",", 1 }, { ":", 1 },
  -- numbers
  { "-", 2 }, { "+1", 1 }, { "01", 2 }, { "-01", 3 }, { "00", 2 }, { ".5", 1 }, { "-.5", 2 },
  { "1.", 3 }, { "1.e5", 3 }, { "1e", 3 }, { "1e+", 4 }, { "1e5.5", 4 }, { "1.2.3", 4 },
  { "0x10", 2 }, { "1_000", 2 }, { "1f", 2 }, { "--1", 2 }, { "1e1e1", 4 }, { "[1.]", 4 },
  { "१", 1 },
  -- strings
  { '"', 2 }, { '"a', 3 }, { '"\n"', 2 }, { '"\t"', 2 }, { '"\0"', 2 }, { '"\31"', 2 },
  { '"12345678\0012345678"', 10 }, { [=["\a"]=], 2 }, { [=["\x41"]=], 2 }, { [=["\'"]=], 2 },
  { [=["\"]=], 4 }, { [=["\]=], 2 }, { [=["\u"]=], 2 }, { [=["\u12"]=], 2 }, { [=["\u12g4"]=], 2 },
  { [=["\U0041"]=], 2 }, { [=["\u 041"]=], 2 }, { '"\\u00', 2 }, { '"\\\0"', 2 },
  -- half surrogate pairs, and pairs the wrong way round
  { [=["\ud800"]=], 2 }, { [=["\udc00"]=], 2 }, { [=["\ud83d\u0041"]=], 2 },
  { [=["\ud83d\ud83d\ude00"]=], 2 }, { [=["\ude00\ud83d"]=], 2 }, { [=["\ud83dx"]=], 2 },
  { [=["\ud83d\n"]=], 2 }, { '"\\ud83d\\ude0', 2 },
  -- not UTF-8: lone continuation, cut short, overlong, surrogates, past U+10FFFF, never used
  { '"\128"', 2 }, { '"\191"', 2 }, { '"\195"', 2 }, { '"\226\130"', 2 }, { '"\240\159\152"', 2 },
  { '"\192\128"', 2 }, { '"\193\191"', 2 }, { '"\224\128\128"', 2 }, { '"\224\159\191"', 2 },
  { '"\240\128\128\128"', 2 }, { '"\240\143\191\191"', 2 }, { '"\237\160\128"', 2 },
  { '"\237\191\191"', 2 }, { '"\244\144\128\128"', 2 }, { '"\245\128\128\128"', 2 },
  { '"\254"', 2 }, { '"\255"', 2 }, { '"\195(', 2 }, { '"\226(\161"', 2 }, { '"\226\130(', 2 },
  { '"\240\159\152(', 2 }, { '"ab\195', 4 }, { '{"\255":1}', 3 },
  -- depth
  { nested("[", "]", DEPTH + 1), DEPTH + 1 }, { ("["):rep(100000), DEPTH + 1 },
  { ('{"a":'):rep(DEPTH + 1), DEPTH * 5 + 1 },
}

local function shown(text)
  if #text > 60 then
    text = text:sub(1, 50) .. "… (" .. #text .. " bytes)"
  end
  return (text:gsub("[%z\1-\31\127-\255]", function(c)
    return ("<%02X>"):format(c:byte())
  end))
end

describe("check_json", function()
  for _, text in ipairs(ACCEPTED) do
    it("accepts " .. shown(text), function()
      assert.same({ true }, { core.check_json(text) })
    end)
  end

  for _, case in ipairs(REJECTED) do
    it("refuses " .. shown(case[1]), function()
      local ok, reason, position = core.check_json(case[1])
      assert.is_nil(ok)
      assert.is_string(reason)
      assert.equal(case[2], position)
    end)
  end

  -- Plain bytes are skipped eight at a time: something odd must be seen at each place of a word.
  it("sees every byte of a long string", function()
    for length = 0, 40 do
      for at = 1, length do
        for _, odd in ipairs { "\0", "\31", "\128", "\255", '"', "\\" } do
          local text = '"' .. ("x"):rep(at - 1) .. odd .. ("x"):rep(length - at) .. '"'
          assert.is_nil((core.check_json(text)), shown(text))
        end
      end
    end
  end)

  it("refuses every true beginning of a document", function()
    local text = [=[{"a":[1.5e-3,true,null,"\ud83d\ude00é"],"b":{"c":false}}]=]
    assert.is_true(core.check_json(text))
    for size = 0, #text - 1 do
      assert.is_nil((core.check_json(text:sub(1, size))))
    end
  end)

  it("answers within bounds on any bytes", function()
    local seed = os.time()
    math.randomseed(seed)
    local alphabet = { "{", "}", "[", "]", ",", ":", '"', "\\", "u", "d", "8", "0", "-", ".", "e",
      " ", "null", "true", "\195", "\169", "\237", "\0", '"a"' }
    for _ = 1, 20000 do
      local parts = {}
      for i = 1, math.random(0, 30) do
        parts[i] = alphabet[math.random(#alphabet)]
      end
      local text = table.concat(parts)
      local ok, _, position = core.check_json(text)
      assert(ok or (position >= 1 and position <= #text + 1), "seed " .. seed)
    end
  end)

  it("does not take a number for a text", function()
    assert.error_matches(function() core.check_json(1) end, "string expected")
  end)
end)

describe("read_envelope", function()
  local function read(text)
    return { core.read_envelope(text) }
  end

  it("gives code, message and the lexeme of the data", function()
    assert.same({ 0, '"Success"', '{"amount":12.50}' },
      read '{"code":0,"msg":"Success","data":{"amount":12.50}}')
    assert.same({ 1005, [=["\u9519"]=], "null" },
      read [=[ { "data" : null , "msg" : "\u9519" , "code" : 1005 } ]=])
    assert.same({ 0, '""', '[ 1, {} ]' }, read '{"code":0,"data":[ 1, {} ],"msg":""}')
    assert.same({ 0, '""', '"a\\"b"' }, read [[{"code":0,"data":"a\"b","msg":""}]])
  end)

  it("passes over what it does not know, and over data that is not there", function()
    local code, msg, data = core.read_envelope '{"code":7,"trace":{"code":9},"codes":1,"cod":2}'
    assert.equal(7, code)
    assert.is_nil(msg)
    assert.is_nil(data)
  end)

  it("takes the last of duplicates", function()
    assert.same({ 2, '"b"', "[]" },
      read '{"code":1,"msg":"a","data":{},"code":2,"msg":"b","data":[]}')
    assert.same({ 2, '"b"', "null" }, read '{"code":"x","data":1,"code":2,"msg":"b","data":null}')
  end)

  it("knows its keys when they are escaped", function()
    assert.same({ 3, '"m"', "1" },
      read [=[{"\u0063ode":3,"m\u0073g":"m","dat\u0061":1,"\u0063odex":4,"\u0063od":5}]=])
  end)

  it("takes a message of another type for none", function()
    local code, msg, data = core.read_envelope '{"code":0,"msg":null,"data":1}'
    assert.same({ 0, "1" }, { code, data })
    assert.is_nil(msg)
  end)

  it("takes every code of 32 bits and no other", function()
    for text, code in pairs { ["2147483647"] = 2147483647, ["-2147483648"] = -2147483648,
      ["-0"] = 0 } do
      assert.equal(code, (core.read_envelope('{"code":' .. text .. "}")))
    end
    for _, text in ipairs { "2147483648", "-2147483649", "9223372036854775808", ("9"):rep(400),
      "0.0", "1e3", '"0"', "null", "true", "[]", "{}" } do
      local code, reason, position = core.read_envelope('{"code":' .. text .. "}")
      assert.is_nil(code)
      assert.equal("code is not an integer of 32 bits", reason)
      assert.equal(9, position)
    end
    assert.same({ nil, "code is missing", 1 }, read '{"msg":"","data":{}}')
  end)

  it("refuses what is not one object", function()
    for text, position in pairs { [""] = 1, ["[]"] = 1, ["0"] = 1, ["{"] = 2, ["<html>"] = 1,
      ['{"code":0} {}'] = 12, ['{"code":0,}'] = 11, ['{"code":0'] = 10, ['{"code":0]'] = 10,
      ['{"code":0,"data":{"a":}}'] = 23, ['{"code":0,"data":"\255"}'] = 19 } do
      local code, _, at = core.read_envelope(text)
      assert.is_nil(code)
      assert.equal(position, at, text)
    end
  end)

  it("counts its own level of nesting", function()
    local function with(depth)
      return '{"code":0,"data":' .. nested("[", "]", depth) .. "}"
    end
    assert.equal(0, (core.read_envelope(with(DEPTH - 1))))
    assert.is_nil((core.read_envelope(with(DEPTH))))
    assert.is_true(core.check_json(with(DEPTH - 1)))
    assert.is_nil((core.check_json(with(DEPTH))))
  end)
end)
