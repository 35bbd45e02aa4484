-- What a call tells while it runs and when it has ended: the hook on_event, ks:stats(), and
-- keysecure.how of its result.
local keysecure = require "keysecure"
local support = require "spec.support.client"

local refused = support.refused

describe("a call", function()
  local world, events, ks

  setup(function()
    world = support.start()
  end)
  teardown(function()
    world:stop()
  end)
  before_each(function()
    events = {}
    ks = world:client { on_event = function(event)
      events[#events + 1] = event
    end }
    assert(ks.cards:packages())
    events = {}
  end)
  after_each(function()
    world:no_faults()
  end)

  -- The events but for the time they took, each of which was some.
  local function told()
    for _, event in ipairs(events) do
      assert.is_true(event.milliseconds >= 0 and event.milliseconds < 60000)
      event.milliseconds = nil
    end
    return events
  end

  local function attempt(changes)
    local event = { event = "attempt", operation = "cards.packages", method = "POST",
      path = "/card/package/list", attempt = 1, outcome = "done", http_status = 200 }
    for name, value in pairs(changes or {}) do
      event[name] = value
    end
    return event
  end

  local function ended(changes)
    local event = { event = "call", operation = "cards.packages", method = "POST",
      path = "/card/package/list", attempts = 1, waited = 0, lookups = 0, outcome = "done" }
    for name, value in pairs(changes or {}) do
      event[name] = value
    end
    return event
  end

  local TOKEN = { operation = "merchant.token", method = "GET", path = "/merchant/token",
    on_behalf_of = "cards.packages" }

  it("is told of once for each request and once at its end", function()
    assert(ks.cards:packages())
    assert.same({ attempt(), ended() }, told())
  end)

  it("that fetches a token tells of that as well", function()
    world:control("POST", "tokens/expire")
    assert(ks.cards:packages())
    assert.same({ attempt { outcome = "refused", kind = "api", code = 1007 }, attempt(TOKEN),
      attempt { attempt = 2 }, ended { attempts = 2 } }, told())
  end)

  it("that waited and tried again tells how long", function()
    world:fault("cards.packages", 1009, 2)
    local rows = assert(ks.cards:packages())
    told()
    local waited = events[4].waited
    assert.is_true(waited >= 0 and waited <= 300)
    local refusal = { outcome = "refused", kind = "api", code = 1009 }
    assert.same({ attempt(refusal), attempt { attempt = 2, outcome = "refused", kind = "api",
      code = 1009 }, attempt { attempt = 3 }, ended { attempts = 3, waited = waited } }, events)
    assert.same({ attempts = 3, waited = waited, lookups = 0, settled = false },
      keysecure.how(rows))
  end)

  it("that is refused is told of by operation and not by number", function()
    refused({ code = 4001, attempts = 1, waited = 0 }, ks.cards:detail { card_no = "C1" })
    local detail = { operation = "cards.detail", method = "GET", path = "/card/{card_no}/detail",
      outcome = "refused", kind = "api", code = 4001 }
    assert.same({ attempt(detail), ended(detail) }, told())
  end)

  it("that is lost is told of as unknown", function()
    world:control("POST", "faults", { operation = "cards.set_pin", delay = 1 })
    refused({ kind = "timeout", outcome = "unknown" }, ks.cards:set_pin({ card_no = "C1",
      cardholder_no = "U1", pin = "862947" }, { timeout = 0.2 }))
    local lost = { operation = "cards.set_pin", path = "/card/pin/set", outcome = "unknown",
      kind = "timeout" }
    local first = attempt(lost)
    first.http_status = nil
    assert.same({ first, ended(lost) }, told())
  end)

  it("refused here is not told of", function()
    refused({ kind = "invalid" }, ks.cards:detail {})
    refused({ kind = "invalid" }, ks.cards:bins())
    assert.same({}, events)
  end)

  it("of ks:parallel and of walks is told of like any other", function()
    ks:parallel(3, { 1, 2, 3 }, function()
      return ks.cards:packages()
    end)
    assert.equal(6, #events)
    for _ in ks.cards:each_package() do
      assert.is_true(#events >= 8)
    end
  end)

  it("is not spoilt by a hook that raises", function()
    local raising = world:client { on_event = function()
      error("in the hook")
    end }
    assert.is_table(raising.cards:packages())
  end)

  it("that went as usual has nothing to tell", function()
    local rows = assert(ks.cards:packages())
    assert.same({ attempts = 1, waited = 0, lookups = 0, settled = false }, keysecure.how(rows))
    assert.equal(keysecure.how(rows), keysecure.how(nil))
    assert.equal(keysecure.how(rows), keysecure.how(true))
  end)
end)
