-- A loop with frames: spawn, step, done and what must never happen in between, over HTTP.
local core = require "keysecure.core"
local keysecure = require "keysecure"
local support = require "spec.support.client"

local raised, refused = support.raised, support.refused

local LIMIT = 30 -- seconds for whatever a spec waits for

describe("the host of a loop with frames", function()
  local world, ks

  setup(function()
    world = support.start()
  end)
  teardown(function()
    world:stop()
  end)
  before_each(function()
    ks = world:client { host = "tick" }
  end)
  after_each(function()
    world:no_faults()
    ks:close()
    assert.equal(0, ks:pending())
    assert.is_false(ks.host:busy())
    assert.is_nil(next(ks.host.ends))
  end)

  -- Frames until `condition` holds; returns how many.
  local function frames_until(condition, budget)
    local frames, give_up = 0, core.seconds() + LIMIT
    while not condition() do
      assert.is_true(core.seconds() < give_up)
      ks:step(budget)
      core.sleep(1)
      frames = frames + 1
    end
    return frames
  end

  local function finish(budget)
    return frames_until(function() return ks:pending() == 0 end, budget)
  end

  local function slow(operation, seconds)
    world:control("POST", "faults", { operation = operation, delay = seconds, times = "always" })
  end

  -- Fetches the token, so that nobody has to wait for it.
  local function warm()
    ks:spawn(function() assert(ks.cards:packages()) end)
    finish()
  end

  -- Waits, stepping nothing, until `count` answers are here.
  local function let_arrive(count)
    local engine, give_up = ks.transport.engine, core.seconds() + LIMIT
    while engine:pending() > 0 and engine:step(10) < count do
      assert.is_true(core.seconds() < give_up)
    end
  end

  describe("spawns functions", function()
    it("in which calls read as if they blocked", function()
      local told
      ks:spawn(function(first, second)
        local packages = assert(ks.cards:packages())
        local value, err = ks.cards:detail { card_no = "C0" }
        return #packages, value, err.code, first, second
      end, function(...)
        told = { select("#", ...), ... }
      end, "a", nil)
      assert.equal(1, ks:pending())
      finish()
      assert.same({ [1] = 5, [2] = 3, [4] = 4001, [5] = "a" }, told)
    end)

    it("and never delivers but from step", function()
      local done, resumed = 0, 0
      ks:spawn(function() return "at once" end, function() done = done + 1 end)
      ks:spawn(function() error "at once" end, function() done = done + 1 end)
      ks.cards:detail({ card_no = "../" }, { done = function() done = done + 1 end })
      assert.equal(0, done)
      warm()
      assert.equal(3, done)
      local function call()
        ks:spawn(function()
          ks.cards:packages()
          resumed = resumed + 1
        end)
      end
      call()
      let_arrive(1)
      call()
      assert.equal(0, resumed)
      ks:step()
      assert.is_true(resumed >= 1)
      finish()
      assert.equal(2, resumed)
    end)

    it("and tells done what was raised, and what was returned as an error", function()
      local told = {}
      local function done(value, err)
        told[#told + 1] = { value = value, err = err }
      end
      ks:spawn(function() error("broken", 0) end, done)
      ks:spawn(function() error { thrown = true } end, done)
      ks:spawn(function() return ks.cards:detail { card_no = "C0" } end, done)
      ks:spawn(function() return keysecure.assert(ks.cards:detail { card_no = "C0" }) end, done)
      ks:spawn(function() return ks.cards:detail { card_nr = "C0" } end, done)
      ks:spawn(function() coroutine.yield() end, done)
      finish()
      assert.equal(6, #told)
      local kinds = {}
      for _, one in ipairs(told) do
        assert.is_nil(one.value)
        kinds[#kinds + 1] = type(one.err) == "table" and (one.err.code or "thrown") or one.err
      end
      assert.equal("broken", kinds[1])
      assert.equal("thrown", kinds[2])
      assert.matches("cards.detail takes no field 'card_nr'", kinds[3], 1, true)
      assert.matches("a function yielded by itself", kinds[4], 1, true)
      assert.same({ 4001, 4001 }, { kinds[5], kinds[6] })
    end)

    it("whose mistakes step raises where nobody is told, losing nothing else", function()
      local done = 0
      ks:spawn(function() error("broken", 0) end)
      ks:spawn(function() return 1 end, function() error("in done", 0) end)
      ks:spawn(function() return 2 end, function() done = done + 1 end)
      assert.equal("broken", raised(ks.step, ks))
      assert.equal("in done", raised(ks.step, ks))
      ks:step()
      assert.equal(1, done)
    end)

    it("from functions that were spawned, and from done", function()
      local order = {}
      ks:spawn(function()
        assert(ks.cards:packages())
        ks:spawn(function()
          order[#order + 1] = "inner"
          return #assert(ks.cards:packages())
        end, function(count)
          order[#order + 1] = count
          ks.cards:packages({}, { done = function(packages)
            order[#order + 1] = #packages + 10
          end })
        end)
        order[#order + 1] = "outer"
      end)
      finish()
      assert.same({ "inner", "outer", 3, 13 }, order)
    end)

    -- Lua 5.4 alone can end a coroutine from outside.
    local it_with_close = rawget(coroutine, "close") and it or function() end
    it_with_close("and tells done of one that was ended while it waited", function()
      local thread, told
      ks:spawn(function()
        thread = coroutine.running()
        return ks.cards:packages()
      end, function(...) told = { ... } end)
      ks:step()
      coroutine.close(thread)
      finish()
      assert.same({ nil, "cannot resume dead coroutine" }, told)
    end)

    it("and checks what it is given", function()
      for _, wrong in ipairs { { "no function" }, { print, "no function" }, {} } do
        assert.matches("spawn: expected (function",
          raised(ks.spawn, ks, wrong[1], wrong[2]), 1, true)
      end
      assert.matches("a number of seconds expected", raised(ks.step, ks, "1"), 1, true)
    end)
  end)

  describe("calls back", function()
    it("with the value, or nil and the error", function()
      local packages, failure
      ks.cards:packages({ page = 0 }, { timeout = 20, done = function(...) packages = { ... } end })
      ks.cards:detail({ card_no = "C0" }, { done = function(...) failure = { ... } end })
      assert.equal(2, ks:pending())
      finish()
      assert.equal(3, #packages[1])
      refused({ code = 4001 }, failure[1], failure[2])
    end)

    it("with what was asked, whatever becomes of that table", function()
      local holder, card = world:holder(), nil
      local fields = { cardholder_no = holder.cardholder_no, package_no = "P-1",
        card_type = "Virtual", card_unique_no = world:unique "C" }
      ks.cards:apply(fields, { done = function(row) card = row end })
      fields.cardholder_no, fields.package_no = "U0", "P-2"
      finish()
      assert.same({ holder.cardholder_no, "P-1" }, { card.cardholder_no, card.package_no })
    end)

    it("and raises a mistake where it was made", function()
      local function done() end
      local message = raised(function()
        ks.cards:detail({ card_nr = "C0" }, { done = done })
      end)
      assert.matches("host_tick_spec.lua:%d+: cards.detail takes no field 'card_nr'", message)
      assert.matches("call option done: function expected, got string",
        raised(function() ks.cards:packages({}, { done = "x" }) end), 1, true)
      assert.matches("no operation 'cards.detial'; did you mean",
        raised(ks.begin, ks, "cards.detial", {}, { done = done }), 1, true)
      assert.matches("a table of fields expected",
        raised(function() ks.cards:packages("x", { done = done }) end), 1, true)
      assert.matches("use ks:spawn(fn, done)",
        raised(function() ks:card("C0"):refresh { done = done } end), 1, true)
      finish()
    end)
  end)

  describe("never blocks:", function()
    it("a call outside of a spawned function raises, and sends nothing", function()
      local counted = world:counted(function()
        for _, fn in ipairs {
          function() ks.cards:packages() end,
          function() ks:card("C0"):wait "Activated" end,
          function() ks:sleep(0.1) end,
          function() ks:parallel(2, { 1 }, print) end,
          function() ks.cards:each_package()() end,
        } do
          assert.matches("host_tick_spec.lua:%d+: a call here would block the loop", raised(fn))
        end
      end)
      assert.equal(0, counted.total)
    end)

    it("nor does one in a coroutine of one's own", function()
      local message
      local counted = world:counted(function()
        ks:spawn(function()
          coroutine.wrap(function() ks.cards:packages() end)()
        end, function(_, err) message = err end)
        finish()
      end)
      assert.matches("a coroutine of your own", message, 1, true)
      assert.equal(0, counted.total)
    end)

    it("nor one that Lua can't suspend, which sends nothing", function()
      local message
      local counted = world:counted(function()
        ks:spawn(function()
          table.sort({ 2, 1 }, function(a, b)
            ks.cards:packages()
            return a < b
          end)
        end, function(_, err) message = err end)
        finish()
      end)
      assert.is_truthy(message:find("called back by C", 1, true)
        or message:find("attempt to yield across", 1, true))
      assert.equal(0, counted.total)
    end)

    it("and a step returns at once while answers are awaited", function()
      warm()
      slow("cards.packages", 1)
      ks.cards:packages({}, { done = function() end })
      local steps, started = 0, core.seconds()
      while core.seconds() - started < 0.5 do
        ks:step(0.001)
        steps = steps + 1
      end
      assert.is_true(steps > 50, steps)
      assert.equal(1, ks:pending())
    end)
  end)

  describe("keeps to the budget", function()
    local function busy_for(seconds)
      local until_ = core.seconds() + seconds
      while core.seconds() < until_ do end -- luacheck: ignore 542
    end

    it("of which one thing is always done, and loses nothing", function()
      warm()
      local answers, done = 0, 0
      for _ = 1, 20 do
        ks:spawn(function()
          assert(ks.cards:packages())
          answers = answers + 1
        end, function() done = done + 1 end)
      end
      let_arrive(20)
      assert.equal(0, answers)
      local steps = 0
      while ks:pending() > 0 do
        local before = answers + done
        ks:step(0)
        steps = steps + 1
        assert.equal(before + 1, answers + done)
        assert.is_true(steps < 1000)
      end
      assert.same({ 20, 20, 40 }, { answers, done, steps })
    end)

    it("with what the functions do themselves counted in", function()
      warm()
      local worst, steps = 0, 0
      for _ = 1, 30 do
        ks:spawn(function()
          assert(ks.cards:packages())
          busy_for(0.004)
        end)
      end
      let_arrive(30)
      local started = core.seconds()
      while ks:pending() > 0 do
        local before = ks:pending()
        ks:step(0.01)
        steps = steps + 1
        worst = math.max(worst, before - ks:pending())
        assert.is_true(steps < 10000)
      end
      assert.is_true(core.seconds() - started >= 0.12)
      assert.is_true(steps >= 10, steps) -- at most three of 4 ms in each of 10 ms
      assert.is_true(worst <= 4, worst)
    end)

    it("for those who sleep as well", function()
      local woken = 0
      for _ = 1, 10 do
        ks:spawn(function()
          ks:sleep(0)
          woken = woken + 1
        end)
      end
      ks:step(0)
      assert.equal(1, woken)
      for _ = 1, 19 do
        ks:step(0)
      end
      assert.equal(10, woken)
      assert.equal(0, ks:pending())
    end)
  end)

  describe("is a pollable object", function()
    local has_cqueues, cqueues = pcall(require, "cqueues")

    it("that says when it wants to be stepped", function()
      assert.equal("r", ks:events())
      assert.is_nil(ks:timeout())
      ks:spawn(function() ks:sleep(0.5) end)
      local timeout = ks:timeout()
      assert.is_true(timeout > 0.2 and timeout <= 0.5, timeout)
      ks:spawn(function() ks.cards:packages() end)
      assert.equal(0, ks:timeout())
      ks:step()
      ks:spawn(function() end, function() end)
      assert.equal(0, ks:timeout())
      finish()
      assert.is_nil(ks:timeout())
    end)

    if has_cqueues and require("keysecure.curl").new({}):pollfd() then
      it("that another loop can drive, waking only for a reason", function()
        slow("cards.packages", 0.2)
        local done, steps = 0, 0
        for _ = 1, 10 do
          ks.cards:packages({}, { done = function() done = done + 1 end })
        end
        ks:spawn(function() ks:sleep(0.1) end)
        while ks:pending() > 0 do
          cqueues.poll(ks, 5)
          ks:step()
          steps = steps + 1
          assert.is_true(steps < 1000)
        end
        assert.equal(10, done)
      end)

      it("that is quiet while idle", function()
        warm()
        local pollable = { pollfd = ks:pollfd(), events = "r" }
        assert.is_nil(ks:timeout())
        assert.not_equal(pollable, (cqueues.poll(pollable, 0.05)))
      end)
    end
  end)

  describe("when it is closed", function()
    it("tells everybody who waits, before close returns", function()
      warm()
      slow("cards.packages", 20)
      slow("cardholders.apply", 20)
      local told = {}
      local function by(name)
        return function(value, err)
          told[name] = { value = value, err = err }
        end
      end
      ks.cards:packages({}, { done = by "read" })
      ks.cardholders:apply({ cardholder_unique_no = world:unique "holder",
        sumsub_share_token = "share" }, { done = by "write" })
      ks:spawn(function() ks:sleep(20) end, by "sleeper")
      ks:spawn(function() return ks:parallel(2, { 1, 2, 3 }, function()
        return ks.cards:packages()
      end) end, function(results, failures) told.parallel = { results, failures } end)
      ks:spawn(function() return "over" end, by "over")
      ks:step()
      local give_up = core.seconds() + 0.2
      while core.seconds() < give_up do
        ks.transport.engine:step(10)
      end
      ks.cards:packages({}, { done = by "late" })
      ks:close()
      assert.equal(0, ks:pending())
      refused({ kind = "cancelled" }, told.read.value, told.read.err)
      refused({ kind = "cancelled", outcome = "unknown" }, told.write.value, told.write.err)
      refused({ kind = "cancelled", outcome = "not_sent" }, told.late.value, told.late.err)
      refused({ kind = "cancelled" }, told.sleeper.value, told.sleeper.err)
      assert.equal("over", told.over.value)
      for i = 1, 3 do
        refused({ kind = "cancelled" }, told.parallel[1][i], told.parallel[2][i])
      end
    end)

    it("from a function it runs, or from done, tells the others first", function()
      for _, where in ipairs { "fn", "done" } do
        local alone = world:client { host = "tick" }
        slow("cards.packages", 20)
        local told, at_close = 0, nil
        for _ = 1, 3 do
          alone.cards:packages({}, { done = function() told = told + 1 end })
        end
        local function close()
          alone:close()
          at_close = told
        end
        alone:spawn(function()
          alone:sleep(0.02)
          if where == "fn" then
            close()
          end
        end, where == "done" and close or nil)
        local give_up = core.seconds() + LIMIT
        while alone:pending() > 0 and core.seconds() < give_up do
          alone:step(0)
          core.sleep(1)
        end
        assert.same({ 3, 3, 0 }, { told, at_close, alone:pending() })
      end
    end)

    it("lets no mistake in one done keep the others from hearing", function()
      slow("merchant.token", 20)
      local told = 0
      for i = 1, 5 do
        ks.cards:packages({}, { done = function()
          told = told + 1
          error("broken " .. i, 0)
        end })
      end
      ks:step()
      assert.matches("^broken %d$", raised(ks.close, ks))
      assert.equal(5, told)
    end)

    it("goes on refusing, and telling so", function()
      ks:close()
      local kind
      ks.cards:packages({}, { done = function(_, err) kind = err.kind end })
      ks:step()
      assert.equal("cancelled", kind)
      assert.is_nil(ks:pollfd())
    end)
  end)

  it("may be collected with calls in flight", function()
    slow("cards.packages", 20)
    for _ = 1, 10 do
      local lost = assert(keysecure.new(world:options { host = "tick" }))
      lost.cards:packages({}, { done = error })
      lost:spawn(function() lost:sleep(20) end, error)
      lost:step()
      lost.transport.engine:step(5)
      lost:step()
    end
    collectgarbage()
    collectgarbage()
  end)
end)

describe("a host of one's own", function()
  it("is a table with new(now), and may build on the base that all have", function()
    local tasks = require "keysecure.host.tasks"
    local Counting = tasks.class(require "keysecure.host.script".class)
    local changes = 0
    function Counting.changed()
      changes = changes + 1
    end
    local world = support.start()
    local ks = world:client { host = { new = function(now) return tasks.new(Counting, now) end } }
    assert.equal(3, #assert(ks.cards:packages()))
    assert.is_true(changes >= 2) -- the token and the call
    world:stop()
  end)

  it("is refused where it is none", function()
    local function with(host)
      return keysecure.new { environment = "emulator", host = host }
    end
    assert.matches("option host: a table with a function 'new' expected", raised(with, {}), 1, true)
    assert.matches("option host: string expected, got boolean", raised(with, true), 1, true)
    refused({ kind = "invalid", field = "host" }, with "ticks")
  end)
end)
