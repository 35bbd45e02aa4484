local calls = require "spec.support.calls"

describe("retries", function()
  local world

  before_each(function()
    world = calls.world()
    calls.answer(world, (calls.ready(world)), '{"code":0}')
  end)

  -- One read that is refused for ever: the pauses it made.
  local function exhaust(timeout)
    local call, pauses = calls.ready(world, { timeout = timeout or 600000 }), {}
    while true do
      local action, moment = calls.answer(world, call, calls.refusal(1001))
      if action == "done" then
        return pauses
      end
      if action == "send" then -- a pause of nothing, which one draw in a hundred is
        moment = world.monotonic
      end
      pauses[#pauses + 1] = moment - world.monotonic
      world.monotonic = moment
      if action == "wait" then
        assert.equal("send", (calls.next(world, call)))
      end
    end
  end

  it("end after five attempts, with pauses under a growing bound", function()
    for _ = 1, 20 do
      local pauses = exhaust()
      assert.equal(4, #pauses)
      for i, pause in ipairs(pauses) do
        assert.is_true(pause >= 0 and pause <= 100 * 2 ^ (i - 1), i .. ": " .. pause)
      end
    end
  end)

  it("differ from process to process", function()
    local seen = {}
    for seed = 1, 20 do
      world = calls.world { seed = seed }
      seen[table.concat(exhaust(), " ")] = true
    end
    local count = 0
    for _ in pairs(seen) do
      count = count + 1
    end
    assert.is_true(count > 15)
  end)

  it("stay within a budget that several clients share, too", function()
    local second = calls.world { budget = world.budget }
    exhaust()
    assert.equal(480, world.budget:left())
    world = second
    calls.answer(world, (calls.ready(world)), '{"code":0}')
    exhaust()
    assert.equal(461, world.budget:left())
    world = calls.world()
    exhaust()
    assert.equal(480, world.budget:left())
    assert.equal(461, second.budget:left())
  end)

  it("are paid from one budget where clients are given none", function()
    local core = require "keysecure.core"
    local shared = core.shared_budget()
    assert.equal(shared, core.shared_budget())
    shared:earn(100)
    for _ = 1, 2 do
      world = calls.world { budget = shared }
      world.client = core.client { address = "https://host", api_key = "key-1" }
      exhaust()
    end
    assert.equal(460, shared:left())
    shared:earn(100)
    assert.equal(500, shared:left())
  end)

  it("are given back to the brim, however many they were", function()
    for _, retries in ipairs { 1, 501, 1000000000 } do
      assert.is_true(world.budget:spend())
      world.budget:earn(retries)
      assert.equal(500, world.budget:left())
    end
    assert.has_error(function() world.budget:earn(-1) end)
  end)

  it("may be paid for by others", function()
    for left = 495, 0, -5 do
      assert.is_true(world.budget:spend())
      assert.equal(left, world.budget:left())
    end
    assert.is_false(world.budget:spend())
    assert.equal(0, world.budget:left())
  end)

  it("stay within a budget that all calls of a client share", function()
    local retries = 0
    for _ = 1, 200 do
      retries = retries + #exhaust()
    end
    assert.equal(100, retries) -- 500 / 5
    assert.equal(0, world.budget:left())
    assert.equal(0, #exhaust())
  end)

  it("cost double after a time-out", function()
    local before = world.budget:left()
    local call = calls.ready(world)
    calls.fail(world, call, "timeout", "sent")
    assert.equal(before - 10, world.budget:left())
  end)

  it("pay back: a first-try success one, a success after a retry its cost", function()
    exhaust()
    local before = world.budget:left()
    calls.answer(world, (calls.ready(world)), '{"code":0}')
    assert.equal(before + 1, world.budget:left())
    local call = calls.ready(world)
    local _, moment = calls.answer(world, call, calls.refusal(1001))
    assert.equal(before + 1 - 5, world.budget:left())
    world.monotonic = moment
    calls.next(world, call)
    calls.answer(world, call, '{"code":0}')
    assert.equal(before + 1, world.budget:left())
  end)

  it("wait as long as the platform asks, in seconds or until a date", function()
    local call = calls.ready(world)
    local _, moment = calls.answer(world, call, calls.refusal(1009), { retry_after = "7" })
    assert.equal(7000, moment - world.monotonic)
    call = calls.ready(world)
    local later = os.date("!%a, %d %b %Y %H:%M:%S GMT",
      math.floor(calls.server_time(world) / 1000) + 9)
    _, moment = calls.answer(world, call, calls.refusal(1009), { retry_after = later })
    local pause = moment - world.monotonic
    assert.is_true(pause > 6000 and pause <= 10000, tostring(pause))
  end)

  it("never pause past the deadline", function()
    local call = calls.ready(world, { timeout = 3000 })
    local before = world.budget:left()
    local done = calls.answer(world, call, calls.refusal(1009), { retry_after = "3" })
    assert.equal("done", done)
    assert.equal(before, world.budget:left())
  end)
end)
