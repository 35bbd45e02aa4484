-- What is cqueues' alone; the rest is in host_conformance_spec. Over HTTP.
local has_cqueues, cqueues = pcall(require, "cqueues")
if not has_cqueues then
  pending "the host of cqueues: the module cqueues is not installed"
  return
end
local core = require "keysecure.core"
local support = require "spec.support.client"

describe("the host of cqueues", function()
  local world, ks, loop

  setup(function()
    world = support.start()
  end)
  teardown(function()
    world:stop()
  end)
  before_each(function()
    ks = world:client { host = "cqueues" }
    loop = cqueues.new()
  end)
  after_each(function()
    world:no_faults()
    ks:close()
  end)

  -- Runs the loop until it is empty; raises what a coroutine raised, or where it takes too long.
  local function run()
    local give_up = core.seconds() + 20
    while not loop:empty() do
      local ok, fault = loop:step(1)
      if not ok then
        error(fault, 0)
      end
      assert.is_true(core.seconds() < give_up)
    end
  end

  local function slow(operation, seconds)
    world:control("POST", "faults", { operation = operation, delay = seconds, times = "always" })
  end

  it("lets the other coroutines of the loop go on", function()
    slow("cards.packages", 0.3)
    local beats, count = 0, nil
    loop:wrap(function()
      count = #assert(ks.cards:packages())
    end)
    loop:wrap(function()
      while not count do
        cqueues.sleep(0.01)
        beats = beats + 1
      end
    end)
    run()
    assert.equal(3, count)
    assert.is_true(beats >= 5, beats)
  end)

  it("sends what a call with done was given, whatever becomes of that table", function()
    local holder = world:holder()
    local fields, transfers = { cardholder_no = holder.cardholder_no, type = "In" }, {}
    loop:wrap(function()
      for i = 1, 3 do
        fields.transfer_unique_no, fields.balance = world:unique "T", i .. ".00"
        local number = fields.transfer_unique_no
        ks.accounts:transfer(fields, { done = function(transfer, err)
          transfers[i] = { number, transfer and transfer.transfer_unique_no, transfer
            and transfer.balance, err }
        end })
      end
      fields.balance = "900.00"
    end)
    run()
    for i = 1, 3 do
      assert.equal(transfers[i][1], transfers[i][2])
      assert.equal(i .. ".00", transfers[i][3])
    end
    assert.equal("6.00", assert(world.ks.accounts:info {
      cardholder_no = holder.cardholder_no })[1].balance)
  end)

  it("wakes one who sleeps while others wait for longer", function()
    assert(ks.cards:packages())
    slow("cards.packages", 1.5)
    local order = {}
    loop:wrap(function()
      assert(ks.cards:packages())
      order[#order + 1] = "call"
    end)
    loop:wrap(function()
      cqueues.sleep(0.1)
      ks:sleep(0.05)
      order[#order + 1] = "sleeper"
    end)
    run()
    assert.same({ "sleeper", "call" }, order)
  end)

  it("leaves nothing in the loop when nobody waits", function()
    loop:wrap(function()
      assert(ks.cards:packages())
    end)
    run()
    assert.is_true(loop:empty())
    assert.is_false(ks.host:busy())
    assert.is_nil(next(ks.host.pumped))
  end)

  it("works in two loops, one inside the other", function()
    local counts = {}
    loop:wrap(function()
      counts[1] = #assert(ks.cards:packages())
      local inner = cqueues.new()
      inner:wrap(function()
        counts[2] = #assert(ks.cards:packages())
      end)
      inner:loop()
      counts[3] = #assert(ks.cards:packages())
    end)
    run()
    assert.same({ 3, 3, 3 }, counts)
  end)

  it("runs functions as coroutines of the loop, in which all of cqueues works", function()
    local results, told
    loop:wrap(function()
      results = ks:parallel(3, { 1, 2, 3 }, function(item)
        cqueues.sleep(0.01)
        assert(ks.cards:packages())
        cqueues.sleep(0.01)
        return item
      end)
      ks:spawn(function(first)
        cqueues.sleep(0.01)
        error("broken after " .. first, 0)
      end, function(...) told = { ... } end, 7)
    end)
    run()
    assert.same({ 1, 2, 3 }, results)
    assert.same({ nil, "broken after 7" }, told)
    assert.equal(0, ks:pending())
  end)

  it("refuses a call in a coroutine inside a coroutine, and sends nothing", function()
    local ok, message
    local counted = world:counted(function()
      loop:wrap(function()
        ok, message = coroutine.resume(coroutine.create(function() ks.cards:packages() end))
      end)
      run()
    end)
    assert.is_false(ok)
    assert.matches("host_cqueues_spec.lua:%d+: a call in a coroutine of your own", message)
    assert.equal(0, counted.total)
  end)

  it("spawns nothing where no loop would run it", function()
    assert.matches("only in a coroutine of a controller",
      support.raised(ks.spawn, ks, function() end), 1, true)
  end)

  it("tells those who wait that the client was closed", function()
    slow("cards.packages", 10)
    local kinds = {}
    local function tell(fn)
      loop:wrap(function()
        local _, value, err = pcall(fn)
        kinds[#kinds + 1] = (err or value).kind
      end)
    end
    if coroutine.isyieldable then -- PUC Lua 5.1 can't call inside pcall
      tell(function() return ks.cards:packages() end)
      tell(function() ks:sleep(10) end)
    end
    loop:wrap(function()
      local _, err = ks.cards:packages()
      kinds[#kinds + 1] = err.kind
    end)
    loop:wrap(function()
      cqueues.sleep(0.2)
      ks:close()
    end)
    local started = core.seconds()
    run()
    assert.is_true(core.seconds() - started < 8)
    assert.equal(coroutine.isyieldable and 3 or 1, #kinds)
    for _, kind in ipairs(kinds) do
      assert.equal("cancelled", kind)
    end
  end)

  it("may lose its loop with calls in flight", function()
    slow("cards.packages", 10)
    for _ = 1, 3 do
      local lost = cqueues.new()
      lost:wrap(function() ks.cards:packages() end)
      lost:step(0.05)
      lost:step(0.05)
    end
    collectgarbage()
    collectgarbage()
    world:no_faults()
    local count
    loop:wrap(function() count = #assert(ks.cards:packages()) end)
    run()
    assert.equal(3, count)
  end)
end)
