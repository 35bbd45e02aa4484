-- lua/keysecure/webhook/authorize.lua, cell.lua, decision.lua and the hosts inline and cqueues.
local cjson = require "cjson"
local core = require "keysecure.core"
local cqueues = require "cqueues"
local support = require "spec.support.webhook"

local ask, ask_all, hold, run, wait = support.ask_in_loop, support.ask_all, support.hold,
  support.run, support.wait

local function reasons(told)
  local result = {}
  for i, entry in ipairs(told.journal) do
    result[i] = entry.reason
  end
  return result
end

describe("an authorization", function()
  it("is approved by true and by a table with code 0, and by nothing else", function()
    local hook, told = support.hook()
    local value
    hook:on("Auth", function() return value end)
    for _, case in ipairs {
      { true, 0, "" }, { { code = 0 }, 0, "" }, { { code = 0, message = "ok" }, 0, "ok" },
      { false, 1, "declined" }, { { code = 51 }, 51, "declined" },
      { { code = 51, message = 'no "money"\n' }, 51, 'no "money"\n' },
      { { code = 2147483647 }, 2147483647, "declined" },
    } do
      value = case[1]
      local _, answer = support.auth(hook)
      assert.same({ code = case[2], message = case[3] }, answer)
    end
    assert.same({}, told.errors)
    for i, nonsense in ipairs { "yes", "", "true", "0", 1, 0, -1, 0 / 0, {}, { cod = 0 },
      { code = "0" }, { code = false }, { code = -1 }, { code = 0.5 }, { code = 2 ^ 31 },
      { code = 0 / 0 }, { code = 0, mesage = "x" }, { code = 0, message = 1 }, { 0 },
      { code = 0, approved = true }, print, coroutine.create(function() end) } do
      value = nonsense
      local approved, answer = support.auth(hook)
      assert.is_false(approved)
      assert.equal(1, answer.code)
      assert.equal(i, #told.errors)
      assert.equal("nonsense", told.journal[#told.journal].reason)
    end
  end)

  it("is declined where the handler returns nothing, nil and why, or raises", function()
    local hook, told = support.hook()
    local handler
    hook:on("Auth", function(event) return handler(event) end)
    for _, case in ipairs {
      { function() end, "nonsense", "returned nothing" },
      { function() return nil, "Redis is away" end, "error", "Redis is away" },
      { function() error "broken" end, "error", "broken" },
      { function() error({ code = 0 }) end, "error", "raised" },
      { function(event) return event.data.nothing.there end, "error", "raised" },
    } do
      handler = case[1]
      assert.is_false((support.auth(hook)))
      assert.equal(case[2], told.journal[#told.journal].reason)
      assert.truthy(told.errors[#told.errors]:find(case[3], 1, true))
    end
  end)

  it("says why it is declined, in at most 200 bytes", function()
    local hook = support.hook()
    hook:on("Auth", function() return false, ("long "):rep(100) end)
    local _, answer = support.auth(hook)
    assert.equal(("long "):rep(40), answer.message)
    for before, kept in pairs { [""] = 66, a = 66, ab = 66, abc = 65 } do -- 3 bytes each
      hook:on("Auth", function() return false, before .. ("余"):rep(100) end)
      _, answer = support.auth(hook)
      assert.equal(before .. ("余"):rep(kept), answer.message)
    end
  end)

  it("without a number or an amount is not asked about", function()
    local hook, told = support.hook()
    hook:on("Auth", function() return true end)
    for _, data in ipairs { "{}", '{"consume_no":"S1"}', '{"amount":1}',
      '{"consume_no":"","amount":1}', '{"consume_no":{},"amount":1}',
      '{"consume_no":"S1","amount":null}', '{"consume_no":"S1","amount":[1]}',
      '{"consume_no":"' .. ("S"):rep(129) .. '","amount":1}' } do
      assert.is_false((support.auth(hook, data)))
      assert.equal("incomplete", told.journal[#told.journal].reason)
    end
  end)

  describe("in time", function()
    it("waits for a handler that waits, and keeps nobody else waiting", function()
      local hook, told = support.hook { budget = 0.79 }
      hook:on("Auth", function(event)
        if event.data.amount == "1.00" then
          cqueues.sleep(0.1)
        end
        return true
      end)
      run(function()
        local slow
        cqueues.running():wrap(function()
          slow = ask(hook, support.purchase { amount = "1.00" })
        end)
        assert.is_true((ask(hook)))
        assert.is_nil(slow)
        wait(function() return slow ~= nil end)
        assert.is_true(slow)
      end)
      assert.same({ "handler", "handler" }, reasons(told))
    end)

    it("gives the fallback when the budget is spent, and the rest to on_late, once", function()
      local hook, told = support.hook { budget = 0.1 }
      local approve = hold(hook)
      run(function()
        local data = support.purchase()
        local approved, took = ask(hook, data)
        assert.is_false(approved)
        assert.is_true(took >= 99)
        assert.is_false((ask(hook, data))) -- and so does whoever asks now
        assert.equal(0, #told.lates)
        approve()
        wait(function() return #told.lates > 0 end)
        assert.is_false((ask(hook, data)))
        assert.equal(1, #told.lates)
        assert.same({ approved = true, code = 0, message = "" }, told.lates[1].made)
        assert.is_false(told.lates[1].answered.approved)
        assert.equal(data.consume_no, told.lates[1].event.data.consume_no)
        assert.is_true(told.lates[1].event:time_left() < 0)
      end)
      assert.same({ "timeout", "timeout", "late", "duplicate" }, reasons(told))
      assert.same({ "answer", "answer", "late", "answer" }, { told.journal[1].kind,
        told.journal[2].kind, told.journal[3].kind, told.journal[4].kind })
      assert.equal("approve", told.journal[3].decision)
    end)

    it("counts from the first byte, not from the first look", function()
      local hook, told = support.hook { budget = 0.6 }
      local calls = 0
      hook:on("Auth", function()
        calls = calls + 1
        return true
      end)
      run(function()
        assert.is_false((ask(hook, nil, core.wall() / 1000 - 0.7)))
        assert.equal(0, calls)
        -- A clock that was set back must not give time that is not there.
        assert.is_true((ask(hook, nil, core.wall() / 1000 + 100)))
        assert.is_true((ask(hook, nil, core.wall() / 1000 - 0.1)))
      end)
      assert.same({ "timeout", "handler", "handler" }, reasons(told))
    end)

    it("does not let a late yes count that never waited", function()
      local hook, told = support.hook { budget = 0.05 }
      hook:on("Auth", function()
        core.sleep(80)
        return true
      end)
      assert.is_false((support.auth(hook)))
      run(function() assert.is_false((ask(hook))) end)
      assert.equal(2, #told.lates)
      assert.same({ "late", "timeout", "late", "timeout" }, reasons(told))
    end)

    it("tells the log of a late yes when nobody listens", function()
      local hook, told = support.hook { budget = 0.02, on_late = cjson.null }
      hook:on("Auth", function()
        core.sleep(30)
        return true
      end)
      assert.is_false((support.auth(hook)))
      assert.truthy(told.errors[1]:find "too late")
    end)

    it("reports a handler that raises late", function()
      local hook, told = support.hook { budget = 0.02 }
      hook:on("Auth", function()
        cqueues.sleep(0.05)
        error "broken"
      end)
      run(function()
        assert.is_false((ask(hook)))
        wait(function() return #told.errors == 1 end)
      end)
      assert.same({ "timeout" }, reasons(told))
      assert.equal(0, #told.lates)
    end)

    it("has a fallback of one's choice", function()
      local function late()
        core.sleep(30)
        return false
      end
      local hook, told = support.hook { budget = 0.02, on_timeout = "approve" }
      hook:on("Auth", late)
      assert.is_true((support.auth(hook)))
      assert.is_true(told.lates[1].answered.approved)
      for _, value in ipairs { "yes", 0, { code = "0" } } do -- "approve" is not for nonsense
        hook:on("Auth", function() return value end)
        assert.is_false((support.auth(hook)))
      end
      hook:on("Auth", function() error "broken" end) -- nor for a handler that is broken
      assert.is_false((support.auth(hook)))

      local asked = {}
      local answer
      hook, told = support.hook { budget = 0.02, on_timeout = function(event, reason)
        table.insert(asked, event.data.amount .. " " .. reason)
        return answer()
      end }
      hook:on("Auth", late)
      answer = function() return { code = 7, message = "later" } end
      assert.same({ code = 7, message = "later" }, (select(2, support.auth(hook))))
      answer = function() return "yes" end
      assert.is_false((support.auth(hook)))
      answer = function() error "broken" end
      assert.is_false((support.auth(hook)))
      assert.equal(2, #told.errors)
      hook:on("Auth", function() error "broken" end)
      answer = function() return true end
      assert.is_true((support.auth(hook)))
      hook:on("Auth", function() return true end)
      assert.is_true((support.auth(hook)))
      assert.same({ "12.50 timeout", "12.50 timeout", "12.50 timeout", "12.50 error" }, asked)
    end)

    it("begins no more than it may, and answers the others at once", function()
      local hook, told = support.hook { max_in_flight = 3, budget = 0.79 }
      local approve = hold(hook)
      run(function()
        local answers = {}
        for i = 1, 3 do
          cqueues.running():wrap(function() answers[i] = ask(hook) end)
        end
        wait(function() return hook.in_flight == 3 end)
        assert.is_false((ask(hook)))
        assert.same({ "overload" }, reasons(told))
        approve()
        wait(function() return #told.journal == 4 end)
        assert.same({ true, true, true }, answers)
        assert.is_true((ask(hook)))
      end)
    end)

    it("begins none that will be late going by the others, but for one", function()
      local hook, told = support.hook()
      hook.usual = 10000 -- milliseconds, as after a bad minute
      local approve = hold(hook)
      run(function()
        local first
        cqueues.running():wrap(function() first = ask(hook) end)
        wait(function() return hook.in_flight == 1 end)
        assert.is_false((ask(hook)))
        assert.same({ "overload" }, reasons(told))
        approve()
        wait(function() return first ~= nil end)
        assert.is_true(first)
        assert.is_true(hook.usual < 10000)
      end)
    end)

    it("goes by the median of the others, whatever a few of them took", function()
      local hook = support.hook { budget = 0.79 }
      local late
      hook:on("Auth", function()
        if late then
          core.sleep(late)
        end
        return true
      end)
      for i = 1, 60 do
        late = i % 4 == 0 and 60 or nil
        support.auth(hook)
      end
      assert.is_true(hook.usual < 15, "a quarter of 60 ms came to " .. hook.usual)
      for _ = 1, 30 do
        late = 60
        support.auth(hook)
      end
      assert.is_true(hook.usual > 20, "60 ms came to " .. hook.usual)
    end)
  end)

  describe("asked again", function()
    it("gets the first answer, and the handler is not asked", function()
      local hook, told = support.hook()
      local calls = 0
      hook:on("Auth", function()
        calls = calls + 1
        return calls == 1 and { code = 9, message = "first\nanswer" } or true
      end)
      local data = support.purchase()
      for _, id in ipairs { "a", "a", "b" } do
        assert.same({ code = 9, message = "first\nanswer" },
          (select(2, support.auth(hook, data, nil, id))))
      end
      assert.equal(1, calls)
      assert.same({ "handler", "duplicate", "duplicate" }, reasons(told))
    end)

    it("while it is being decided waits for the first answer", function()
      local hook, told = support.hook { budget = 0.79 }
      local calls = 0
      hook:on("Auth", function()
        calls = calls + 1
        cqueues.sleep(0.05)
        return calls == 1
      end)
      run(function()
        local data = support.purchase()
        assert.same({ true, true, true }, ask_all(hook, { data, data, data }))
      end)
      assert.equal(1, calls)
      local duplicates = 0
      for _, entry in ipairs(told.journal) do
        duplicates = duplicates + (entry.duplicate and 1 or 0)
      end
      assert.equal(2, duplicates)
    end)

    it("with another amount, currency or card is declined and reported", function()
      local hook, told = support.hook()
      hook:on("Auth", function() return true end)
      local data = support.purchase()
      assert.is_true((support.auth(hook, data)))
      for i, changes in ipairs { { amount = "12.51" }, { local_amount = "1" },
        { local_currency = "USD" }, { card_no = "C2" }, { type = "Atm" } } do
        changes.consume_no = data.consume_no
        assert.is_false((support.auth(hook, support.purchase(changes))))
        assert.equal(i, #told.errors)
        assert.equal("changed", told.journal[#told.journal].reason)
      end
      -- The first answer stands, also for the same amount in other digits.
      assert.is_true((support.auth(hook, data)))
      data.amount = "12.5"
      assert.is_true((support.auth(hook, data)))
    end)

    it("with another amount is decided anew where that is wished", function()
      local hook = support.hook { on_changed = "decide" }
      local calls = 0
      hook:on("Auth", function(event)
        calls = calls + 1
        return event.data.amount == "20.00"
      end)
      local data = support.purchase()
      for _, case in ipairs { { "12.50", false }, { "20.00", true }, { "12.50", false },
        { "20.00", true } } do
        data.amount = case[1]
        assert.equal(case[2], (support.auth(hook, data)))
      end
      assert.equal(2, calls)
    end)

    it("with another amount while it is being decided is declined", function()
      local hook = support.hook { budget = 0.79 }
      hook:on("Auth", function()
        cqueues.sleep(0.05)
        return true
      end)
      run(function()
        local data = support.purchase()
        local first
        cqueues.running():wrap(function() first = ask(hook, data) end)
        wait(function() return hook.in_flight == 1 end)
        assert.is_false((ask(hook, support.purchase { consume_no = data.consume_no,
          amount = "99.00" })))
        wait(function() return first ~= nil end)
        assert.is_true(first)
      end)
    end)
  end)

  it("is told to the journal without anything that is not needed there", function()
    local hook, told = support.hook()
    hook:on("Auth", function() return true end)
    support.auth(hook, support.purchase { consume_no = "S-journal", pan = "4111111111111111" },
      nil, "m")
    local entry = told.journal[1]
    assert.is_true(math.abs(entry.time - core.wall()) < 10000)
    assert.is_true(entry.ms >= 0 and entry.ms < 10000)
    entry.time, entry.ms = nil, nil
    assert.same({ kind = "answer", id = "m", action = "Auth", consume_no = "S-journal",
      card_no = "C1", amount = "12.50", local_amount = "11.80", local_currency = "EUR",
      type = "Consumption", status = "Pending", decision = "approve", code = 0,
      message = "", reason = "handler", late = false, duplicate = false }, entry)
  end)

  it("does not fail with its journal, its on_late or its on_error", function()
    local hook = support.hook { budget = 0.02, journal = function() error "full" end,
      on_late = function() error "x" end, on_error = function() return true end }
    hook:on("Auth", function()
      core.sleep(30)
      return true
    end)
    assert.is_false((support.auth(hook)))
    hook:on("Auth", function() return true end)
    assert.is_true((support.auth(hook)))
  end)

  it("answered inline in coroutines of one's own waits as told", function()
    local loop = {}
    local hook = support.hook { budget = 0.79, sleep = function() coroutine.yield() end }
    local calls = 0
    hook:on("Auth", function()
      calls = calls + 1
      coroutine.yield()
      return true
    end)
    local data, answers = support.purchase(), {}
    for i = 1, 2 do
      loop[i] = coroutine.create(function() answers[i] = support.auth(hook, data) end)
    end
    for _ = 1, 1000 do
      for _, co in ipairs(loop) do
        if coroutine.status(co) ~= "dead" then
          assert(coroutine.resume(co))
        end
      end
    end
    assert.same({ true, true }, answers)
    assert.equal(1, calls)
  end)
end)
