-- Every way in which a request may fail, and what each says of whether the platform can have acted.
local calls = require "spec.support.calls"

local BEFORE = { "nothing", "resolved", "connected", "secured" }
local AFTER = { "sending", "sent", "answering" }
local UNSAID = { false, "", "Nothing", "SECURED", "connected ", "who knows", "unsaid" }

local KINDS = { timeout = "timeout", protocol = "protocol", cancelled = "cancelled",
  closed = "cancelled" }
local LASTING = { tls = true, too_large = true, memory = true, invalid = true, cancelled = true,
  closed = true }
local REASONS = { "invalid", "timeout", "resolve", "connect", "tls", "proxy", "send", "receive",
  "too_large", "protocol", "cancelled", "closed", "memory", "", "a word of a user's own" }

describe("a request that fails", function()
  local function fail(write, reason, reached)
    local world = calls.world()
    local call = calls.ready(world, { write = write })
    local action, _, failure = calls.fail(world, call, reason, reached or nil, "failed")
    local token, _, outcome, _, kind = call:last()
    assert.is_false(token)
    assert.equal(KINDS[reason] or "transport", kind)
    return action, outcome, failure or nil
  end

  local function each(stages, check)
    for _, reason in ipairs(REASONS) do
      for _, reached in ipairs(stages) do
        for _, write in ipairs { true, false } do
          check(write, reason, reached, string.format("%s of a %s at %s", reason,
            write and "write" or "read", tostring(reached)))
        end
      end
    end
  end

  it("before a byte of it was written was not sent: it may be sent again", function()
    each(BEFORE, function(write, reason, reached, case)
      local action, outcome, failure = fail(write, reason, reached)
      assert.equal("not_sent", outcome, case)
      assert.equal(LASTING[reason] and "done" or "wait", action, case)
      assert.equal(LASTING[reason] and "not_sent" or nil, failure and failure.outcome, case)
    end)
  end)

  it("from its first byte on may have happened: a write is never sent again", function()
    each(AFTER, function(write, reason, reached, case)
      local action, outcome, failure = fail(write, reason, reached)
      assert.equal("unknown", outcome, case)
      assert.equal((write or LASTING[reason]) and "done" or "wait", action, case)
      assert.equal(action == "done" and "unknown" or nil, failure and failure.outcome, case)
    end)
  end)

  it("without a word of ours on how far it got may have got anywhere", function()
    each(UNSAID, function(write, reason, reached, case)
      local action, outcome = fail(write, reason, reached)
      assert.equal("unknown", outcome, case)
      assert.equal((write or LASTING[reason]) and "done" or "wait", action, case)
    end)
  end)

  it("at its token was not sent, whatever became of the token's request", function()
    each({ "nothing", "sent", "answering", false }, function(write, reason, reached, case)
      local world = calls.world()
      local call = calls.begin(world, { write = write })
      calls.next(world, call)
      local action, _, failure = calls.fail(world, call, reason, reached or nil, "failed")
      while action == "wait" do
        world.monotonic = world.monotonic + 6000
        calls.next(world, call)
        action, _, failure = calls.fail(world, call, reason, reached or nil, "failed")
      end
      assert.equal("done", action, case)
      assert.equal("not_sent", failure.outcome, case)
      assert.equal(0, failure.attempts, case)
      assert.is_nil(failure.timestamp, case)
      assert.is_true((call:last()), case)
    end)
  end)
end)

describe("an answer", function()
  -- What it says of a write and of a read: the outcome, or "done".
  local CASES = {
    { "success", '{"code":0,"data":{}}', 200, "done", "done" },
    { "success whatever the status", '{"code":0,"data":{}}', 500, "done", "done" },
    { "refusal", calls.refusal(2002), 200, "refused", "refused" },
    { "refusal with a status of its own", calls.refusal(2002), 404, "refused", "refused" },
    { "refusal behind a 500", calls.refusal(4005), 500, "refused", "refused" },
    { "refusal that passes", calls.refusal(1009), 200, "refused", "refused" },
    { "refusal of the time", calls.refusal(1005), 200, "refused", "refused" },
    { "refusal of the token", calls.refusal(1007), 200, "refused", "refused" },
    { "refusal that nobody knows", calls.refusal(9999), 200, "refused", "refused" },
    { "system error", calls.refusal(1001), 200, "unknown", "refused" },
    { "page of a proxy", "<html>", 502, "unknown", "unknown" },
    { "page of a proxy that is fine", "<html>", 200, "unknown", "unknown" },
    { "refusal of a proxy", "Forbidden", 403, "unknown", "unknown" },
    { "half an answer", '{"code":0,"da', 200, "unknown", "unknown" },
    { "nothing at all", "", 200, "unknown", "unknown" },
    { "code that is a text", '{"code":"0"}', 200, "unknown", "unknown" },
    { "code that is a fraction", '{"code":0.5}', 200, "unknown", "unknown" },
  }

  for _, case in ipairs(CASES) do
    it("that is a " .. case[1], function()
      for i, write in ipairs { true, false } do
        local world = calls.world()
        local call = calls.ready(world, { write = write })
        calls.answer(world, call, case[2], { status = case[3] })
        local token, _, outcome, _, _, _, status = call:last()
        assert.is_false(token)
        assert.equal(case[3 + i], outcome, write and "write" or "read")
        assert.equal(case[3], status)
      end
    end)
  end
end)
