-- How a client shares its token through a store: first with time as an argument, then over HTTP.
local core = require "keysecure.core"
local calls = require "spec.support.calls"
local keysecure = require "keysecure"
local memory = require "keysecure.token_store.memory"
local shared_token = require "keysecure.shared_token"
local support = require "spec.support.client"

local SECRET = "0123456789abcdef"

describe("sharing a token", function()
  local world, store, shared, pauses, told

  -- A store whose time is the world's.
  local function timed_store()
    local claims = {}
    return { claims = claims, asked = {}, load = function() return nil end,
      save = function(self, _, text) self.text = text return true end,
      claim = function(_, _, owner, seconds)
        local held = claims[1]
        if held and held.owner ~= owner and held.until_ > world.monotonic then
          return false
        end
        claims[1] = { owner = owner, until_ = world.monotonic + seconds * 1000 }
        return true
      end,
      release = function(_, _, owner)
        if claims[1] and claims[1].owner == owner then
          claims[1] = nil
        end
        return true
      end,
    }
  end

  before_each(function()
    world = calls.world { secret = SECRET }
    store, pauses, told = timed_store(), {}, {}
    shared = shared_token.new({
      core = world.client, now = function() return calls.now(world) end,
      options = { on_event = function(event) told[#told + 1] = event end },
      host = { wait = function(_, moment, for_token)
        assert.is_false(for_token)
        pauses[#pauses + 1] = moment - world.monotonic
        world.monotonic = moment
        return not world.closed
      end },
    }, store)
  end)

  local function seek(changes)
    local call = calls.begin(world, changes)
    assert.equal("seek", (calls.next(world, call)))
    local action, first, second = shared:seek(call)
    return call, action, first, second
  end

  local function is_token_request(action, request)
    assert.equal("send", action)
    assert.matches("/merchant/token$", request.url)
  end

  it("fetches at once where nobody else does", function()
    local call, action, request = seek()
    is_token_request(action, request)
    assert.same({}, pauses)
    assert.equal("share", (calls.answer(world, call, calls.token_body(world, "token-1"))))
    local next_action, operation = shared:share(call)
    assert.equal("send", next_action)
    assert.equal("token-1", operation.headers["Access-Token"])
    assert.is_string(store.text)
    assert.same({}, store.claims)
  end)

  it("waits for another with growing pauses, and takes over when its claim has lapsed", function()
    store:claim("key", "dead", 5)
    local _, action, request = seek()
    is_token_request(action, request)
    assert.same({ 10, 20, 40, 80, 160, 200, 200 }, { pauses[1], pauses[2], pauses[3], pauses[4],
      pauses[5], pauses[6], pauses[#pauses] })
    assert.is_true(world.monotonic >= 6000 and world.monotonic <= 6400)
  end)

  it("waits no longer than two claims, whatever the store says", function()
    store.claim = function() return false end
    local _, action, request = seek()
    is_token_request(action, request)
    assert.is_true(world.monotonic >= 11000 and world.monotonic <= 11400)
  end)

  it("ends the call where the client is closed meanwhile", function()
    world.closed = true
    store:claim(world.client:store_key(), "another", 5)
    local _, action, succeeded, fault = seek()
    assert.same({ "done", false, "cancelled", "not_sent", 1 },
      { action, succeeded, fault.kind, fault.outcome, #pauses })
  end)

  it("waits no longer than the call has time", function()
    store.claim = function() return false end
    local _, action, ok, failure = seek { timeout = 500 }
    assert.same({ "done", false, "timeout", "not_sent" },
      { action, ok, failure.kind, failure.outcome })
    assert.is_true(world.monotonic >= 1500 and world.monotonic <= 1700)
  end)

  it("takes what was saved between its look and its claim", function()
    local saved
    do
      local other = calls.world { secret = SECRET }
      local call = calls.begin(other)
      calls.next(other, call)
      call:elected()
      calls.next(other, call)
      calls.answer(other, call, calls.token_body(other, "token-1"))
      saved = select(2, call:record(calls.now(other)))
    end
    local claim = store.claim
    store.claim = function(...)
      store.load = function() return saved end
      return claim(...)
    end
    local _, action, request = seek()
    assert.equal("send", action)
    assert.equal("token-1", request.headers["Access-Token"])
    assert.same({}, store.claims)
  end)

  it("ends the claim of a fetch that was given up", function()
    local call = seek { timeout = 500 }
    assert.is_table(store.claims[1])
    world.monotonic = world.monotonic + 500
    assert.equal("share", (calls.next(world, call)))
    assert.equal("done", (shared:share(call)))
    assert.same({}, store.claims)
    assert.is_nil(store.text)
  end)

  it("leaves a store alone for a second after it failed, and says so once", function()
    local asked = 0
    store.load = function()
      asked = asked + 1
      return nil, "disk\nfull " .. ("x"):rep(1000)
    end
    for _ = 1, 3 do
      local call, action = seek()
      assert.equal("send", action)
      calls.answer(world, call, calls.refusal(1005), { date = false })
      world.monotonic = world.monotonic + 500
      assert.is_false((shared:ask "load"))
      shared:share(call)
      world.monotonic = world.monotonic + 501
    end
    assert.equal(3, asked)
    assert.equal(1, #told)
    assert.equal("token_store", told[1].event)
    assert.matches("^load: disk full x+$", told[1].message)
    assert.is_true(#told[1].message < 250)
    store.load = function() return nil end
    calls.answer(world, (seek()), calls.refusal(1005), { date = false })
    world.monotonic = world.monotonic + 1001
    assert.equal(1, #told)
    shared:ask "load"
    store.load = error
    shared:ask "load"
    assert.equal(2, #told)
    assert.is_false((shared:ask "load"))
  end)

  it("shows nothing when printed", function()
    assert.equal("shared access token", tostring(shared))
  end)
end)

describe("clients that share a token store", function()
  local world

  setup(function()
    world = support.start()
  end)
  teardown(function()
    world:stop()
  end)
  after_each(function()
    world:no_faults()
    world:configure { single_session = false }
  end)

  local function clients(count, store, changes)
    local list = {}
    for i = 1, count do
      local options = { token_store = store }
      for name, value in pairs(changes or {}) do
        options[name] = value
      end
      list[i] = world:client(options)
    end
    return list
  end

  local function use(list)
    for _, ks in ipairs(list) do
      assert(ks.cards:packages())
    end
  end

  it("fetch once", function()
    local list = clients(5, memory.new())
    local counted = world:counted(function()
      use(list)
      use(list)
    end)
    assert.equal(1, counted.of["merchant.token"])
    assert.equal(10, counted.of["cards.packages"])
  end)

  for _, single in ipairs { false, true } do
    it("fetch once after their token was refused, each call once more"
      .. (single and ", where a new one ends the old" or ""), function()
      world:configure { single_session = single }
      local list = clients(4, memory.new())
      use(list)
      for _ = 1, 3 do
        world:control("POST", "tokens/expire")
        local counted = world:counted(function()
          use(list)
          use(list)
        end)
        assert.equal(1, counted.of["merchant.token"])
        assert.equal(12, counted.of["cards.packages"])
      end
    end)
  end

  it("let other calls go on while a store takes its time", function()
    local good, ks = memory.new(), nil
    local store = {}
    for _, name in ipairs { "load", "save", "claim", "release", "now" } do
      store[name] = function(_, ...)
        ks:sleep(0.01) -- yields, and counts as broken where that can't be: under PUC Lua 5.1
        return good[name](good, ...)
      end
    end
    ks = world:client { token_store = store }
    local items = {}
    for i = 1, 20 do
      items[i] = i
    end
    local counted = world:counted(function()
      local _, failures = ks:parallel(20, items, function() return ks.cards:packages() end)
      assert.is_nil(failures)
      use(clients(2, good))
    end)
    local yields = _VERSION ~= "Lua 5.1" or rawget(_G, "jit") ~= nil
    assert.equal(yields and 1 or 2, counted.of["merchant.token"])
    assert.equal(22, counted.of["cards.packages"])
  end)

  it("do not share with another merchant's", function()
    local store = memory.new()
    local counted = world:counted(function()
      use(clients(2, store))
      for _, ks in ipairs(clients(2, store, { mode = "authorization" })) do
        assert(ks.cards:bins())
      end
    end)
    assert.equal(2, counted.of["merchant.token"])
  end)

  it("fail together for a moment where the platform gives no token", function()
    local list = clients(3, memory.new())
    world:fault("merchant.token", 1010, "always")
    local counted = world:counted(function()
      for _, ks in ipairs(list) do
        support.refused({ code = 1010, outcome = "not_sent", attempts = 0 }, ks.cards:packages())
      end
    end)
    assert.equal(1, counted.total)
  end)

  it("do not fail each other where the network doesn't let one through", function()
    local store = memory.new()
    local cut_off = world:client { token_store = store, transport = { perform = function()
      return nil, { reason = "tls", reached = "connected", message = "not trusted" }
    end } }
    support.refused({ kind = "transport", outcome = "not_sent" }, cut_off.cards:packages())
    use(clients(2, store))
  end)

  it("without one, where a new token ends the old, fetch once for each refusal", function()
    world:configure { single_session = true }
    local list = { world:client(), world:client() }
    local rounds = 5
    local counted = world:counted(function()
      for _ = 1, rounds do
        use(list)
      end
    end)
    -- Each call finds its token ended by the other's: refused, fetched, replayed, and no more. Only
    -- the two first calls had none to be refused.
    assert.equal(2 * rounds, counted.of["merchant.token"])
    assert.equal(2 * (2 * rounds) - 2, counted.of["cards.packages"])
  end)

  it("without one end a call honestly whose new token is ended before its replay", function()
    world:configure { single_session = true }
    local rival = world:client()
    local carrier
    local ks = world:client { transport = { perform = function(_, request)
      if request.url:find("/card/package/list", 1, true) then
        assert(rival:call "merchant.token")
      end
      return carrier:perform(request)
    end } }
    carrier = world:client().transport
    local counted = world:counted(function()
      support.refused({ code = 1007, outcome = "refused", attempts = 2 }, ks.cards:packages())
    end)
    assert.equal(4, counted.of["merchant.token"]) -- two of them the rival's
    assert.equal(2, counted.of["cards.packages"])
  end)

  describe("and find it broken", function()
    local function raising() error("no such store") end
    local function failing() return nil, "no such store" end
    local NONSENSE = { function() return 7, 8, 9 end, function() return {}, {} end,
      function() return "x", "y" end, function() return true, true end }

    local function broken(how, method)
      local good = memory.new()
      local bad = { [method] = how }
      for _, name in ipairs { "load", "save", "claim", "release", "now" } do
        bad[name] = bad[name] or function(_, ...)
          return good[name](good, ...)
        end
      end
      return bad
    end

    it("go on as without one, and say so once", function()
      for _, method in ipairs { "load", "save", "claim", "release" } do
        for _, how in ipairs { raising, failing } do
          local events = {}
          local ks = clients(1, broken(how, method), { on_event = function(event)
            events[#events + 1] = event.event == "token_store" and event.message or nil
          end })[1]
          local counted = world:counted(function()
            use { ks, ks, ks }
          end)
          assert.equal(1, counted.of["merchant.token"], method)
          assert.equal(1, #events)
          assert.matches("^" .. method .. ": .*no such store$", events[1])
        end
      end
    end)

    it("go on where it answers nonsense", function()
      for _, method in ipairs { "load", "save", "claim", "release", "now" } do
        for _, how in ipairs(NONSENSE) do
          if not (method == "claim" and not how()) then
            local ks = clients(1, broken(how, method))[1]
            local counted = world:counted(function()
              use { ks, ks, ks }
            end)
            assert.equal(1, counted.of["merchant.token"], method)
          end
        end
      end
    end)
  end)

  it("know the server's clock before their first request", function()
    local store = memory.new()
    use(clients(1, store))
    for _, offset in ipairs { 300, -300 } do
      local refused = world:stats().codes["1005"] or 0
      local counted = world:counted(function()
        use(clients(1, store, { clock = function()
          return select(2, core.now()) / 1000 + offset
        end }))
      end)
      assert.equal(refused, world:stats().codes["1005"] or 0)
      assert.equal(0, counted.future_timestamps)
      assert.equal(1, counted.total)
    end
  end)

  it("show nothing of it in errors, events and when printed", function()
    local token
    local carrier = world:client().transport
    local said = {}
    local function say(value)
      said[#said + 1] = tostring(value)
      for name, part in pairs(type(value) == "table" and value or {}) do
        said[#said + 1] = tostring(name) .. "=" .. tostring(part)
      end
    end
    local texts = {}
    local store = setmetatable({
      load = function(_, key) error("cannot load " .. key) end,
      save = function(_, _, text) texts[#texts + 1] = text error("cannot save " .. text) end,
    }, { __index = memory.new() })
    for _, method in ipairs { "load", "none" } do
      store.load = method == "load" and store.load or nil
      local ks = world:client { token_store = store, on_event = say, transport = {
        perform = function(_, request)
          token = request.headers["Access-Token"] or token
          return carrier:perform(request)
        end,
      } }
      assert(ks.cards:packages())
      say(support.refused({ code = 2002 }, ks.cardholders:info { cardholder_no = "U0" }))
      for _, value in ipairs { ks, ks.core, ks.shared_token, ks.options.token_store } do
        said[#said + 1] = tostring(value)
      end
    end
    assert.is_true(#texts >= 1 and #token > 20)
    local all = table.concat(said, "\n") .. table.concat(texts, "\n")
    assert.matches("cannot load", all)
    assert.matches("cannot save", all)
    local merchant = world.merchants.credit
    for _, secret in ipairs { token, merchant.api_key, merchant.api_secret } do
      assert.is_nil(all:find(secret, 1, true))
    end
  end)

  it("are told that a store lacks a method, or isn't one", function()
    local message = support.raised(keysecure.new, world:options { token_store = {} })
    assert.matches("option token_store: a table with a function 'load' expected", message)
    assert.matches("option token_store: table expected",
      support.raised(keysecure.new, world:options { token_store = "file" }))
  end)
end)
