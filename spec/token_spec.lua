local calls = require "spec.support.calls"

local function is_token_request(request)
  return request.url:find("/merchant/token", 1, true) ~= nil
end

describe("the access token", function()
  local world

  before_each(function()
    world = calls.world()
  end)

  local function finish(call)
    return calls.answer(world, call, '{"code":0,"data":{}}')
  end

  it("is fetched once for many calls", function()
    finish((calls.ready(world)))
    for _ = 1, 50 do
      local call = calls.begin(world)
      local _, request = calls.next(world, call)
      assert.is_false(is_token_request(request))
      finish(call)
    end
  end)

  it("is fetched by one call while the others wait", function()
    local first, others = calls.begin(world), {}
    local _, request = calls.next(world, first)
    assert.is_true(is_token_request(request))
    for i = 1, 10 do
      others[i] = calls.begin(world)
      local action, _, for_token = calls.next(world, others[i])
      assert.equal("wait", action)
      assert.is_true(for_token)
    end
    calls.answer(world, first, calls.token_body(world, "token-1"))
    for i = 1, 10 do
      local action, own = calls.next(world, others[i])
      assert.equal("send", action)
      assert.equal("token-1", own.headers["Access-Token"])
    end
  end)

  it("is refreshed early by one caller while the others go on with the old one", function()
    finish((calls.ready(world)))
    world.monotonic = world.monotonic + 86400000 - 300000 -- five minutes before its end
    local refresher, other = calls.begin(world), calls.begin(world)
    local _, first = calls.next(world, refresher)
    local _, second = calls.next(world, other)
    assert.is_true(is_token_request(first))
    assert.is_false(is_token_request(second))
    assert.equal("token-1", second.headers["Access-Token"])
  end)

  it("goes on with the old one where an early refresh fails", function()
    finish((calls.ready(world)))
    world.monotonic = world.monotonic + 86400000 - 300000
    local call = calls.begin(world)
    calls.next(world, call)
    local action, request = calls.answer(world, call, calls.refusal(1021))
    assert.equal("send", action)
    assert.equal("token-1", request.headers["Access-Token"])
  end)

  it("costs a call little where an early refresh hangs or is put off", function()
    local ways = {
      hangs = function(call) return calls.fail(world, call, "timeout", "sent") end,
      breaks = function(call) return calls.fail(world, call, "connect", "nothing") end,
      busy = function(call)
        return calls.answer(world, call, calls.refusal(1009), { retry_after = "20" })
      end,
      page = function(call) return calls.answer(world, call, "<html>", { status = 503 }) end,
    }
    for name, way in pairs(ways) do
      world = calls.world()
      finish((calls.ready(world)))
      world.monotonic = world.monotonic + 86400000 - 300000
      local call = calls.begin(world)
      local _, refresh = calls.next(world, call)
      assert.is_true(is_token_request(refresh), name)
      assert.equal(10, refresh.timeout)
      world.monotonic = world.monotonic + 10000
      local action, request = way(call)
      assert.equal("send", action, name)
      assert.equal("token-1", request.headers["Access-Token"])
      assert.equal(20, request.timeout)
      assert.is_false(is_token_request(select(2, calls.next(world, calls.begin(world)))))
    end
  end)

  it("is not used to its last second", function()
    finish((calls.ready(world)))
    world.monotonic = world.monotonic + 86400000 - 10000
    local first, second = calls.begin(world), calls.begin(world)
    calls.next(world, first)
    assert.equal("wait", (calls.next(world, second)))
  end)

  it("serves a call that fetched it even where it is all but expired", function()
    local call = calls.begin(world)
    calls.next(world, call)
    local action, request = calls.answer(world, call, calls.token_body(world, "short", 1))
    assert.equal("send", action)
    assert.equal("short", request.headers["Access-Token"])
  end)

  it("remembers a failed fetch for a moment", function()
    local first, second = calls.begin(world), calls.begin(world)
    calls.next(world, first)
    calls.next(world, second)
    local _, ok, failure = calls.answer(world, first, calls.refusal(1008))
    assert.is_false(ok)
    assert.equal("not_sent", failure.outcome)
    assert.equal(0, failure.attempts)
    local done, _, second_failure = calls.next(world, second)
    assert.equal("done", done)
    assert.equal(1008, second_failure.code)
    world.monotonic = world.monotonic + 1001
    local _, request = calls.next(world, calls.begin(world))
    assert.is_true(is_token_request(request))
  end)

  it("is fetched again by somebody else where the fetcher ran out of time", function()
    local first, second = calls.begin(world, { timeout = 1000 }), calls.begin(world)
    calls.next(world, first)
    local _, moment = calls.next(world, second)
    world.monotonic = moment
    local action, request = calls.next(world, second)
    assert.equal("send", action)
    assert.is_true(is_token_request(request))
    first:close() -- must not take the fetch from the second
    assert.equal("wait", (calls.next(world, calls.begin(world))))
  end)

  it("isn't distrusted for the fault of an older one", function()
    local old = calls.ready(world)
    local other = calls.ready(world)
    calls.answer(world, other, calls.refusal(1007))
    calls.answer(world, other, calls.token_body(world, "token-2"))
    calls.answer(world, old, calls.refusal(1007))
    local _, request = calls.next(world, calls.begin(world))
    assert.equal("token-2", request.headers["Access-Token"])
  end)

  it("is retried like a read, for a write as well", function()
    local call = calls.begin(world, { write = true })
    calls.next(world, call)
    local action, moment = calls.fail(world, call, "receive", "sent", "reset")
    assert.equal("wait", action)
    world.monotonic = moment
    local again, request = calls.next(world, call)
    assert.equal("send", again)
    assert.is_true(is_token_request(request))
  end)

  it("is refused where it can't be a header's value", function()
    for _, token in ipairs { "", "a b", "a\\r\\nb", "\\u00e9", ("x"):rep(5000) } do
      world = calls.world()
      local call = calls.begin(world)
      calls.next(world, call)
      local done, _, failure = calls.answer(world, call, calls.token_body(world, token))
      assert.equal("done", done)
      assert.equal("protocol", failure.kind)
      assert.equal("not_sent", failure.outcome)
    end
  end)

  it("is refused where its data is not what was promised", function()
    for _, data in ipairs {
      "null", "{}", '"t"', '{"access_token":"t"}', '{"access_token":1,"expired_time":1}',
      '{"access_token":"t","expired_time":"1"}', '{"access_token":"t","expired_time":1.5}',
    } do
      world = calls.world()
      local call = calls.begin(world)
      calls.next(world, call)
      local done, _, failure = calls.answer(world, call, '{"code":0,"data":' .. data .. "}")
      assert.equal("done", done, data)
      assert.equal("protocol", failure.kind)
    end
  end)
end)
