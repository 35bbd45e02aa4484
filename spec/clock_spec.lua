local calls = require "spec.support.calls"

describe("the clock", function()
  -- What a call sends now, against the server's time: positive is in the past.
  local function age(world)
    local _, _, request = calls.ready(world)
    return calls.server_time(world) - tonumber(request.headers.Timestamp)
  end

  it("never sends a Timestamp of the future once an answer has come", function()
    for _, skew in ipairs { 0, 1, 999, -999, 40000, -40000, 86400000, -86400000 } do
      for offset = 0, 1000, 125 do
        local world = calls.world { skew = skew, monotonic = 5000 + offset }
        local stamped = age(world)
        assert.is_true(stamped >= 0 and stamped < 60000, skew .. ": " .. stamped)
      end
    end
  end)

  it("tolerates 25 s either way before the first answer", function()
    for _, skew in ipairs { -24000, 0, 24000, 34000 } do
      local world = calls.world { skew = skew }
      local _, request = calls.next(world, calls.begin(world))
      local stamped = calls.server_time(world) - tonumber(request.headers.Timestamp)
      assert.is_true(stamped >= 0 and stamped <= 60000, skew .. ": " .. stamped)
    end
  end)

  it("narrows with each answer", function()
    local world = calls.world { skew = -1234567, monotonic = 10050 }
    age(world)
    local first = age(world)
    for _ = 1, 20 do
      world.monotonic = world.monotonic + 137
      calls.answer(world, (calls.ready(world)), '{"code":0}')
    end
    local last = age(world)
    assert.is_true(last < first - 300, first .. " -> " .. last)
    assert.is_true(last >= 0 and last < 1200, tostring(last))
  end)

  it("widens with age, however often it is told nothing new", function()
    local world = calls.world { monotonic = 10000 }
    local function width()
      local earliest, latest = world.client:clock_snapshot(calls.now(world))
      return latest - earliest
    end
    local function learn(pause)
      world.monotonic = world.monotonic + pause
      calls.answer(world, (calls.ready(world)), '{"code":0}')
    end
    learn(0)
    learn(950) -- late in its second, which shuts the truth in from the other side
    local narrow = width()
    assert.is_true(narrow <= 60, tostring(narrow))
    for _ = 1, 2000 do
      learn(1000)
    end
    assert.is_true(width() > narrow + 300, tostring(width()))
  end)

  it("never trusts an answer further than the time it took", function()
    local world = calls.world { skew = 77000 }
    local call = calls.begin(world, { timeout = 120000 })
    calls.next(world, call)
    world.monotonic = world.monotonic + 20000 -- the answer was 20 s on its way
    local date = calls.date(world)
    world.monotonic = world.monotonic + 20000
    local monotonic, wall = calls.now(world)
    local _, request = call:answered(monotonic, wall, 200, calls.token_body(world, "t"), date)
    local stamped = calls.server_time(world) - tonumber(request.headers.Timestamp)
    assert.is_true(stamped >= 0 and stamped < 60000, tostring(stamped))
  end)

  it("follows a server whose clock is set", function()
    local world = calls.world()
    age(world)
    world.skew = -3600000
    local call = calls.ready(world)
    calls.answer(world, call, '{"code":0}')
    local stamped = age(world)
    assert.is_true(stamped >= 0 and stamped < 60000, tostring(stamped))
  end)

  it("stays in the past as clocks drift apart", function()
    local world = calls.world()
    age(world)
    world.monotonic = world.monotonic + 3600000
    world.skew = world.skew - 700 -- the server's clock runs 200 ppm slow
    local stamped = age(world)
    assert.is_true(stamped >= 0 and stamped < 60000, tostring(stamped))
  end)

  -- The server's time as a client knows it, and as it is.
  local function bounds(world)
    local earliest, latest = world.client:clock_snapshot(calls.now(world))
    return earliest, latest, calls.server_time(world)
  end

  it("tells its bounds, which hold the truth and widen with age", function()
    for _, skew in ipairs { 0, 999, -40000, 86400000 } do
      local world = calls.world { skew = skew }
      assert.is_nil((bounds(world)))
      age(world)
      local earliest, latest, truth = bounds(world)
      assert.is_true(earliest <= truth and truth <= latest)
      assert.is_true(latest - earliest <= 1000)
      local width = latest - earliest
      world.monotonic = world.monotonic + 3600000
      earliest, latest, truth = bounds(world)
      assert.is_true(earliest <= truth and truth <= latest)
      assert.equal(width + 2 * 720, latest - earliest)
    end
  end)

  describe("of another process", function()
    -- One that knows, and one that has only heard of it `late` ms afterwards.
    local function pair(skew, late)
      local teller, heir = calls.world { skew = skew }, calls.world { skew = skew }
      age(teller)
      local earliest, latest = bounds(teller)
      heir.monotonic = teller.monotonic + late
      return teller, heir, earliest, latest
    end

    it("is as good as one's own, however long ago that was", function()
      for _, late in ipairs { 0, 50, 60000, 86400000 } do
        local teller, heir, earliest, latest = pair(-300000, late)
        heir.client:clock_adopt(earliest, latest, teller.monotonic)
        local low, high, truth = bounds(heir)
        assert.is_true(low <= truth and truth <= high)
        local _, request = calls.next(heir, calls.begin(heir))
        local stamped = truth - tonumber(request.headers.Timestamp)
        assert.is_true(stamped >= 0 and stamped < 60000, late .. ": " .. stamped)
      end
    end)

    it("is worth less where it isn't known when it was so", function()
      local teller, heir, earliest, latest = pair(-300000, 5000)
      heir.client:clock_adopt(earliest, latest, teller.monotonic - 200, teller.monotonic + 300)
      local low, high, truth = bounds(heir)
      assert.is_true(low <= truth and truth <= high)
      assert.is_true(high - low >= latest - earliest + 500)
    end)

    it("narrows what is known, and gives way where it contradicts", function()
      local teller, heir, earliest, latest = pair(7000, 0)
      age(heir)
      local known_low, known_high = bounds(heir)
      heir.client:clock_adopt(earliest + 100, latest - 100, teller.monotonic)
      local low, high = bounds(heir)
      assert.same({ known_low + 100, known_high - 100 }, { low, high })
      heir.client:clock_adopt(earliest + 90000, latest + 90000, teller.monotonic)
      assert.same({ low, high }, { bounds(heir), (select(2, bounds(heir))) })
    end)

    it("older than one's own is widened to what it can still be worth", function()
      local teller, heir, earliest, latest = pair(7000, 3600000)
      age(heir)
      local known_low, known_high = bounds(heir)
      heir.client:clock_adopt(earliest, latest, teller.monotonic)
      assert.same({ known_low, known_high }, { bounds(heir), (select(2, bounds(heir))) })
    end)

    it("that can't be is not taken", function()
      local heir = calls.world()
      heir.client:clock_adopt(2000, 1000, 5)
      heir.client:clock_adopt(1000, 2000, 6, 5)
      assert.is_nil((bounds(heir)))
    end)
  end)

  it("reads nothing but whole HTTP dates", function()
    for _, date in ipairs { "", "now", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Xyz 1994 08:49:37 GMT",
      "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 6 Nov 1994 08:49:37 GMT",
      "Sun, 06 Nov 1994 28:49:37 GMT", "Sun, 06 Nov -994 08:49:37 GMT" } do
      local world = calls.world()
      local call = calls.ready(world)
      local monotonic, wall = calls.now(world)
      -- 1005 is replayed only where the answer told the time
      local done = call:answered(monotonic, wall, 200, calls.refusal(1005), date)
      assert.equal("done", done, date)
    end
  end)
end)
