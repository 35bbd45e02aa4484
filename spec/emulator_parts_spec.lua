-- Parts of the emulator that are easier to look at without HTTP: JSON, clock, scheduler.
local clock = require "keysecure.emulator.clock"
local cqueues = require "cqueues"
local json = require "keysecure.emulator.json"
local scheduler = require "keysecure.emulator.scheduler"
local support = require "spec.support.emulator"

describe("the emulator's JSON", function()
  it("escapes what must be, and leaves UTF-8 as it is", function()
    assert.equal([["\"\\\n\t\u0001\u001f\u007f é 北京"]],
      json.encode('"\\\n\t\1\31\127 é 北京'))
  end)

  it("writes whole numbers without an exponent or a point", function()
    assert.equal("[1763880000123,0,-5,1.5]", json.encode { 1763880000123, 0, -5, 1.5 })
  end)

  it("keeps lists lists when they are empty, and sorts the members of objects", function()
    assert.equal('{"a":[],"b":{},"c":true}', json.encode { c = true, b = {}, a = json.array {} })
  end)

  it("writes rows by their fields: in order, no others, null where nothing is", function()
    local fields = { { name = "z" }, { name = "amount", type = "decimal" },
      { name = "rows", type = "list", fields = { { name = "n" } } }, { name = "gone" } }
    assert.equal('{"z":"1","amount":12.50,"rows":[{"n":2}],"gone":null}',
      json.encode_fields(fields, { z = "1", amount = "12.50", rows = { { n = 2, m = 3 } }, x = 1 }))
  end)

  it("reads objects in UTF-8 alone, without their nulls unless these are asked for", function()
    assert.same({ a = {}, b = "é€𝄞" }, json.decode_object ' {"a":{"x":null},"b":"é€𝄞","c":null}')
    assert.equal(json.null, json.decode_object('{"a":null}', true).a)
    for _, bytes in ipairs { "\128", "\192\128", "\224\128\128", "\237\160\128", "\240\128\128\128",
      "\244\144\128\128", "\245\128\128\128", "\195", "\195\169\169", "\226\130" } do
      assert.is_nil(json.decode_object('{"a":"' .. bytes .. '"}'))
    end
  end)
end)

describe("the emulator's clock", function()
  it("shows an offset that life doesn't know, and advances both", function()
    local time = clock.new(function() return 1000 end)
    assert.same({ 1000, 1000 }, { time:now(), time:life() })
    time.offset = -300
    assert.same({ 700, 1000 }, { time:now(), time:life() })
    time:reach(time:life() + 5000)
    assert.same({ 5700, 6000 }, { time:now(), time:life() })
  end)
end)

describe("the emulator's scheduler", function()
  local time, queue, done

  local function started()
    local now = 0
    time, done = clock.new(function() return now end), {}
    queue = scheduler.new(time, function(fn) fn() end)
  end

  local function note(name)
    return function() done[#done + 1] = name end
  end

  local function pass(milliseconds)
    time:reach(time:life() + milliseconds)
    queue:wake()
    cqueues.sleep(0.005)
  end

  it("runs what is due, earliest first, then in the order of asking", function()
    started()
    support.run(function(loop)
      for _, due in ipairs { 50, 10, 40, 10, 30, 20, 60 } do
        queue:at(due, note(due))
      end
      queue:at(10, note "last of 10")
      loop:wrap(function() queue:run() end)
      cqueues.sleep(0.002)
      assert.same({}, done)
      pass(10)
      assert.same({ 10, 10, "last of 10" }, done)
      pass(100)
      assert.same({ 10, 10, "last of 10", 20, 30, 40, 50, 60 }, done)
      queue:at(0, note "overdue")
      cqueues.sleep(0.002)
      assert.equal("overdue", done[#done])
    end)
  end)

  it("forgets when told to", function()
    started()
    support.run(function(loop)
      loop:wrap(function() queue:run() end)
      queue:at(5, note "never")
      queue:clear()
      pass(10)
      assert.same({}, done)
    end)
  end)
end)

describe("the emulator's control endpoints", function()
  it("are for callers on this machine that call it by a name of its own", function()
    local control = require "keysecure.emulator.control"
    local function is_local(peer, authority)
      return control.is_local { peer = peer, header = function(name)
        return name == ":authority" and authority or nil
      end } and true or false
    end
    assert.is_true(is_local("127.0.0.1", "localhost:8787"))
    assert.is_true(is_local("::1", "[::1]:8787"))
    assert.is_false(is_local("10.1.2.3", "localhost:8787"))
    assert.is_false(is_local("127.0.0.1", "emulator.example:8787"))
  end)
end)
