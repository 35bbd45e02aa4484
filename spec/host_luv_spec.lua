-- What is libuv's alone; the rest is in host_conformance_spec. Over HTTP.
local has_luv, uv = pcall(require, "luv")
if not has_luv then
  pending "the host of libuv: the module luv is not installed"
  return
end
local core = require "keysecure.core"
local support = require "spec.support.client"

describe("the host of libuv", function()
  local world, ks

  setup(function()
    world = support.start()
  end)
  teardown(function()
    world:stop()
  end)
  before_each(function()
    ks = world:client { host = "luv" }
    uv.update_time()
  end)
  after_each(function()
    world:no_faults()
    ks:close()
    uv.run "nowait"
    assert.is_false(uv.loop_alive())
  end)

  -- Runs the loop until it ends by itself.
  local function run()
    local limit, ended = uv.new_timer(), true
    limit:start(20000, 0, function()
      ended = false
      uv.stop()
    end)
    limit:unref()
    uv.run()
    limit:stop()
    assert.is_true(ended, "the loop did not end")
  end

  local function slow(operation, seconds)
    world:control("POST", "faults", { operation = operation, delay = seconds, times = "always" })
  end

  it("steps by itself, and lets the loop end when everything has", function()
    local told = {}
    ks:spawn(function() return #assert(ks.cards:packages()) end,
      function(count) told[#told + 1] = count end)
    ks.cards:packages({}, { done = function(packages)
      told[#told + 1] = #packages
      ks:spawn(function() ks:sleep(0.02) end, function() told[#told + 1] = "slept" end)
    end })
    assert.is_true(uv.loop_alive())
    run()
    assert.same({ 3, 3, "slept" }, told)
    assert.is_false(uv.loop_alive())
  end)

  it("keeps no handle active while it is idle", function()
    ks.cards:packages({}, { done = function() end })
    run()
    local turns = 0
    local timer, check = uv.new_timer(), uv.new_check()
    check:start(function() turns = turns + 1 end)
    check:unref()
    timer:start(200, 0, function() timer:stop() end)
    run()
    check:stop()
    assert.is_true(turns <= 2, turns) -- the timer's own, and libuv may look once more
  end)

  it("lets the loop's other handles go on", function()
    slow("cards.packages", 0.3)
    local beats, done = 0, false
    local timer = uv.new_timer()
    timer:start(10, 10, function()
      beats = beats + 1
      if done then
        timer:stop()
      end
    end)
    ks.cards:packages({}, { done = function() done = true end })
    run()
    assert.is_true(beats >= 5, beats)
  end)

  it("wakes one who sleeps while others wait for longer", function()
    slow("cards.packages", 1)
    local order = {}
    ks.cards:packages({}, { done = function() order[#order + 1] = "call" end })
    local timer = uv.new_timer()
    timer:start(100, 0, function()
      ks:spawn(function() ks:sleep(0.05) end, function() order[#order + 1] = "sleeper" end)
    end)
    run()
    assert.same({ "sleeper", "call" }, order)
  end)

  it("never blocks the loop", function()
    assert.matches("a call here would block the loop",
      support.raised(function() ks.cards:packages() end), 1, true)
  end)

  it("tells everybody when it is closed, from a callback of the loop too", function()
    slow("cards.packages", 10)
    local kinds = {}
    for i = 1, 3 do
      ks.cards:packages({}, { done = function(_, err) kinds[i] = err.kind end })
    end
    local timer, told_at_close = uv.new_timer(), nil
    timer:start(100, 0, function()
      ks:close()
      told_at_close = #kinds
    end)
    local started = core.seconds()
    run()
    assert.is_true(core.seconds() - started < 8)
    assert.equal(3, told_at_close)
    assert.same({ "cancelled", "cancelled", "cancelled" }, kinds)
  end)

  it("leaves nothing behind however many clients come and go", function()
    for _ = 1, 30 do
      local one, count = world:client { host = "luv" }, nil
      one.cards:packages({}, { done = function(packages) count = #packages end })
      run()
      assert.equal(3, count)
      one:close()
      one:close()
    end
    collectgarbage()
    run()
  end)
end)
