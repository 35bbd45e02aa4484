-- What the retry budget bounds: the requests that a platform in trouble gets from all clients of a
-- process together, over real HTTP.
local core = require "keysecure.core"
local keysecure = require "keysecure"
local lossy = require "spec.support.lossy"
local support = require "spec.support.client"

local CAPACITY, COST, ATTEMPTS = 500, 5, 5
local REFUSED = { 1001, 1009 }

describe("the retry budget #plain", function()
  local world, budget

  setup(function()
    world = support.start()
    budget = core.shared_budget()
  end)
  teardown(function()
    world:stop()
  end)
  before_each(function()
    budget:earn(100)
  end)
  after_each(function()
    world:no_faults()
    budget:earn(100)
  end)

  local function numbers(count)
    local list = {}
    for i = 1, count do
      list[i] = i
    end
    return list
  end

  -- Reads of several clients, one after the other; the sum of what each counted.
  local function read(clients, count)
    for _, ks in ipairs(clients) do
      ks:parallel(60, numbers(count / #clients), function()
        ks.cards:packages()
        return true
      end)
    end
    local sum = { calls = 0, attempts = 0, done = 0 }
    for _, ks in ipairs(clients) do
      local stats = ks:stats()
      sum.calls, sum.attempts = sum.calls + stats.calls, sum.attempts + stats.attempts
      sum.done = sum.done + stats.outcomes.done
    end
    return sum
  end

  for _, code in ipairs(REFUSED) do
    it("lets a platform that always answers " .. code .. " have 100 requests more than calls",
      function()
        local clients = { world:client(), world:client(), world:client(), world:client() }
        for _, ks in ipairs(clients) do
          assert(ks.cards:packages())
        end
        budget:earn(100)
        world:fault("cards.packages", code, "always")
        local counted = world:counted(function()
          read(clients, 1000)
        end)
        assert.is_true(counted.of["cards.packages"] > 1000)
        assert.is_true(counted.of["cards.packages"] <= 1000 + CAPACITY / COST,
          counted.of["cards.packages"])
        assert.is_true(budget:left() < COST)
      end)

    -- Whoever fails twice on end pays for the first of it; a retry that succeeded is paid back.
    it("holds where half of all requests are answered " .. code, function()
      math.randomseed(7)
      local repaid, first = 0, 0
      local clients = {}
      for i = 1, 4 do
        local options = world:options()
        options.transport = lossy.new(options, function()
          if math.random() < 0.5 then
            return { status = 200, headers = {},
              body = ('{"code":%d,"msg":"not now"}'):format(code) }
          end
        end)
        options.on_event = function(event)
          if event.event == "call" and event.outcome == "done" then
            repaid = repaid + (event.attempts > 1 and 1 or 0)
            first = first + (event.attempts == 1 and 1 or 0)
          end
        end
        clients[i] = assert(keysecure.new(options))
        world.clients[#world.clients + 1] = clients[i]
      end
      local sum = read(clients, 800)
      assert.equal(800, sum.calls)
      local bound = sum.calls + repaid + (CAPACITY + first) / COST
      assert.is_true(sum.attempts <= bound, sum.attempts .. " > " .. bound)
      assert.is_true(sum.attempts < sum.calls * 2)
      assert.is_true(sum.done > sum.calls * 0.5)
      assert.is_true(budget:left() < CAPACITY / 2) -- it was what held them
    end)
  end

  it("holds where nobody listens", function()
    local ks = world:client { address = "http://127.0.0.1:9", timeout = 20 }
    local sum = read({ ks }, 1000)
    assert.equal(1000, sum.calls)
    assert.equal(0, sum.done)
    local stats = ks:stats()
    assert.is_true(stats.token_requests <= 1000 + CAPACITY / COST, stats.token_requests)
    assert.equal(1000, stats.outcomes.not_sent)
  end)

  -- A look that was answered at once earns as any read does, so that five pay for one more.
  it("bounds the looks at writes that were lost: one each, and as many more as it pays", function()
    local holder = world:holder()
    local ks = world:client()
    assert(ks.cards:packages())
    world:fault("accounts.transfer", 1001, "always")
    local writes = 60
    local counted = world:counted(function()
      ks:parallel(20, numbers(writes), function(i)
        support.refused({ outcome = "unknown", attempts = 1 }, ks.accounts:transfer({
          cardholder_no = holder.cardholder_no, type = "In", balance = "1.00",
          transfer_unique_no = "T-" .. i }, { timeout = 3 }))
        return true
      end)
    end)
    assert.equal(writes, counted.of["accounts.transfer"])
    assert.is_true(counted.of["accounts.transfers"] >= writes)
    assert.is_true(counted.of["accounts.transfers"] <= (writes + CAPACITY / COST) * COST / 4,
      counted.of["accounts.transfers"])
  end)

  it("leaves a call its five requests where there is no trouble", function()
    world:fault("cards.packages", 1001, ATTEMPTS - 1)
    assert.equal(ATTEMPTS, keysecure.how(assert(world:client().cards:packages())).attempts)
  end)
end)
