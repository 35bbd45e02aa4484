--- What waits on top of calls, under whatever host: bodies as those of operations.lua.
local check = require "spec.conformance.check"
local core = require "keysecure.core"

local must, equal, numbers = check.must, check.equal, check.numbers

local function packages(ks)
  return #must(ks.cards:packages())
end

return {
  { "wait asks until the status is there", function(ks, world)
    world:configure { kyc_delay = 0.3 }
    local holder = must(ks.cardholders:apply { cardholder_unique_no = world:unique "holder",
      sumsub_share_token = "share" })
    local value, err = holder:wait("Approved", { timeout = 0.1 })
    check.failed({ kind = "timeout", operation = "cardholders.info" }, value, err)
    equal("Approved", must(holder:wait("Approved", { timeout = 20 })).status, "status")
    world:configure { kyc_delay = 0 }
  end },

  { "sleep lasts", function(ks)
    local started = core.seconds()
    ks:sleep(0.05)
    equal(true, core.seconds() - started >= 0.049, "slept long enough")
  end },

  { "each walks page by page", function(ks)
    local rows = check.collect(ks.cards:each_package { size = 1 })
    equal(3, #rows, "packages")
    equal("P-3", rows[3].package_no, "the last")
  end },

  { "parallel keeps order and limit", function(ks, world)
    world:control("POST", "faults",
      { operation = "cards.packages", delay = 0.05, times = "always" })
    local now, most = 0, 0
    local results, failures = ks:parallel(4, numbers(12), function(item, index)
      now = now + 1
      most = math.max(most, now)
      local count = packages(ks)
      now = now - 1
      return item * 100 + index + count
    end)
    equal(nil, failures, "failures")
    equal(4, most, "at once")
    for i = 1, 12 do
      equal(i * 100 + i + 3, results[i], "result " .. i)
    end
  end },

  { "parallel tells what failed and goes on with the others", function(ks)
    local results, failures = ks:parallel(3, numbers(6), function(item)
      if item == 2 then
        return ks.cards:detail { card_no = "C0" }
      elseif item == 4 then
        error("broken", 0)
      elseif item == 5 then
        packages(ks)
        error { late = true }
      end
      return packages(ks)
    end)
    check.failed({ kind = "api", code = 4001 }, results[2], failures[2])
    equal("broken", failures[4], "what was raised")
    equal(true, failures[5].late, "what was raised later")
    for _, i in ipairs { 1, 3, 6 } do
      equal(3, results[i], "result " .. i)
      equal(nil, failures[i], "failure " .. i)
    end
  end },

  { "parallel may be called inside itself", function(ks)
    local results = ks:parallel(2, numbers(3), function(outer)
      local inner = ks:parallel(2, numbers(3), function(item)
        ks:sleep(0.005)
        return packages(ks) + outer * 10 + item
      end)
      return inner[1] + inner[2] + inner[3]
    end)
    for outer = 1, 3 do
      equal(9 + outer * 30 + 6, results[outer], "result " .. outer)
    end
  end },

  { "one fetches the token, and the others wait for it", function(ks, world)
    world:control("POST", "faults", { operation = "merchant.token", delay = 0.1 })
    local counted = world:counted(function()
      local _, failures = ks:parallel(10, numbers(10), function()
        return packages(ks)
      end)
      equal(nil, failures, "failures")
    end)
    equal(1, counted.of["merchant.token"], "token requests")
    equal(10, counted.of["cards.packages"], "calls")
  end },

  { "those who wait for a token hear of its failure", function(ks, world)
    world:fault("merchant.token", 1008)
    local results, failures = ks:parallel(4, numbers(4), function()
      return ks.cards:packages()
    end)
    for i = 1, 4 do
      check.failed({ code = 1008, outcome = "not_sent" }, results[i], failures[i])
    end
  end },
}
