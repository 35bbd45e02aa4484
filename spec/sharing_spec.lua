-- What one process leaves for others, and what they make of it: two clients with the same keys, and
-- time as an argument.
local core = require "keysecure.core"
local calls = require "spec.support.calls"

local SECRET = "0123456789abcdef"
local DAY = 86400000

describe("a shared token", function()
  local one, other

  before_each(function()
    one, other = calls.world { secret = SECRET }, calls.world { secret = SECRET }
  end)

  local function seeking(world, changes)
    local call = calls.begin(world, changes)
    assert.equal("seek", (calls.next(world, call)))
    return call
  end

  local function elected(world)
    local call = seeking(world)
    call:elected()
    local action, request = calls.next(world, call)
    assert.equal("send", action)
    assert.matches("/merchant/token$", request.url)
    return call
  end

  -- The two share a clock: the moment of `one`, under `epoch`.
  local function record(world, call, epoch)
    local monotonic, wall = calls.now(world)
    return call:record(monotonic, wall, epoch and one.monotonic, epoch, epoch and monotonic)
  end

  -- Fetches `token`, and returns what is left for others.
  local function fetch(world, token, lifetime, epoch)
    local call = elected(world)
    assert.equal("share", (calls.answer(world, call, calls.token_body(world, token, lifetime))))
    local kind, text, lasts = record(world, call, epoch)
    assert.equal("token", kind)
    call:shared()
    return text, lasts, call
  end

  local function adopt(world, call, text, epoch)
    local monotonic, wall = calls.now(world)
    return call:adopt(monotonic, wall, text, epoch and one.monotonic, epoch, epoch and monotonic)
  end

  local function pass(world, milliseconds)
    world.monotonic = world.monotonic + milliseconds
  end

  local function used_token(world, call)
    local action, request = calls.next(world, call)
    assert.equal("send", action)
    return request.headers["Access-Token"]
  end

  it("is sought before it is fetched, and used where it is found", function()
    local text, lasts = fetch(one, "token-1")
    assert.is_true(lasts >= DAY and lasts <= 2 * DAY + 1000)
    local call = seeking(other)
    assert.is_true(adopt(other, call, text))
    assert.equal("token-1", used_token(other, call))
    assert.equal("token-1", used_token(other, calls.begin(other)))
  end)

  it("is not sought by a client that shares nothing", function()
    local alone = calls.world()
    assert.is_nil(alone.client:store_key())
    assert.equal("send", (calls.next(alone, calls.begin(alone))))
  end)

  it("is sought by one call while the others of the process wait", function()
    local call = seeking(other)
    local waiting = calls.begin(other)
    local action, _, for_token = calls.next(other, waiting)
    assert.equal("wait", action)
    assert.is_true(for_token)
    assert.is_true(adopt(other, call, (fetch(one, "token-1"))))
    assert.equal("token-1", used_token(other, waiting))
  end)

  it("is sought until the call's time is over, and then by the next", function()
    local call, next_call = seeking(other, { timeout = 1000 }), calls.begin(other)
    assert.equal("seek", (calls.next(other, call)))
    calls.next(other, next_call)
    pass(other, 1000)
    local action, ok, failure = calls.next(other, call)
    assert.same({ "done", false, "timeout", "not_sent" },
      { action, ok, failure.kind, failure.outcome })
    assert.equal("seek", (calls.next(other, next_call)))
  end)

  it("is told to others whatever becomes of the call that fetched it", function()
    local call = elected(one)
    calls.answer(one, call, calls.token_body(one, "token-1"))
    pass(one, 30001)
    assert.equal("share", (calls.next(one, call)))
    assert.equal("token", (record(one, call)))
    call:shared()
    assert.equal("done", (calls.next(one, call)))
  end)

  it("is not told where the fetch was given up", function()
    local call = elected(one)
    pass(one, 30000)
    assert.equal("share", (calls.next(one, call)))
    assert.is_nil((record(one, call)))
    call:shared()
    assert.equal("done", (calls.next(one, call)))
  end)

  describe("that was refused", function()
    local text

    before_each(function()
      text = fetch(one, "token-1")
      assert.is_true(adopt(other, seeking(other), text))
    end)

    local function refused(world)
      local call = calls.begin(world)
      assert.equal("send", (calls.next(world, call)))
      assert.equal("seek", (calls.answer(world, call, calls.refusal(1007))))
      return call
    end

    it("is not taken a second time", function()
      local call = refused(other)
      assert.is_false(adopt(other, call, text))
      assert.equal("seek", (calls.next(other, call)))
    end)

    it("is replaced by a newer one that another fetched", function()
      local first = refused(one)
      first:elected()
      calls.next(one, first)
      calls.answer(one, first, calls.token_body(one, "token-2"))
      local _, newer = record(one, first)
      local call = refused(other)
      assert.is_true(adopt(other, call, newer))
      assert.equal("token-2", used_token(other, call))
    end)

    it("is not replaced by an older one", function()
      local call = refused(other)
      call:elected()
      calls.next(other, call)
      calls.answer(other, call, calls.token_body(other, "token-2")) -- and could not save it
      call:shared()
      assert.equal("token-2", used_token(other, call))
      assert.equal("done", (calls.answer(other, call, calls.refusal(1007))))
      local again = seeking(other)
      assert.is_false(adopt(other, again, text))
      assert.equal("seek", (calls.next(other, again)))
    end)
  end)

  it("that would soon end is not taken, nor one that has ended", function()
    local text = fetch(one, "token-1")
    local call = seeking(other)
    pass(other, DAY - 29000)
    assert.equal("done", (calls.next(other, call)))
    call = seeking(other)
    assert.is_false(adopt(other, call, text))
    pass(other, 60000)
    call = seeking(other)
    assert.is_false(adopt(other, call, text))
  end)

  it("is refreshed in the window that its fetcher saw, short as its life may be", function()
    local text = fetch(one, "token-1", 100000)
    pass(other, 50000)
    local call = seeking(other)
    assert.is_true(adopt(other, call, text))
    assert.equal("token-1", used_token(other, calls.begin(other)))
    pass(other, 32000) -- less than a fifth is left
    assert.equal("seek", (calls.next(other, calls.begin(other))))
  end)

  describe("refreshed by another process", function()
    before_each(function()
      assert.is_true(adopt(other, seeking(other), (fetch(one, "token-1"))))
      pass(other, DAY - 300000)
    end)

    it("is gone on with", function()
      local call = seeking(other)
      local monotonic, wall = calls.now(other)
      assert.is_true(call:stand_back(monotonic, wall))
      assert.equal("token-1", used_token(other, call))
      assert.equal("token-1", used_token(other, calls.begin(other)))
      pass(other, 501)
      seeking(other)
    end)

    it("is not gone on with when it has come to its end", function()
      pass(other, 280000)
      local call = seeking(other)
      assert.is_false(call:stand_back(calls.now(other)))
      assert.equal("seek", (calls.next(other, call)))
    end)
  end)

  describe("that could not be had", function()
    local function failure_of(body)
      local call = elected(one)
      assert.equal("share", (calls.answer(one, call, body)))
      local kind, text = record(one, call)
      call:shared()
      return kind, text, call
    end

    it("lets others fail for the same reason, for a moment", function()
      local kind, note, call = failure_of(calls.refusal(1010, "not enabled for key-1"))
      assert.equal("failure", kind)
      assert.equal("done", (calls.next(one, call)))
      call = seeking(other)
      local monotonic, wall = calls.now(other)
      assert.is_true(call:told(monotonic, wall, note))
      local action, ok, failure = calls.next(other, call)
      assert.same({ "done", false }, { action, ok })
      assert.same({ 1010, "api", "not_sent", "not enabled for *****" },
        { failure.code, failure.kind, failure.outcome, failure.message })
      assert.equal("done", (calls.next(other, calls.begin(other))))
      pass(other, 1001)
      seeking(other)
    end)

    it("does not end a call whose old token still serves", function()
      assert.is_true(adopt(other, seeking(other), (fetch(one, "token-1"))))
      pass(one, DAY - 300000)
      pass(other, DAY - 300000)
      local _, note = failure_of(calls.refusal(1010))
      local call = seeking(other)
      local monotonic, wall = calls.now(other)
      assert.is_true(call:told(monotonic, wall, note))
      assert.equal("token-1", used_token(other, call))
    end)

    it("is kept to itself where the reason is this machine's own", function()
      for _, code in ipairs { 1003, 1005 } do
        one = calls.world { secret = SECRET }
        local call = elected(one)
        local action = calls.answer(one, call, calls.refusal(code), { date = false })
        assert.equal("share", action)
        assert.is_nil((record(one, call)))
      end
      one = calls.world { secret = SECRET }
      local call = elected(one)
      assert.equal("share", (calls.fail(one, call, "tls", "connected", "untrusted")))
      assert.is_nil((record(one, call)))
    end)

    it("is no news where something else was left, or nothing sensible", function()
      local text = fetch(one, "token-1")
      local call = seeking(other)
      local monotonic, wall = calls.now(other)
      for _, note in ipairs { "", "x", text } do
        assert.is_false(call:told(monotonic, wall, note))
      end
      one = calls.world { secret = SECRET }
      local _, failure = failure_of(calls.refusal(1010))
      assert.is_false(adopt(other, call, failure))
      assert.equal("seek", (calls.next(other, call)))
    end)
  end)

  describe("carries the clock", function()
    local MINUTES = 5 * 60000

    -- The server's time by the Timestamp of the next request of `world`, against the truth.
    local function behind(world, call)
      local _, request = calls.next(world, call)
      return calls.server_time(world) - tonumber(request.headers.Timestamp)
    end

    local function wrong(skew)
      return calls.world { secret = SECRET, monotonic = 7000000, skew = skew }
    end

    it("so that a machine minutes wrong is not refused once", function()
      for _, skew in ipairs { MINUTES, -MINUTES } do
        one, other = calls.world { secret = SECRET, skew = skew }, wrong(skew - 6999000)
        local text = fetch(one, "token-1", DAY, "boot-1")
        pass(one, 60000)
        pass(other, 60000)
        local call = seeking(other)
        assert.is_true(adopt(other, call, text, "boot-1"))
        local late = behind(other, call)
        assert.is_true(late >= 0 and late <= 4000, late)
      end
    end)

    it("with a token that has ended as well", function()
      one, other = calls.world { secret = SECRET, skew = MINUTES }, wrong(MINUTES - 6999000)
      local text = fetch(one, "token-1", 60000, "boot-1")
      pass(one, 120000)
      pass(other, 120000)
      local call = seeking(other)
      assert.is_false(adopt(other, call, text, "boot-1"))
      call:elected()
      local late = behind(other, call)
      assert.is_true(late >= 0 and late <= 4000, late)
    end)

    it("but not from another machine's run, nor from the future, nor from nowhere", function()
      for _, case in ipairs { { "boot-1", "boot-2", 0 }, { "boot-1", "boot-1", -1 },
        { "boot-1", nil, 0 }, { nil, "boot-1", 0 }, { "", "", 0 } } do
        one, other = calls.world { secret = SECRET, skew = MINUTES }, wrong(MINUTES - 6999000)
        local text = fetch(one, "token-1", DAY, case[1])
        pass(one, case[3])
        local call = seeking(other)
        adopt(other, call, text, case[2])
        call:elected()
        assert.is_true(math.abs(behind(other, call)) > 60000)
      end
    end)

    it("less and less surely with age, and not at all where a guess is as good", function()
      one, other = calls.world { secret = SECRET, skew = MINUTES }, wrong(MINUTES - 6999000)
      local text = fetch(one, "token-1", 10 * DAY, "boot-1")
      pass(one, DAY)
      pass(other, DAY)
      local call = seeking(other)
      assert.is_true(adopt(other, call, text, "boot-1"))
      local late = behind(other, call)
      assert.is_true(late > 17000 and late < 22000, late)
      other = wrong(MINUTES - 6999000)
      pass(one, DAY)
      pass(other, 2 * DAY)
      call = seeking(other)
      adopt(other, call, text, "boot-1")
      assert.is_true(math.abs(behind(other, call)) > 60000)
    end)

    it("which never goes before what the server said to this process", function()
      one = calls.world { secret = SECRET, skew = MINUTES }
      local text = fetch(one, "token-1", DAY, "boot-1")
      fetch(other, "token-0")
      other.monotonic = other.monotonic + DAY - 300000
      one.monotonic = other.monotonic
      local call = seeking(other)
      adopt(other, call, text, "boot-1")
      assert.is_true(math.abs(behind(other, call)) < 30000)
    end)
  end)

  describe("is left", function()
    it("sealed: neither token nor Api-Key nor address can be read or guessed", function()
      local text = fetch(one, "token-1")
      assert.matches("^[%w+/]+=*$", text)
      assert.is_nil(text:find("token", 1, true))
      assert.is_true(#text < 8192)
      local again = fetch(calls.world { secret = SECRET }, "token-1")
      assert.not_equal(text, again)
      assert.matches("^%x+$", one.client:store_key())
      assert.equal(32, #one.client:store_key())
      assert.equal(one.client:store_key(), other.client:store_key())
    end)

    it("in another place, under another seal, for other keys or addresses", function()
      local text = fetch(one, "token-1")
      for _, changes in ipairs { { secret = "0123456789abcdeF" }, { api_key = "key-2" },
        { address = "https://host2/open-api/v1" } } do
        changes.secret = changes.secret or SECRET
        local stranger = calls.world(changes)
        assert.not_equal(one.client:store_key(), stranger.client:store_key())
        local call = seeking(stranger)
        assert.is_false(adopt(stranger, call, text))
        assert.equal("seek", (calls.next(stranger, call)))
      end
    end)

    it("so that no byte of it can be changed, cut or added", function()
      local text = fetch(one, "token-1")
      local call = seeking(other)
      for i = 1, #text do
        local byte = text:sub(i, i) == "A" and "B" or "A"
        assert.is_false(adopt(other, call, text:sub(1, i - 1) .. byte .. text:sub(i + 1)))
        assert.is_false(adopt(other, call, text:sub(1, i - 1)))
      end
      for _, nonsense in ipairs { text .. "A", text .. "AAAA", "\0", ("A"):rep(8192),
        ("A"):rep(100000), "AQ==", "AA==" } do
        assert.is_false(adopt(other, call, nonsense))
      end
      assert.is_true(adopt(other, call, text))
      assert.is_nil(core.openssl_error())
    end)

    it("whole with the longest token there may be", function()
      local token = ("x"):rep(4096)
      local text = fetch(one, token, DAY, ("e"):rep(64))
      assert.is_true(#text <= 8192)
      local call = seeking(other)
      assert.is_true(adopt(other, call, text))
      assert.equal(token, used_token(other, call))
    end)
  end)

  it("has names for claims that nobody had before", function()
    local first, second = core.nonce(), core.nonce()
    assert.matches("^%x+$", first)
    assert.equal(16, #first)
    assert.not_equal(first, second)
  end)

  it("says nothing at the wrong time", function()
    local text = fetch(one, "token-1")
    local call = calls.begin(other)
    local monotonic, wall = calls.now(other)
    assert.is_false(adopt(other, call, text))
    assert.is_false(call:stand_back(monotonic, wall))
    assert.is_false(call:told(monotonic, wall, text))
    assert.is_nil((record(other, call)))
    call:elected()
    call:shared()
    assert.equal("seek", (calls.next(other, call)))
  end)
end)
