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
      age(world)
    end
    local last = age(world)
    assert.is_true(last <= first, first .. " -> " .. last)
    assert.is_true(last >= 0 and last < 2000, tostring(last))
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
