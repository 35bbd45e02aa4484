local sleepers = require "keysecure.host.sleepers"

describe("sleepers", function()
  local asleep

  before_each(function()
    asleep = sleepers.new()
  end)

  local function take_all(now)
    local taken = {}
    local waiter = asleep:take_due(now)
    while waiter do
      taken[#taken + 1] = waiter
      waiter = asleep:take_due(now)
    end
    return taken
  end

  it("are woken when their moment has come, soonest first", function()
    for i, moment in ipairs { 50, 10, 40, 10, 30, 20 } do
      asleep:add(moment, i)
    end
    assert.equal(10, asleep:nearest())
    assert.same({}, take_all(9.9))
    assert.same({ 2, 4, 6 }, take_all(20))
    assert.equal(3, asleep.count)
    assert.equal(30, asleep:nearest())
    assert.same({ 5, 3, 1 }, take_all(1000))
    assert.equal(0, asleep.count)
    assert.is_nil(asleep:nearest())
  end)

  it("keep their order however many there are", function()
    local moments, random = {}, 12345
    for i = 1, 2000 do
      random = (random * 1103515245 + 12345) % 2147483648
      moments[i] = random % 500
      asleep:add(moments[i], i)
    end
    local last = 0
    for _, i in ipairs(take_all(500)) do
      local key = moments[i] * 10000 + i
      assert.is_true(key > last)
      last = key
    end
    assert.equal(0, asleep.count)
  end)

  it("that wait for a token are woken together, first come first, and once", function()
    asleep:add(30, "a", true)
    asleep:add(10, "b")
    asleep:add(20, "c", true)
    local woken = {}
    local function wake(waiter)
      woken[#woken + 1] = waiter
    end
    asleep:take_for_token(wake)
    assert.same({ "a", "c" }, woken)
    assert.equal(1, asleep.count)
    asleep:take_for_token(wake)
    assert.equal(2, #woken)
    assert.same({ "b" }, take_all(100))
    assert.is_nil(asleep:nearest())
  end)

  it("that wait for a token are woken by their moment as well, and then no more", function()
    asleep:add(10, "a", true)
    assert.same({ "a" }, take_all(10))
    asleep:take_for_token(error)
    assert.equal(0, asleep.count)
  end)

  it("may go to sleep again while they are woken", function()
    asleep:add(10, "a", true)
    asleep:take_for_token(function(waiter)
      asleep:add(20, waiter, true)
    end)
    assert.equal(1, asleep.count)
    assert.equal(20, asleep:nearest())
  end)
end)
