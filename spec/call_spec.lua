local calls = require "spec.support.calls"

describe("a call", function()
  local world

  before_each(function()
    world = calls.world()
  end)

  it("fetches a token first, then sends the operation", function()
    local call = calls.begin(world, { body = '{"a":1}', timezone = "UTC+8" })
    local action, request = calls.next(world, call)
    assert.equal("send", action)
    assert.equal("GET", request.method)
    assert.equal("https://host/open-api/v1/merchant/token", request.url)
    assert.is_nil(request.body)
    assert.is_nil(request.headers["Access-Token"])
    assert.equal("key-1", request.headers["Api-Key"])
    assert.equal("application/json", request.headers["Content-Type"])

    action, request = calls.answer(world, call, calls.token_body(world, "token-1"))
    assert.equal("send", action)
    assert.equal("POST", request.method)
    assert.equal("https://host/open-api/v1/card/apply", request.url)
    assert.equal('{"a":1}', request.body)
    assert.equal("token-1", request.headers["Access-Token"])
    assert.equal("UTC+8", request.headers.Timezone)
    assert.is_truthy(request.headers.Timestamp:find("^%d%d%d%d%d%d%d%d%d%d%d%d%d$"))
    assert.equal(30, request.timeout)

    local done, ok, data, attempts = calls.answer(world, call,
      '{"code":0,"msg":"Success","data":{"card_no":"C1"}}')
    assert.equal("done", done)
    assert.is_true(ok)
    assert.equal('{"card_no":"C1"}', data)
    assert.equal(1, attempts)
  end)

  it("sends the simulations without Api-Key and Access-Token", function()
    local call = calls.begin(world, { auth = "none", path = "/simulate/auth" })
    local _, request = calls.next(world, call)
    assert.is_nil(request.headers["Api-Key"])
    assert.is_nil(request.headers["Access-Token"])
    assert.is_truthy(request.headers.Timestamp)
  end)

  it("sends a header of its own and the language", function()
    world = calls.world { language = "zh_CN" }
    local _, _, request = calls.ready(world, { header = "Client-Access-Token", header_value = "t" })
    assert.equal("t", request.headers["Client-Access-Token"])
    assert.equal("zh_CN", request.headers.Language)
  end)

  it("gives the data of a null or missing member as nothing", function()
    for _, body in ipairs { '{"code":0,"data":null}', '{"code":0}' } do
      local call = calls.ready(world)
      local done, ok, data = calls.answer(world, call, body)
      assert.equal("done", done)
      assert.is_true(ok)
      assert.is_nil(data)
    end
  end)

  it("lets the code decide whatever the status", function()
    local call = calls.ready(world)
    local _, ok = calls.answer(world, call, '{"code":0,"data":{}}', { status = 500 })
    assert.is_true(ok)
    call = calls.ready(world)
    local _, refused, failure = calls.answer(world, call, calls.refusal(2002), { status = 404 })
    assert.is_false(refused)
    assert.equal("api", failure.kind)
    assert.equal(2002, failure.code)
    assert.equal("refused", failure.outcome)
    assert.equal(404, failure.http_status)
    assert.equal(1, failure.attempts)
  end)

  it("keeps the platform's words on one line, bounded and without our secrets", function()
    local call = calls.ready(world)
    local _, _, failure = calls.answer(world, call,
      calls.refusal(1004, "a\\nb token-1 key-1 " .. ("é"):rep(300)))
    assert.equal("a b ******* ***** ", failure.message:sub(1, 18))
    assert.is_true(#failure.message < 240)
    assert.equal("\195\169", failure.message:sub(-2))
  end)

  describe("refused for a wrong Timestamp", function()
    it("is replayed once with the server's clock", function()
      world.skew = -300000
      local call = calls.begin(world)
      local action = calls.next(world, call)
      assert.equal("send", action)
      local again, request = calls.answer(world, call, calls.refusal(1005))
      assert.equal("send", again)
      local age = calls.server_time(world) - tonumber(request.headers.Timestamp)
      assert.is_true(age >= 0 and age < 5000, "age " .. age)
    end)

    it("is replayed, write or not, but never twice", function()
      local call = calls.ready(world, { write = true })
      assert.equal("send", (calls.answer(world, call, calls.refusal(1005))))
      local done, ok, failure = calls.answer(world, call, calls.refusal(1005))
      assert.equal("done", done)
      assert.is_false(ok)
      assert.equal(1005, failure.code)
      assert.equal("refused", failure.outcome)
      assert.equal(2, failure.attempts)
    end)

    it("ends where the answer has no Date to learn from", function()
      local call = calls.ready(world)
      local done = calls.answer(world, call, calls.refusal(1005), { date = false })
      assert.equal("done", done)
    end)
  end)

  describe("refused for its token", function()
    for _, code in ipairs { 1006, 1007 } do
      it("fetches a new one and is replayed once: " .. code, function()
        local call = calls.ready(world, { write = true })
        local action, request = calls.answer(world, call, calls.refusal(code))
        assert.equal("send", action)
        assert.is_truthy(request.url:find("/merchant/token", 1, true))
        action, request = calls.answer(world, call, calls.token_body(world, "token-2"))
        assert.equal("send", action)
        assert.equal("token-2", request.headers["Access-Token"])
        local done, ok, failure = calls.answer(world, call, calls.refusal(code))
        assert.equal("done", done)
        assert.is_false(ok)
        assert.equal(code, failure.code)
      end)
    end

    it("uses the token that another call has fetched meanwhile", function()
      local first, second = calls.ready(world), calls.ready(world)
      calls.answer(world, first, calls.refusal(1007))
      calls.answer(world, first, calls.token_body(world, "token-2"))
      local action, request = calls.answer(world, second, calls.refusal(1007))
      assert.equal("send", action)
      assert.equal("token-2", request.headers["Access-Token"])
    end)

    it("says refused where no new token can be had", function()
      local call = calls.ready(world, { write = true })
      calls.answer(world, call, calls.refusal(1007))
      local done, ok, failure = calls.answer(world, call, calls.refusal(1008))
      assert.equal("done", done)
      assert.is_false(ok)
      assert.equal(1008, failure.code)
      assert.equal("refused", failure.outcome)
    end)
  end)

  describe("that fails", function()
    local READ, WRITE = { write = false }, { write = true }

    it("repeats a read after a lost answer", function()
      local call = calls.ready(world, READ)
      assert.equal("wait", (calls.fail(world, call, "receive", "sent", "connection reset")))
    end)

    it("never repeats a write that may have arrived", function()
      for _, reached in ipairs { "sending", "sent", "answering", "", "who knows" } do
        local call = calls.ready(world, WRITE)
        local done, ok, failure = calls.fail(world, call, "receive", reached, "reset")
        assert.equal("done", done)
        assert.is_false(ok)
        assert.equal("unknown", failure.outcome)
        assert.equal("transport", failure.kind)
        assert.equal("reset", failure.message)
      end
      local call = calls.ready(world, WRITE)
      local monotonic, wall = calls.now(world)
      local _, _, failure = call:failed(monotonic, wall, "receive")
      assert.equal("unknown", failure.outcome)
    end)

    it("repeats a write of which no byte was written", function()
      for _, reached in ipairs { "nothing", "resolved", "connected", "secured" } do
        local call = calls.ready(world, WRITE)
        assert.equal("wait", (calls.fail(world, call, "connect", reached)))
      end
    end)

    it("takes a system error as a doubtful write and a passing failure of a read", function()
      local call = calls.ready(world, WRITE)
      local done, _, failure = calls.answer(world, call, calls.refusal(1001))
      assert.equal("done", done)
      assert.equal("unknown", failure.outcome)
      call = calls.ready(world, READ)
      assert.equal("wait", (calls.answer(world, call, calls.refusal(1001))))
    end)

    it("tries again when asked too often, write or not", function()
      for _, kind in ipairs { READ, WRITE } do
        local call = calls.ready(world, kind)
        assert.equal("wait", (calls.answer(world, call, calls.refusal(1009))))
      end
    end)

    it("doesn't trust a page that isn't the platform's", function()
      local call = calls.ready(world, WRITE)
      local done, _, failure = calls.answer(world, call, "<html>", { status = 502 })
      assert.equal("done", done)
      assert.equal("protocol", failure.kind)
      assert.equal("unknown", failure.outcome)
      assert.equal(502, failure.http_status)
      call = calls.ready(world, READ)
      assert.equal("wait", (calls.answer(world, call, "<html>", { status = 502 })))
      call = calls.ready(world, READ)
      assert.equal("done", (calls.answer(world, call, "<html>", { status = 200 })))
      -- Something before the platform is asked too often: it may say for how long.
      call = calls.ready(world, READ)
      local action, moment = calls.answer(world, call, "<html>", { status = 429,
        retry_after = "3" })
      assert.equal("wait", action)
      assert.equal(3000, moment - world.monotonic)
      call = calls.ready(world, WRITE)
      assert.equal("done", (calls.answer(world, call, "<html>", { status = 429 })))
    end)

    it("doesn't repeat what will fail again", function()
      for _, reason in ipairs { "tls", "too_large", "memory", "invalid" } do
        local call = calls.ready(world, READ)
        assert.equal("done", (calls.fail(world, call, reason, "nothing")))
      end
    end)

    it("says what kind of failure it was", function()
      local expected = { timeout = "timeout", protocol = "protocol", cancelled = "cancelled",
        closed = "cancelled", receive = "transport" }
      for reason, kind in pairs(expected) do
        local call = calls.ready(world, WRITE)
        local _, _, failure = calls.fail(world, call, reason, "sent")
        assert.equal(kind, failure.kind)
      end
    end)

    it("answers what it is not asked with nothing", function()
      local call = calls.begin(world)
      local action, request = calls.answer(world, call, calls.refusal(2002))
      assert.equal("send", action)
      assert.is_truthy(request.url:find("/merchant/token", 1, true))
    end)
  end)

  describe("in time", function()
    it("gives each request what is left", function()
      local call = calls.begin(world, { timeout = 5000 })
      calls.next(world, call)
      world.monotonic = world.monotonic + 2000
      local _, request = calls.answer(world, call, calls.token_body(world, "token-1"))
      assert.equal(3, request.timeout)
    end)

    it("ends unsent where the token took all of it", function()
      local call = calls.begin(world, { timeout = 5000, write = true })
      calls.next(world, call)
      world.monotonic = world.monotonic + 5000
      local done, ok, failure = calls.next(world, call)
      assert.equal("done", done)
      assert.is_false(ok)
      assert.equal("timeout", failure.kind)
      assert.equal("not_sent", failure.outcome)
    end)

    it("ends unsent where time passed after a request for the token was lost", function()
      local call = calls.begin(world, { timeout = 5000, write = true })
      calls.next(world, call)
      assert.equal("wait", (calls.fail(world, call, "receive", "sent", "reset")))
      world.monotonic = world.monotonic + 5000
      local done, ok, failure = calls.next(world, call)
      assert.equal("done", done)
      assert.is_false(ok)
      assert.equal("transport", failure.kind)
      assert.equal("not_sent", failure.outcome)
    end)

    it("ends unknown where the answer stayed out", function()
      local call = calls.ready(world, { timeout = 5000, write = true })
      world.monotonic = world.monotonic + 5000
      local _, _, failure = calls.next(world, call)
      assert.equal("timeout", failure.kind)
      assert.equal("unknown", failure.outcome)
    end)

    it("forgets an earlier refusal once it has sent again", function()
      local call = calls.ready(world, { timeout = 60000, write = true })
      local _, moment = calls.answer(world, call, calls.refusal(1009))
      world.monotonic = moment
      assert.equal("send", (calls.next(world, call)))
      world.monotonic = world.monotonic + 60000
      local _, _, failure = calls.next(world, call)
      assert.equal("timeout", failure.kind)
      assert.equal("unknown", failure.outcome)
    end)

    it("keeps the refusal where there is no time for another attempt", function()
      local call = calls.ready(world, { timeout = 5000 })
      local done, _, failure = calls.answer(world, call, calls.refusal(1009),
        { retry_after = "60" })
      assert.equal("done", done)
      assert.equal(1009, failure.code)
    end)
  end)

  describe("whose loss will be looked up", function()
    local LIFE, TOLERATED = 12000, 60000
    local SETTLES = { write = true, settles = true, timeout = 30000 }

    local function age(request)
      return calls.server_time(world) - tonumber(request.headers.Timestamp)
    end

    it("leaves a third of the time for that", function()
      local _, _, request = calls.ready(world, SETTLES)
      assert.equal(20, request.timeout)
      _, _, request = calls.ready(world, { write = true, timeout = 30000 })
      assert.equal(30, request.timeout)
    end)

    it("arrives in time or is refused, wherever the server's clock is", function()
      for offset = 0, 1000, 125 do
        local other = calls.world { skew = -77777, monotonic = 5000 + offset }
        local _, _, request = calls.ready(other, SETTLES)
        local left = TOLERATED - (calls.server_time(other) - tonumber(request.headers.Timestamp))
        assert.is_true(left >= LIFE and left < LIFE + 2500, tostring(left))
      end
    end)

    it("carries a new Timestamp before the server's clock is known", function()
      world.skew = 0
      local call = calls.begin(world, { write = true, settles = true, auth = "key" })
      local _, request = calls.next(world, call)
      assert.equal(25000, age(request))
    end)

    it("carries a new Timestamp where one near its end was refused, from then on", function()
      local call, _, request = calls.ready(world, SETTLES)
      assert.is_true(age(request) > 40000)
      local action
      action, request = calls.answer(world, call, calls.refusal(1005))
      assert.equal("send", action)
      assert.is_true(age(request) >= 0 and age(request) < 3000)
      _, _, request = calls.ready(world, SETTLES)
      assert.is_true(age(request) >= 0 and age(request) < 3000)
    end)

    it("goes on so where it was refused for having taken long", function()
      local call = calls.ready(world, SETTLES)
      world.monotonic = world.monotonic + LIFE + 2000
      calls.answer(world, call, calls.refusal(1005))
      local _, _, request = calls.ready(world, SETTLES)
      assert.is_true(age(request) > 30000, tostring(age(request)))
    end)

    it("tells the Timestamp it carried", function()
      local call, _, request = calls.ready(world, SETTLES)
      local _, _, failure = calls.fail(world, call, "receive", "sent")
      assert.equal(request.headers.Timestamp, string.format("%.0f", failure.timestamp))
    end)
  end)

  it("tells how long it paused, and what became of each request", function()
    local call = calls.ready(world)
    assert.same({ true, 1, "done", 0, nil, nil, 200 }, { call:last() })
    world.monotonic = world.monotonic + 30
    local _, moment = calls.answer(world, call, calls.refusal(1009), { retry_after = "2" })
    assert.same({ false, 1, "refused", 30, "api", 1009, 200 }, { call:last() })
    world.monotonic = moment
    calls.next(world, call)
    world.monotonic = world.monotonic + 7
    local done, ok, data, attempts, waited = calls.answer(world, call, '{"code":0,"data":7}')
    assert.same({ "done", true, "7", 2, 2000 }, { done, ok, data, attempts, waited })
    assert.same({ false, 2, "done", 7, nil, nil, 200 }, { call:last() })
    call = calls.ready(world, { timeout = 5000 })
    _, moment = calls.answer(world, call, calls.refusal(1009), { retry_after = "2" })
    world.monotonic = moment
    calls.next(world, call)
    local _, _, failure = calls.answer(world, call, calls.refusal(2002))
    assert.equal(2000, failure.waited)
  end)

  it("gives up its token fetch when it is closed", function()
    local first, second = calls.begin(world), calls.begin(world)
    calls.next(world, first)
    assert.equal("wait", (calls.next(world, second)))
    first:close()
    first:close()
    local action, request = calls.next(world, second)
    assert.equal("send", action)
    assert.is_truthy(request.url:find("/merchant/token", 1, true))
    assert.has_error(function()
      calls.next(world, first)
    end)
  end)

  it("outlives its client", function()
    local call = calls.begin(world)
    world.client = nil
    collectgarbage()
    collectgarbage()
    assert.equal("send", (calls.next(world, call)))
  end)

  it("refuses a request larger than the maximum", function()
    assert.has_error(function()
      calls.begin(world, { body = ("x"):rep(1024 * 1024) })
    end)
  end)

  it("that is closed is begun again, and one that isn't is not", function()
    local first = calls.ready(world)
    local function begin_again()
      local monotonic, wall = calls.now(world)
      return world.client:call("GET", "/card/C2/detail", nil, "token", false, 30000, monotonic,
        wall, nil, nil, nil, false, first)
    end
    assert.error_matches(begin_again, "not closed")
    calls.answer(world, first, '{"code":0,"data":7}')
    assert.error_matches(begin_again, "not closed")
    first:close()
    local second = begin_again()
    assert.equal(first, second)
    local action, request = calls.next(world, second)
    assert.same({ "send", "GET", "https://host/open-api/v1/card/C2/detail", nil },
      { action, request.method, request.url, request.body })
    local _, ok, data, attempts = calls.answer(world, second, '{"code":0,"data":8}')
    assert.same({ true, "8", 1 }, { ok, data, attempts })
  end)
end)
