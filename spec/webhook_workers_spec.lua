-- lua/keysecure/webhook/authorize.lua and guard.lua: what two workers with one store answer, and
-- what a store does to that which is slow or fails.
local core = require "keysecure.core"
local cqueues = require "cqueues"
local memory = require "keysecure.webhook.store.memory"
local support = require "spec.support.webhook"

local ask, hold, run, wait = support.ask_in_loop, support.hold, support.run, support.wait

describe("an authorization shared with another worker", function()
  local store, here, there, told

  before_each(function()
    store = memory.new()
    here = support.hook { store = store, budget = 0.79 }
    there, told = support.hook { store = store, budget = 0.79 }
  end)

  it("gets the answer that was given there", function()
    here:on("Auth", function() return { code = 3, message = "there" } end)
    there:on("Auth", function() return true end)
    local data = support.purchase()
    assert.is_false((support.auth(here, data)))
    assert.equal(3, select(2, support.auth(there, data)).code)
    assert.is_true(told.journal[1].duplicate)
  end)

  it("waits for the answer that is being found there", function()
    here:on("Auth", function()
      cqueues.sleep(0.05)
      return true
    end)
    there:on("Auth", function() error "not here" end)
    run(function()
      local data = support.purchase()
      local first
      cqueues.running():wrap(function() first = ask(here, data) end)
      wait(function() return here.in_flight == 1 end)
      assert.is_true((ask(there, data)))
      wait(function() return first ~= nil end)
      assert.is_true(first)
    end)
    assert.same({}, told.errors)
  end)

  it("gets the fallback where that worker died, and so does everybody afterwards", function()
    local quick = support.hook { store = store, budget = 0.05 }
    quick:on("Auth", function() return true end)
    there:on("Auth", function() return true end)
    local data = support.purchase()
    -- What a worker leaves that dies over its handler.
    store:add("claim:" .. data.consume_no, "12.5|11.8|EUR|C1|Consumption\n" .. ("ab"):rep(32), 60)
    assert.is_false((support.auth(quick, data)))
    assert.is_false((support.auth(there, data)))
    assert.equal("duplicate", told.journal[1].reason)
  end)

  it("has a worker's answer count no more once another has given the fallback", function()
    local first, first_told = support.hook { store = store, budget = 0.79 }
    local quick = support.hook { store = store, budget = 0.03 }
    first:on("Auth", function()
      cqueues.sleep(0.2)
      return true
    end)
    quick:on("Auth", function() return true end)
    run(function()
      local data = support.purchase()
      local slow
      cqueues.running():wrap(function() slow = ask(first, data) end)
      wait(function() return first.in_flight == 1 end)
      assert.is_false((ask(quick, data)))
      wait(function() return slow ~= nil end)
      assert.is_false(slow)
      assert.equal(1, #first_told.lates)
      assert.is_true(first_told.lates[1].made.approved)
    end)
  end)

  -- The store as one that has to be waited for, `seconds` for each look.
  local function distant(seconds)
    local slow = { immediate = false }
    for _, name in ipairs { "get", "add", "set", "delete" } do
      slow[name] = function(_, ...)
        cqueues.sleep(seconds)
        return store[name](store, ...)
      end
    end
    return slow
  end

  -- A hook with another store that approves what it can't decide, busy with something else.
  local function busy(other, fn)
    local hook, heard = support.hook { store = other, budget = 0.2, max_in_flight = 1,
      on_timeout = "approve" }
    local approve = hold(hook)
    run(function()
      cqueues.running():wrap(function() ask(hook) end)
      wait(function() return hook.in_flight == 1 end)
      fn(hook, heard)
      approve()
    end)
  end

  it("gets that answer though this one has too much to do", function()
    here:on("Auth", function() return false end)
    local data = support.purchase()
    assert.is_false((support.auth(here, data)))
    busy(distant(0.01), function(hook, heard)
      assert.is_false((ask(hook, data)))
      assert.equal("duplicate", heard.journal[1].reason)
      assert.is_true((ask(hook)))
      assert.equal("overload", heard.journal[2].reason)
    end)
  end)

  it("is looked up for no more than may be decided at once", function()
    busy(distant(0.1), function(hook, heard)
      local others = 0
      cqueues.running():wrap(function()
        ask(hook)
        others = others + 1
      end)
      wait(function() return hook.looking == 1 end)
      assert.is_true((ask(hook))) -- that one is still being looked up
      assert.same({ 0, "overload" }, { others, heard.journal[1].reason })
      wait(function() return others == 1 and hook.looking == 0 end)
    end)
  end)

  it("says so where it could not be known in time", function()
    here:on("Auth", function() return false end)
    local data = support.purchase()
    assert.is_false((support.auth(here, data)))
    busy(distant(0.3), function(hook, heard)
      assert.is_true((ask(hook, data)))
      wait(function() return #heard.errors == 1 end)
      assert.equal("approved, though it had been declined", heard.errors[1])
      assert.truthy(store:get("answer:" .. data.consume_no):find "\n1 ")
    end)
  end)

  it("gets that answer while another amount is asked about", function()
    here:on("Auth", function() return true end)
    there:on("Auth", function() error "not here" end)
    local small = support.purchase { amount = "1.00" }
    assert.is_true((support.auth(here, small)))
    there.store = distant(0.02)
    run(function()
      local large
      cqueues.running():wrap(function()
        large = ask(there, support.purchase { amount = "9.00", consume_no = small.consume_no })
      end)
      wait(function() return there.in_flight == 1 end)
      assert.is_true((ask(there, small)))
      wait(function() return large ~= nil end)
      assert.is_false(large)
    end)
  end)

  it("gets one answer, also where it is found in the last moment", function()
    for _ = 1, 10 do
      here:on("Auth", function(event)
        while event:time_left() > 0.002 do
          cqueues.sleep(0.001)
        end
        return true
      end)
      there:on("Auth", function() error "not here" end)
      run(function()
        local data, at, first = support.purchase(), core.wall() / 1000 - 0.7, nil
        cqueues.running():wrap(function() first = ask(here, data, at) end)
        wait(function() return here.in_flight == 1 end)
        local second = ask(there, data, at)
        wait(function() return first ~= nil end)
        assert.equal(first, second)
      end)
    end
  end)

  -- A store that does `fault` instead of taking an answer, so many times.
  local function failing(times, fault)
    local other = distant(0)
    local add = other.add
    function other.add(_, key, ...)
      if key:find "^answer:" and times > 0 then
        times = times - 1
        return fault()
      end
      return add(nil, key, ...)
    end
    return other
  end

  for name, fault in pairs { fails = function() return nil, "down" end,
    raises = function() error "down" end } do
    it("is a no where the store does not take the yes, which is late: it " .. name, function()
      local hook, heard = support.hook { store = failing(1, fault), budget = 0.79 }
      hook:on("Auth", function() return true end)
      local data = support.purchase()
      assert.is_false((support.auth(hook, data)))
      assert.equal("store", heard.journal[2].reason)
      assert.is_true(heard.lates[1].made.approved)
      assert.matches("down", heard.errors[1])
      assert.is_false((support.auth(hook, data)))
      assert.equal("duplicate", heard.journal[3].reason)
    end)
  end

  it("is handed over once, also where the platform had told of it before", function()
    local now = 1000000000
    local shared = memory.new { now = function() return now end }
    local hook, heard = support.hook { store = shared, clock = function() return now / 1000 end }
    local calls, data = 0, support.purchase()
    hook:on("Auth", function()
      calls = calls + 1
      return true
    end)
    hook:on("Consumption", function() end)
    local headers, body = support.request("Consumption", data, { timestamp = now })
    assert.equal(200, (hook:answer(headers, body)))
    for _, minutes in ipairs { 30, 35 } do
      now = now + minutes * 60000
      assert.is_true((support.auth(hook, data, { timestamp = now })))
    end
    assert.equal(1, calls)
    assert.equal("duplicate", heard.journal[3].reason)
  end)

  it("is handed over once as long as its answer is known", function()
    local now, calls, data = 1000000000, 0, support.purchase()
    local hook = support.hook { clock = function() return now / 1000 end,
      store = memory.new { now = function() return now end } }
    hook:on("Auth", function()
      calls, now = calls + 1, now + 500 -- so the answer ends half a second after the claim began to
      return true
    end)
    assert.is_true((support.auth(hook, data, { timestamp = now })))
    now = now + 3600000 - 100
    assert.is_true((support.auth(hook, data, { timestamp = now })))
    assert.equal(1, calls)
  end)

  it("is not decided where the store cannot say", function()
    local broken = { get = function() return nil, "down" end }
    broken.add, broken.set, broken.delete = broken.get, broken.get, broken.get
    local hook, heard = support.hook { store = broken }
    local calls = 0
    hook:on("Auth", function()
      calls = calls + 1
      return true
    end)
    assert.is_false((support.auth(hook)))
    assert.equal(0, calls)
    assert.equal("store", heard.journal[1].reason)
    assert.truthy(heard.errors[1]:find "down")
  end)

  it("is no answer to another amount, where there is no time to ask", function()
    here:on("Auth", function() return true end)
    there:on("Auth", function() error "not here" end)
    local small = support.purchase { amount = "1.00" }
    assert.is_true((support.auth(here, small)))
    local large = support.purchase { amount = "9.00", consume_no = small.consume_no }
    assert.is_false((ask(there, large, core.wall() / 1000 - 2)))
    assert.equal("changed", told.journal[1].reason)
    assert.is_true((ask(there, small, core.wall() / 1000 - 2)))
    assert.equal("duplicate", told.journal[2].reason)
  end)

  it("is no answer to another amount, where it was a fallback", function()
    local kind = support.hook { store = store, on_timeout = "approve" }
    kind:on("Auth", function() return false end)
    local small = support.purchase { amount = "1.00" }
    run(function()
      assert.is_true((ask(kind, small, core.wall() / 1000 - 2)))
    end)
    there:on("Auth", function() return false end)
    local large = support.purchase { amount = "9.00", consume_no = small.consume_no }
    assert.is_false((support.auth(there, large)))
    assert.equal("changed", told.journal[#told.journal].reason)
  end)

  it("repairs what was written just before the clock decided otherwise", function()
    local slow_store = memory.new()
    local slow = setmetatable({ immediate = false }, { __index = slow_store })
    function slow.add(_, key, value, seconds)
      if key:find "^answer:" and value:find "\n0 $" then
        slow_store:add(key, value, seconds)
        cqueues.sleep(0.15) -- written, but the reply is on its way
        return true
      end
      return slow_store:add(key, value, seconds)
    end
    local hook, heard = support.hook { store = slow, budget = 0.1 }
    hook:on("Auth", function() return true end)
    run(function()
      local data = support.purchase()
      assert.is_false((ask(hook, data)))
      wait(function() return #heard.lates == 1 end)
      assert.truthy(slow_store:get("answer:" .. data.consume_no):find "\n1 declined$")
    end)
  end)
end)
