--- How calls fail, and how they end, under whatever host: bodies as those of operations.lua.
local check = require "spec.conformance.check"
local core = require "keysecure.core"

local must, equal, failed = check.must, check.equal, check.failed

local function slow(world, operation, seconds)
  world:control("POST", "faults", { operation = operation, delay = seconds, times = "always" })
end

local function apply(ks, world, options)
  return ks.cardholders:apply({ cardholder_unique_no = world:unique "holder",
    sumsub_share_token = "share" }, options)
end

-- A platform that has no time for anybody, in place of HTTP.
local busy = { perform = function()
  return { status = 200, headers = { ["retry-after"] = "20" },
    body = '{"code":1009,"msg":"too frequent"}' }
end }

return {
  { "refused here", function(ks, world)
    local counted = world:counted(function()
      failed({ kind = "invalid", outcome = "not_sent", field = "card_no" }, ks.cards:detail {})
    end)
    equal(0, counted.total, "requests")
  end },

  { "refused by the platform", function(ks)
    failed({ kind = "api", code = 4001, name = "card_not_found", outcome = "refused",
      attempts = 1 }, ks.cards:detail { card_no = "C0" })
  end },

  { "a refusal that passes", function(ks, world)
    world:fault("cards.packages", 1001)
    world:fault("cards.packages", 1009)
    local counted = world:counted(function()
      equal(3, #must(ks.cards:packages()), "packages")
    end)
    equal(3, counted.of["cards.packages"], "requests")
  end },

  { "an expired token", function(ks, world)
    must(ks.cards:packages())
    world:control("POST", "tokens/expire")
    local counted = world:counted(function()
      must(ks.cards:packages())
    end)
    equal(1, counted.of["merchant.token"], "token requests")
  end },

  { "no answer to a read in time", function(ks, world)
    must(ks.cards:packages())
    slow(world, "cards.packages", 5)
    local started = core.seconds()
    failed({ kind = "timeout" }, ks.cards:packages({}, { timeout = 0.2 }))
    equal(true, core.seconds() - started < 4, "ended before the answer came")
  end },

  { "no answer in time to a write that can't be looked up: nobody knows", function(ks, world)
    slow(world, "simulate.auth", 3)
    failed({ kind = "timeout", outcome = "unknown", attempts = 1 },
      ks.simulate:auth({ card_no = "C1", amount = "1.00" }, { timeout = 0.2 }))
  end },

  { "no answer in time to a write that can be looked up: it is", function(ks, world)
    must(ks.cards:packages())
    slow(world, "cardholders.apply", 3)
    local holder = must(apply(ks, world, { timeout = 1 }))
    equal("found", require "keysecure".how(holder).settled, "settled")
  end },

  { "a platform that is gone", options = { address = "http://127.0.0.1:1" }, function(ks)
    failed({ kind = "transport", outcome = "not_sent" }, ks.cards:packages({}, { timeout = 2 }))
  end },

  { "closing ends what is under way", function(ks, world)
    must(ks.cards:packages())
    slow(world, "cards.packages", 8)
    slow(world, "cardholders.apply", 8)
    local started = core.seconds()
    local results, failures = ks:parallel(4, { "read", "write", "sleep", "close" }, function(what)
      if what == "read" then
        return ks.cards:packages()
      elseif what == "write" then
        return apply(ks, world)
      elseif what == "sleep" then
        ks:sleep(8)
        return "slept"
      end
      ks:sleep(0.2)
      ks:close()
      return "closed"
    end)
    equal(true, core.seconds() - started < 6, "ended before an answer came")
    failed({ kind = "cancelled" }, results[1], failures[1])
    failed({ kind = "cancelled", outcome = "unknown" }, results[2], failures[2])
    failed({ kind = "cancelled" }, results[3], failures[3])
    equal("closed", results[4], "result")
    failed({ kind = "cancelled", outcome = "not_sent" }, ks.cards:packages())
  end },

  { "closing ends a pause between two attempts", options = { transport = busy }, function(ks)
    local started = core.seconds()
    local results, failures = ks:parallel(2, { "call", "close" }, function(what)
      if what == "call" then
        return ks.simulate:auth({ card_no = "C1", amount = "1.00" }, { timeout = 60 })
      end
      ks:sleep(0.1)
      ks:close()
      return "closed"
    end)
    equal("closed", results[2], "result")
    failed({ kind = "cancelled", outcome = "refused", attempts = 1 }, results[1], failures[1])
    equal(true, core.seconds() - started < 15, "ended before its pause")
  end },

  { "closing ends the wait for another call's token", function(ks, world)
    slow(world, "merchant.token", 8)
    local results, failures = ks:parallel(3, { "fetch", "wait", "close" }, function(what)
      if what ~= "close" then
        return ks.cards:packages()
      end
      ks:sleep(0.1)
      ks:close()
      return "closed"
    end)
    for i = 1, 2 do
      failed({ kind = "cancelled", outcome = "not_sent" }, results[i], failures[i])
    end
    equal("closed", results[3], "result")
  end },
}
