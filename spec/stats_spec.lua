-- What a client counts of its own calls, against what the emulator counted of them.
local support = require "spec.support.client"

local refused = support.refused

describe("stats", function()
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
  after_each(function()
    world:no_faults()
  end)

  it("begin with nothing", function()
    local stats = ks:stats()
    assert.is_true(stats.retry_budget > 0 and stats.retry_budget <= 500)
    stats.retry_budget = nil
    assert.same({ calls = 0, attempts = 0, token_requests = 0, retries = 0, waited = 0,
      lookups = 0, outcomes = { done = 0, not_sent = 0, refused = 0, unknown = 0 }, codes = {},
      settled = { found = 0, existing = 0 } }, stats)
  end)

  it("count calls, requests and codes as the platform does", function()
    local counted = world:counted(function()
      assert(ks.cards:packages())
      world:control("POST", "tokens/expire")
      assert(ks.cards:packages())
      world:fault("cards.packages", 1009, 2)
      assert(ks.cards:packages())
      refused({ code = 4001 }, ks.cards:detail { card_no = "C1" })
      refused({ kind = "invalid" }, ks.cards:detail {})
    end)
    local stats = ks:stats()
    assert.equal(4, stats.calls)
    assert.same({ done = 3, not_sent = 0, refused = 1, unknown = 0 }, stats.outcomes)
    assert.equal(counted.total, stats.attempts + stats.token_requests)
    assert.equal(2, stats.token_requests)
    assert.equal(3, stats.retries)
    assert.same({ [1007] = 1, [1009] = 2, [4001] = 1 }, stats.codes)
    assert.is_true(stats.waited >= 0 and stats.waited <= 300)
  end)

  it("are the client's own, and the caller's to keep", function()
    local other = world:client()
    assert(other.cards:packages())
    local before = ks:stats()
    assert.equal(0, before.calls)
    assert(ks.cards:packages())
    assert.equal(0, before.calls)
    assert.equal(1, ks:stats().calls)
    assert.equal(1, other:stats().calls)
    before.codes[1] = 1
    assert.same({}, ks:stats().codes)
  end)

  it("tell a budget that all clients share", function()
    local other = world:client()
    assert(other.cards:packages())
    world:fault("cards.packages", 1001, "always")
    local before = ks:stats().retry_budget
    refused({ code = 1001, attempts = 5 }, other.cards:packages())
    assert.equal(before - 20, ks:stats().retry_budget)
    ks.budget:earn(4)
    assert.equal(before, other:stats().retry_budget)
  end)

  it("are asked for with a colon", function()
    assert.matches("ks:stats%(%)", support.raised(ks.stats, {}))
  end)
end)
