-- The host of a plain script: ks:parallel, sleeping, and what waits where, over HTTP.
local core = require "keysecure.core"
local keysecure = require "keysecure"
local support = require "spec.support.client"
local unpack = table.unpack or rawget(_G, "unpack")

local raised, refused = support.raised, support.refused

local function numbers(count)
  local items = {}
  for i = 1, count do
    items[i] = i
  end
  return items
end

describe("ks:parallel", function()
  local world, ks

  setup(function()
    world = support.start()
    ks = world.ks
  end)
  teardown(function()
    world:stop()
  end)
  after_each(function()
    world:no_faults()
    assert.equal(0, ks.transport.engine:pending())
    assert.is_nil(next(ks.host.awaited))
    assert.is_nil(next(ks.host.ends))
    assert.equal(0, ks.host.sleepers.count)
  end)

  local function slow(operation, seconds)
    world:control("POST", "faults", { operation = operation, delay = seconds, times = "always" })
  end

  it("survives any number of functions that raise before they wait", function()
    local results, failures = ks:parallel(4, numbers(100000), function(item)
      error({ item = item })
    end)
    assert.is_nil(next(results))
    assert.equal(100000, #failures)
    assert.equal(99999, failures[99999].item)
  end)

  it("returns results in order, however long each took", function()
    local results, failures = ks:parallel(10, numbers(10), function(item, index)
      ks:sleep((11 - item) * 0.01)
      local packages = assert(ks.cards:packages { package_no = "P-" .. (item % 3 + 1) })
      return { index, packages[1].package_no }
    end)
    assert.is_nil(failures)
    for i = 1, 10 do
      assert.same({ i, "P-" .. (i % 3 + 1) }, results[i])
    end
  end)

  -- The most requests that were in flight at once, as the transport sees it.
  local function most_in_flight(limit, count, fn)
    local now, most, carrier = 0, 0, ks.transport
    ks.transport = setmetatable({ carry = function(_, call)
      now = now + 1
      most = math.max(most, now, carrier.engine:pending())
      local outcome = { carrier:carry(call) }
      now = now - 1
      return unpack(outcome, 1, 4)
    end }, { __index = carrier })
    local _, failures = ks:parallel(limit, numbers(count), fn)
    ks.transport = carrier
    assert.is_nil(failures)
    return most
  end

  it("keeps to its limit, and makes use of it #timing", function()
    slow("cards.packages", 0.05)
    local started = core.now()
    assert.equal(4, most_in_flight(4, 16, function()
      return ks.cards:packages()
    end))
    local passed = core.now() - started
    assert.is_true(passed >= 195 and passed < 700, passed) -- 4 rounds of 50 ms
    assert.equal(1, most_in_flight(1, 3, function()
      return ks.cards:packages()
    end))
    assert.equal(3, most_in_flight(64, 3, function()
      return ks.cards:packages()
    end))
  end)

  it("starts the next as soon as one is through #timing", function()
    world:control("POST", "faults", { operation = "cards.packages", delay = 0.3 })
    local started, ended = core.now(), {}
    ks:parallel(2, numbers(6), function(item)
      assert(ks.cards:packages())
      ended[item] = core.now() - started
    end)
    assert.is_true(ended[1] >= 290)
    assert.is_true(ended[6] < 250, ended[6])
  end)

  it("tells failures by index, and keeps the other results", function()
    local results, failures = ks:parallel(3, numbers(6), function(item)
      if item % 2 == 0 then
        return ks.cards:detail { card_no = "C" .. item }
      end
      return item
    end)
    for i = 1, 6 do
      if i % 2 == 0 then
        assert.is_nil(results[i])
        refused({ code = 4001, operation = "cards.detail" }, nil, failures[i])
      else
        assert.equal(i, results[i])
        assert.is_nil(failures[i])
      end
    end
  end)

  it("tells what a function raised, and goes on with the others", function()
    local thrown = { "a table" }
    local results, failures = ks:parallel(2, numbers(8), function(item)
      if item == 2 then
        error("broken", 0)
      elseif item == 4 then
        error((select(2, ks.cards:detail { card_no = "C1" })))
      elseif item == 5 then
        ks.cards:packages()
        error(thrown)
      elseif item == 7 then
        local _ = ks.cards:detail { card_nr = "C1" }
      end
      return assert(ks.cards:packages()) and item
    end)
    assert.equal("broken", failures[2])
    assert.is_true(keysecure.is_error(failures[4]))
    assert.equal(4001, failures[4].code)
    assert.equal(thrown, failures[5])
    assert.matches("host_script_spec.lua:%d+: cards.detail takes no field", failures[7])
    for _, i in ipairs { 1, 3, 6, 8 } do
      assert.equal(i, results[i])
      assert.is_nil(failures[i])
    end
  end)

  it("goes on where every function raises", function()
    local count = 0
    local results, failures = ks:parallel(3, numbers(10), function(item)
      count = count + 1
      error(item, 0)
    end)
    assert.equal(10, count)
    assert.same({}, results)
    assert.same(numbers(10), failures)
  end)

  it("lets nil and false be results", function()
    local results, failures = ks:parallel(2, numbers(3), function(item)
      if item == 2 then
        return false
      end
    end)
    assert.is_nil(failures)
    assert.is_nil(results[1])
    assert.is_false(results[2])
  end)

  it("does nothing with no items, and calls nothing by itself", function()
    local counted = world:counted(function()
      assert.same({ {} }, { ks:parallel(4, {}, error) })
      assert.same({ { 1, 4, 9 } }, { ks:parallel(4, numbers(3), function(item)
        return item * item
      end) })
    end)
    assert.equal(0, counted.total)
  end)

  it("lets a function make several calls, one after the other", function()
    local results, failures = ks:parallel(8, numbers(8), function(item)
      local holder = assert(ks.cardholders:apply {
        cardholder_unique_no = world:unique "holder", sumsub_share_token = "share" })
      assert(holder:wait "Approved")
      local card = assert(holder:apply_card { package_no = "P-1", card_type = "Virtual",
        card_unique_no = world:unique "card" })
      assert(card:wait "Activated")
      assert(holder:transfer { type = "In", balance = item .. ".00",
        transfer_unique_no = world:unique "transfer" })
      return assert(holder:accounts())[1].balance
    end)
    assert.is_nil(failures, failures and tostring(failures[next(failures)]))
    for i = 1, 8 do
      assert.equal(i .. ".00", results[i])
    end
  end)

  it("may be called inside itself", function()
    slow("cards.packages", 0.02)
    local results, failures = ks:parallel(3, numbers(3), function(outer)
      local inner, wrong = ks:parallel(2, numbers(4), function(item)
        assert(ks.cards:packages())
        return outer * 10 + item
      end)
      assert(wrong == nil)
      ks:sleep(0.01)
      assert(ks.cards:packages())
      return inner
    end)
    assert.is_nil(failures)
    assert.same({ { 11, 12, 13, 14 }, { 21, 22, 23, 24 }, { 31, 32, 33, 34 } }, results)
  end)

  it("lets many sleep at once, with nothing in flight #timing", function()
    local started = core.now()
    local order = {}
    local results = ks:parallel(20, numbers(20), function(item)
      ks:sleep(item % 2 == 0 and 0.05 or 0.1)
      order[#order + 1] = item
      return item
    end)
    local passed = core.now() - started
    assert.is_true(passed >= 99 and passed < 400, passed)
    assert.same(numbers(20), results)
    for i = 1, 10 do
      assert.equal(0, order[i] % 2)
    end
  end)

  it("lets some sleep while others call #timing", function()
    slow("cards.packages", 0.1)
    local started = core.now()
    local _, failures = ks:parallel(6, numbers(6), function(item)
      if item % 2 == 0 then
        ks:sleep(0.1)
        return true
      end
      return ks.cards:packages()
    end)
    assert.is_nil(failures)
    assert.is_true(core.now() - started < 400)
  end)

  it("blocks in a coroutine of one's own, and others go on meanwhile", function()
    slow("cards.packages", 0.05)
    local results, failures = ks:parallel(3, numbers(6), function()
      local pages = coroutine.wrap(function()
        for page = 0, 2 do
          local list = assert(ks.cards:packages { page = page, size = 1 })
          coroutine.yield(list[1].package_no)
        end
      end)
      return pages() .. pages() .. pages()
    end)
    assert.is_nil(failures, failures and tostring(failures[next(failures)]))
    for i = 1, 6 do
      assert.equal("P-1P-2P-3", results[i])
    end
  end)

  it("lets walks be made inside it", function()
    local results, failures = ks:parallel(4, numbers(8), function()
      local each = ks.cards:each_package { size = 1 }
      local seen = {}
      local package = each()
      while package do
        seen[#seen + 1] = package.package_no
        package = each()
      end
      return table.concat(seen)
    end)
    assert.is_nil(failures)
    for i = 1, 8 do
      assert.equal("P-1P-2P-3", results[i])
    end
  end)

  it("retries and refreshes inside it", function()
    assert(ks.cards:packages())
    world:control("POST", "tokens/expire")
    for _ = 1, 3 do
      world:fault("cards.packages", 1001)
    end
    local counted = world:counted(function()
      local _, failures = ks:parallel(5, numbers(10), function()
        return ks.cards:packages()
      end)
      assert.is_nil(failures)
    end)
    assert.equal(1, counted.of["merchant.token"])
  end)

  it("wakes those that wait for a token although its fetch failed #timing", function()
    local fresh = world:client()
    world:fault("merchant.token", 1008)
    local started = core.now()
    local _, failures = fresh:parallel(4, numbers(4), function()
      return fresh.cards:packages()
    end)
    assert.is_true(core.now() - started < 1000)
    for i = 1, 4 do
      refused({ code = 1008, outcome = "not_sent" }, nil, failures[i])
    end
  end)

  it("ends those that wait for a token at their own time-out #timing", function()
    local fresh = world:client()
    slow("merchant.token", 2)
    local started, passed = core.now(), {}
    local _, failures = fresh:parallel(3, numbers(3), function(item)
      local value, err = fresh.cards:packages({}, { timeout = item * 0.15 })
      passed[item] = core.now() - started
      return value, err
    end)
    for i = 1, 3 do
      assert.is_true(passed[i] >= i * 150 - 5 and passed[i] < i * 150 + 140, passed[i])
      refused({ kind = "timeout", outcome = "not_sent", attempts = 0 }, nil, failures[i])
    end
  end)

  it("is for calls of its own client: another's block", function()
    local other = world:client()
    local results, failures = ks:parallel(2, numbers(4), function()
      return #assert(other.cards:packages()) + #assert(ks.cards:packages())
    end)
    assert.is_nil(failures)
    assert.same({ 6, 6, 6, 6 }, results)
  end)

  it("tells a function that yields by itself, and goes on with the others", function()
    local results, failures = ks:parallel(2, numbers(4), function(item)
      if item == 2 then
        coroutine.yield "by itself"
      end
      return #assert(ks.cards:packages())
    end)
    assert.matches("a function yielded by itself", failures[2], 1, true)
    failures[2] = nil
    assert.is_nil(next(failures))
    assert.same({ [1] = 3, [3] = 3, [4] = 3 }, results)
  end)

  it("checks what it is given", function()
    for _, limit in ipairs { 0, -1, "4", 0 / 0 } do
      assert.matches("parallel: a limit of at least 1 expected",
        raised(ks.parallel, ks, limit, {}, print), 1, true)
    end
    assert.matches("(limit, items, function)", raised(ks.parallel, ks, 1, print, {}), 1, true)
    assert.matches("(limit, items, function)", raised(ks.parallel, ks, 1, {}), 1, true)
  end)
end)

describe("outside of it", function()
  local world, ks

  setup(function()
    world = support.start()
    ks = world.ks
  end)
  teardown(function()
    world:stop()
  end)

  it("a call blocks, in a coroutine as well", function()
    local thread = coroutine.create(function()
      return #assert(ks.cards:packages())
    end)
    local ok, count = coroutine.resume(thread)
    assert.is_true(ok)
    assert.equal(3, count)
    assert.equal("dead", coroutine.status(thread))
  end)

  it("sleeping waits, and no longer than asked #timing", function()
    local started = core.now()
    ks:sleep(0.1)
    local passed = core.now() - started
    assert.is_true(passed >= 99 and passed < 250, passed)
    started = core.now()
    ks:sleep(0)
    ks:sleep(-1)
    assert.is_true(core.now() - started < 20)
    assert.matches("a number of seconds expected", raised(ks.sleep, ks, "1"), 1, true)
  end)

  it("two clients may be called in turns", function()
    local other = world.authorization
    for _ = 1, 5 do
      assert.equal(3, #assert(ks.cards:packages()))
      assert.equal(2, #assert(other.cards:bins()))
    end
  end)
end)

describe("a call of a script", function()
  local world, ks

  setup(function()
    world = support.start()
  end)
  teardown(function()
    world:stop()
  end)
  before_each(function()
    ks = world:client()
  end)

  local function told_by(fn, ...)
    local ok, fault = pcall(fn, ...)
    assert.is_false(ok)
    return fault.told
  end

  local function raise_twice()
    ks:spawn(function() end, function() error { told = "done" } end)
    ks:spawn(function() error { told = "function" } end)
  end

  it("is not cost its result by what others raise, which the next ones do", function()
    local holder = world:holder(ks)
    raise_twice()
    local row = assert(holder:transfer { type = "In", balance = "5.00",
      transfer_unique_no = world:unique "T" })
    assert.equal("5.00", row.balance)
    local counted = world:counted(function()
      assert.equal("done", told_by(ks.cards.packages, ks.cards))
    end)
    assert.equal(0, counted.total)
    assert.equal("function", told_by(ks.step, ks))
    assert.equal(3, #assert(ks.cards:packages()))
    ks:close()
  end)

  it("leaves it to close where there is no next one", function()
    raise_twice()
    assert(ks.cards:packages())
    assert.equal("done", told_by(ks.close, ks))
    ks:close()
  end)
end)
