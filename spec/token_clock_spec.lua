-- The token and the clock as the client keeps them, over HTTP: how many requests for a token the
-- emulator counts, and which Timestamps it sees.
local core = require "keysecure.core"
local calls = require "spec.support.calls"
local support = require "spec.support.client"

describe("the token", function()
  local world

  setup(function()
    world = support.start()
  end)
  teardown(function()
    world:stop()
  end)
  after_each(function()
    world:no_faults()
    world:configure { token_lifetime = 86400, single_session = false,
      merchants = { credit = { key_state = "enabled" } } }
  end)

  local function many(count)
    local items = {}
    for i = 1, count do
      items[i] = i
    end
    return items
  end

  local function together(ks, limit, count)
    local results, failures = ks:parallel(limit, many(count), function()
      return ks.cards:packages()
    end)
    assert.is_nil(failures, failures and tostring(failures[next(failures)]))
    assert.equal(count, #results)
  end

  it("of 50 calls is asked for once", function()
    local ks = world:client()
    local counted = world:counted(function()
      for _ = 1, 50 do
        assert(ks.cards:packages())
      end
    end)
    assert.equal(1, counted.token_requests)
    assert.equal(1, counted.of["merchant.token"])
    assert.equal(50, counted.of["cards.packages"])
  end)

  it("of 50 calls at once is asked for once #timing", function()
    local ks = world:client()
    local started = core.now()
    local counted = world:counted(function()
      together(ks, 50, 50)
    end)
    assert.equal(1, counted.of["merchant.token"])
    assert.equal(50, counted.of["cards.packages"])
    assert.is_true(core.now() - started < 3000)
  end)

  it("is waited for by calls at once while it takes its time", function()
    local ks = world:client()
    world:control("POST", "faults", { operation = "merchant.token", delay = 0.2 })
    local counted = world:counted(function()
      together(ks, 10, 20)
    end)
    assert.equal(1, counted.of["merchant.token"])
    assert.equal(20, counted.of["cards.packages"])
  end)

  it("is refreshed once after a 1007, and the call sent once more", function()
    local ks = world:client()
    assert(ks.cards:packages())
    for _ = 1, 3 do
      world:control("POST", "tokens/expire")
      local counted = world:counted(function()
        assert(ks.cards:packages())
        assert(ks.cards:packages())
      end)
      assert.equal(1, counted.of["merchant.token"])
      assert.equal(3, counted.of["cards.packages"])
    end
  end)

  it("is refreshed for a write as well, which is done once", function()
    local ks = world:client()
    local holder = world:holder(ks)
    world:control("POST", "tokens/expire")
    local counted = world:counted(function()
      assert.equal("9.00", assert(holder:transfer { type = "In", balance = "9.00",
        transfer_unique_no = world:unique "transfer" }).after_balance)
    end)
    assert.equal(1, counted.of["merchant.token"])
    assert.equal(2, counted.of["accounts.transfer"])
    assert.equal("9.00", assert(holder:accounts())[1].balance)
  end)

  it("is refreshed once for all calls at once whose token was refused", function()
    local ks = world:client()
    assert(ks.cards:packages())
    world:control("POST", "tokens/expire")
    local counted = world:counted(function()
      together(ks, 20, 20)
    end)
    assert.equal(1, counted.of["merchant.token"])
    assert.is_true(counted.of["cards.packages"] <= 40)
  end)

  it("that ends under 200 calls in flight is asked for once more", function()
    local ks = world:client()
    assert(ks.cards:packages())
    -- All are on their way with a token that is good no more before the first is answered.
    world:control("POST", "tokens/expire")
    local counted = world:counted(function()
      together(ks, 200, 200)
    end)
    assert.equal(1, counted.of["merchant.token"])
    assert.is_true(counted.of["cards.packages"] <= 400, counted.of["cards.packages"])
    assert.is_true(counted.of["cards.packages"] >= 250, counted.of["cards.packages"])
  end)

  it("refused again and again ends the call after one more attempt", function()
    local ks = world:client()
    assert(ks.cards:packages())
    world:fault("cards.packages", 1007, "always")
    local counted = world:counted(function()
      support.refused({ code = 1007, attempts = 2 }, ks.cards:packages())
    end)
    assert.equal(1, counted.of["merchant.token"])
    assert.equal(2, counted.of["cards.packages"])
    world:no_faults()
    assert(ks.cards:packages())
  end)

  it("taken away by another's session is fetched again", function()
    world:configure { single_session = true }
    local first, second = world:client(), world:client()
    for _ = 1, 2 do
      for _, ks in ipairs { first, second } do
        local counted = world:counted(function()
          assert(ks.cards:packages())
        end)
        assert.equal(1, counted.of["merchant.token"])
      end
    end
  end)

  it("that is refused is not asked for by every waiting call", function()
    local ks = world:client()
    world:configure { merchants = { credit = { key_state = "disabled" } } }
    local failures
    local counted = world:counted(function()
      failures = select(2, ks:parallel(10, many(10), function()
        return ks.cards:packages()
      end))
    end)
    assert.equal(1, counted.total)
    for i = 1, 10 do
      support.refused({ code = 1010, outcome = "not_sent", attempts = 0,
        operation = "cards.packages" }, nil, failures[i])
    end
  end)

  it("whose fetch ran out of its caller's time is fetched by one that has more", function()
    local small = calls.world()
    local hasty, patient = calls.begin(small, { timeout = 1000 }), calls.begin(small)
    assert.equal("send", calls.next(small, hasty))
    assert.equal("wait", calls.next(small, patient))
    small.monotonic = small.monotonic + 1000
    local action, succeeded, failure = calls.fail(small, hasty, "timeout", "sent", "no answer")
    assert.equal("done", action)
    assert.is_false(succeeded)
    assert.equal("timeout", failure.kind)
    assert.equal("not_sent", failure.outcome)
    assert.equal("send", calls.next(small, patient))
  end)

  it("about to end is refreshed beforehand: no call is refused #timing", function()
    world:configure { token_lifetime = 2 }
    local ks = world:client()
    local before = world:stats().codes["1007"] or 0
    local counted = world:counted(function()
      local ending = core.now() + 2600
      while core.now() < ending do
        assert(ks.cards:packages())
        ks:sleep(0.02)
      end
    end)
    assert.equal(before, world:stats().codes["1007"] or 0)
    assert.is_true(counted.of["merchant.token"] >= 2, counted.of["merchant.token"])
  end)
end)

describe("the clock", function()
  local world

  setup(function()
    world = support.start()
  end)
  teardown(function()
    world:stop()
  end)
  after_each(function()
    world:configure { clock_offset = 0 }
  end)

  local function refused_for_time()
    return world:stats().codes["1005"] or 0
  end

  -- A client on a machine whose clock is `offset` seconds wrong.
  local function client_with(offset)
    return world:client { clock = function()
      return select(2, core.now()) / 1000 + offset
    end }
  end

  local function use(ks)
    for _ = 1, 10 do
      assert(ks.cards:packages())
    end
    local _, failures = ks:parallel(10, { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, function()
      return ks.cards:packages()
    end)
    assert.is_nil(failures)
  end

  -- What a call that found out about the clock may cost: one refusal, and no more.
  local function costs(most_refused, most_future, fn)
    local refused = refused_for_time()
    local counted = world:counted(fn)
    refused = refused_for_time() - refused
    assert.is_true(refused <= most_refused, "refused " .. refused)
    assert.is_true(counted.future_timestamps <= most_future,
      "in the future " .. counted.future_timestamps)
    return counted
  end

  it("of a machine that is right costs nothing", function()
    costs(0, 0, function() use(client_with(0)) end)
  end)

  it("a little wrong costs nothing", function()
    for _, offset in ipairs { -20, -1, 1, 20 } do
      costs(0, 0, function() use(client_with(offset)) end)
    end
  end)

  for _, minutes in ipairs { 5, -5, 600, -600, 60 * 24 * 400, -60 * 24 * 400 } do
    local how = minutes > 0 and "ahead" or "behind"
    it(string.format("of a machine %d minutes %s costs one refused call", math.abs(minutes), how),
      function()
        local ks = client_with(minutes * 60)
        -- Only the very first Timestamp, before the server has said a word, may be in its future.
        costs(1, minutes > 0 and 1 or 0, function() assert(ks.cards:packages()) end)
        local counted = costs(0, 0, function() use(ks) end)
        assert.equal(20, counted.total)
      end)
  end

  it("of 50 calls at once on such a machine costs one refused call", function()
    for _, offset in ipairs { 300, -300 } do
      local ks = client_with(offset)
      local items = {}
      for i = 1, 50 do
        items[i] = i
      end
      costs(1, offset > 0 and 1 or 0, function()
        local _, failures = ks:parallel(50, items, function()
          return ks.cards:packages()
        end)
        assert.is_nil(failures)
      end)
    end
  end)

  it("of the server may be wrong as well", function()
    for _, offset in ipairs { 300, -300, 0.7 } do
      world:configure { clock_offset = offset }
      local ks = world:client()
      costs(1, offset < 0 and 1 or 0, function() assert(ks.cards:packages()) end)
      costs(0, 0, function() use(ks) end)
    end
  end)

  it("of the server may jump under a client: one refused call each time", function()
    local ks = world:client()
    use(ks)
    for _, offset in ipairs { 300, -300, 0 } do
      world:configure { clock_offset = offset }
      costs(1, 1, function() assert(ks.cards:packages()) end)
      costs(0, 0, function() use(ks) end)
    end
  end)

  it("of the machine may jump: what was learnt from the server counts", function()
    local offset = 0
    local ks = world:client { clock = function()
      return select(2, core.now()) / 1000 + offset
    end }
    use(ks)
    for _, wrong in ipairs { 300, -300, 86400 } do
      offset = wrong
      costs(0, 0, function() use(ks) end)
    end
  end)

  it("is never ahead, wherever in its second the server is", function()
    local ks = world:client()
    costs(0, 0, function()
      local ending = core.now() + 1300
      while core.now() < ending do
        assert(ks.cards:packages())
      end
    end)
  end)

  it("is learnt from refusals and from simulations as well", function()
    local ks = client_with(-300)
    support.refused({ code = 4001 }, ks.simulate:auth { card_no = "C1", amount = "1.00" })
    costs(0, 0, function() use(ks) end)
  end)
end)
