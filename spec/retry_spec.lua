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
      pauses[#pauses + 1] = moment - world.monotonic
      world.monotonic = moment
      assert.equal("send", (calls.next(world, call)))
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

  it("stay within a budget that all calls of a client share", function()
    local retries = 0
    for _ = 1, 200 do
      retries = retries + #exhaust()
    end
    assert.equal(100, retries) -- 500 / 5
    assert.equal(0, world.client:retry_budget())
    assert.equal(0, #exhaust())
  end)

  it("cost double after a time-out", function()
    local before = world.client:retry_budget()
    local call = calls.ready(world)
    calls.fail(world, call, "timeout", "sent")
    assert.equal(before - 10, world.client:retry_budget())
  end)

  it("pay back: a first-try success one, a success after a retry its cost", function()
    exhaust()
    local before = world.client:retry_budget()
    calls.answer(world, (calls.ready(world)), '{"code":0}')
    assert.equal(before + 1, world.client:retry_budget())
    local call = calls.ready(world)
    local _, moment = calls.answer(world, call, calls.refusal(1001))
    assert.equal(before + 1 - 5, world.client:retry_budget())
    world.monotonic = moment
    calls.next(world, call)
    calls.answer(world, call, '{"code":0}')
    assert.equal(before + 1, world.client:retry_budget())
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
    local before = world.client:retry_budget()
    local done = calls.answer(world, call, calls.refusal(1009), { retry_after = "3" })
    assert.equal("done", done)
    assert.equal(before, world.client:retry_budget())
  end)
end)
