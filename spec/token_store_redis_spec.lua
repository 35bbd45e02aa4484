local core = require "keysecure.core"
local redis = require "keysecure.token_store.redis"
local redis_server = require "spec.support.redis"
local support = require "spec.support.token_store"

local KEY = ("0123456789abcdef"):rep(2)

describe("the token store in Redis #plain", function()
  local server

  setup(function()
    server = redis_server.start()
  end)
  teardown(function()
    server:stop()
  end)

  local function new(changes)
    local options = { path = server.path, timeout = 5 }
    for name, value in pairs(changes or {}) do
      options[name] = value
    end
    return redis.new(options)
  end

  local function raw()
    return server:client()
  end

  describe("over a Unix socket", function()
    support.contract({ it = it, before_each = before_each }, function()
      raw():flushall()
      return new()
    end, function() return new() end)
  end)

  describe("over TCP", function()
    support.contract({ it = it, before_each = before_each }, function()
      raw():flushall()
      return redis.new { host = "127.0.0.1", port = server.port, timeout = 5 }
    end, function() return redis.new { port = server.port, timeout = 5 } end)
  end)

  -- As lua-resty-redis: no null but ngx.null, nil or false and a reason where others raise.
  local function polite(opened, closed)
    return redis.new {
      connect = function()
        local client = raw()
        opened[#opened + 1] = client
        return { eval = function(_, ...)
          local ok, answer = pcall(client.eval, client, ...)
          if not ok then
            return false, answer
          end
          return answer == nil and io.stdout or answer
        end }
      end,
      release = function(client, healthy) closed[#closed + 1] = { client, healthy } end,
    }
  end

  describe("over connections of one's own", function()
    support.contract({ it = it, before_each = before_each }, function()
      raw():flushall()
      return polite({}, {})
    end, function() return polite({}, {}) end)
  end)

  describe("with a client", function()
    local store

    before_each(function()
      raw():flushall()
      store = new()
    end)

    it("connects to nothing before it is used", function()
      assert.is_table(redis.new { host = "127.0.0.1", port = 1 })
    end)

    it("keeps one connection", function()
      local client = raw()
      local function received()
        return tonumber(client:info("stats").stats.total_connections_received)
      end
      local before = received()
      for _ = 1, 10 do
        store:load(KEY)
        store:save(KEY, "text", 60)
        store:now()
      end
      assert.equal(before + 1, received())
    end)

    it("leaves a kept connection to the process that made it", function()
      local client, own = raw(), core.pid
      local function received()
        return tonumber(client:info("stats").stats.total_connections_received)
      end
      store:load(KEY)
      local before = received()
      finally(function() core.pid = own end)
      core.pid = function() return own() + 1 end -- what a forked child would be told
      store:load(KEY)
      store:load(KEY)
      assert.equal(before + 1, received())
    end)

    it("connects again where the kept connection is gone", function()
      assert.is_true(store:save(KEY, "text", 60))
      for _ = 1, 3 do
        raw():client("KILL", "TYPE", "normal")
        assert.equal("text", store:load(KEY))
      end
      raw():client("KILL", "TYPE", "normal")
      assert.is_true(store:claim(KEY, "a", 60))
      raw():client("KILL", "TYPE", "normal")
      assert.is_true(store:claim(KEY, "a", 60))
    end)

    it("takes and gives back connections of one's own, each time", function()
      local opened, closed = {}, {}
      store = polite(opened, closed)
      store:save(KEY, "text", 60)
      store:load(KEY)
      assert.same({ 2, 2 }, { #opened, #closed })
      assert.is_true(closed[1][2])
      raw():del("keysecure:" .. KEY)
      raw():lpush("keysecure:" .. KEY, "no text")
      assert.is_nil((store:load(KEY)))
      assert.is_false(closed[3][2])
      assert.equal(3, #closed)
    end)

    it("uses two names for a key, with a prefix and an end", function()
      store:save(KEY, "text", 60)
      store:claim(KEY, "a", 5)
      new { prefix = "shop:" }:save(KEY, "other", 60)
      local names = raw():keys("*")
      table.sort(names)
      assert.same({ "keysecure:" .. KEY, "keysecure:" .. KEY .. ":claim", "shop:" .. KEY }, names)
      assert.is_true(raw():pttl("keysecure:" .. KEY) > 50000)
      local claim = raw():pttl("keysecure:" .. KEY .. ":claim")
      assert.is_true(claim > 0 and claim <= 5000)
    end)

    it("says so where something else stands under a name, and where there is no memory", function()
      raw():lpush("keysecure:" .. KEY, "no text")
      local text, err = store:load(KEY)
      assert.is_nil(text)
      assert.matches("^redis error: .*WRONGTYPE", err)
      raw():config("SET", "maxmemory", "1")
      local saved, full = store:save(KEY, "text", 60)
      local claimed, none = store:claim(KEY, "a", 60)
      raw():config("SET", "maxmemory", "0")
      assert.is_nil(saved)
      assert.matches("OOM", full)
      assert.is_nil(claimed)
      assert.matches("OOM", none)
      assert.is_true(store:save(KEY, "text", 60))
    end)

    it("chooses a database", function()
      new { database = 3 }:save(KEY, "text", 60)
      assert.is_nil((store:load(KEY)))
      assert.equal("text", new { database = 3 }:load(KEY))
    end)

    it("tells the server's time and run", function()
      local at, run = store:now()
      assert.is_true(math.abs(at - core.wall()) < 60000)
      assert.matches("^%x+$", run)
      assert.equal(40, #run)
    end)

    it("prints as what it is", function()
      assert.equal("token store in Redis", tostring(store))
    end)
  end)

  describe("where Redis", function()
    local function takes_at_most(milliseconds, fn)
      local before = core.monotonic()
      fn()
      assert.is_true(core.monotonic() - before < milliseconds)
    end

    local function fails(store)
      for _, method in ipairs { "load", "save", "claim", "release", "now" } do
        local value, err = store[method](store, KEY, "a", 60)
        assert.is_nil(value)
        assert.is_string(err)
        assert.is_nil(err:find "\n")
      end
    end

    it("isn't there, says so", function()
      fails(redis.new { path = server.path .. "-not", timeout = 5 })
      fails(redis.new { port = 1, timeout = 5 })
    end)

    it("doesn't answer, gives up in time", function()
      local store = new { timeout = 0.05 }
      store:load(KEY)
      server:signal "STOP"
      local ok, err = pcall(takes_at_most, 8000, function() fails(store) end)
      server:signal "CONT"
      assert.is_true(ok, err)
      assert.is_true(support.eventually(function() return store:save(KEY, "text", 60) end))
    end)

    it("was started anew, goes on", function()
      local store = new()
      store:save(KEY, "text", 60)
      local _, run = store:now()
      server:halt()
      assert.is_nil((store:load(KEY)))
      server:launch()
      local text, err = store:load(KEY)
      assert.is_nil(text)
      assert.is_nil(err)
      assert.is_true(store:save(KEY, "text", 60))
      assert.not_equal(run, (select(2, store:now())))
    end)

    it("wants a password, says so, and takes it", function()
      local closed = redis_server.start { password = "open-sesame" }
      local ok, fault = pcall(function()
        local _, err = redis.new { path = closed.path, timeout = 5 }:load(KEY)
        assert.matches("NOAUTH", err)
        _, err = redis.new { path = closed.path, timeout = 5, password = "guess-8812" }:load(KEY)
        assert.matches("WRONGPASS", err)
        assert.is_nil(err:find "guess")
        for _, username in ipairs { false, "default" } do
          local store = redis.new { path = closed.path, timeout = 5, password = "open-sesame",
            username = username or nil }
          assert.is_true(store:save(KEY, "text", 60))
          assert.is_nil(tostring(store):find "sesame")
        end
      end)
      closed:stop()
      assert.is_true(ok, fault)
    end)
  end)

  it("elects one of many processes", function()
    raw():flushall()
    local command = {}
    for i = 1, 8 do
      command[i] = ("%s spec/support/store_child.lua elect redis:%s %s %d &"):format(
        os.getenv "KS_INTERPRETER", server.path, KEY, i)
    end
    local pipe = assert(io.popen(table.concat(command, " ") .. " wait", "r"))
    local answers = pipe:read "*a"
    pipe:close()
    local _, won = answers:gsub("won", "")
    local _, lost = answers:gsub("lost", "")
    assert.same({ 200, 1400 }, { won, lost })
  end)

  it("raises for what is no option, where that was written", function()
    for _, case in ipairs { { 7, "a table of options expected, got number" },
      { { hots = "x" }, "no option 'hots'; did you mean 'host'?" },
      { { port = "6379" }, "option port: number expected, got string" },
      { { connect = {} }, "option connect: function expected, got table" } } do
      local ok, message = pcall(redis.new, case[1])
      assert.is_false(ok)
      assert.matches(case[2], message, 1, true)
      assert.matches("token_store_redis_spec.lua", message, 1, true)
    end
  end)

  it("asks for redis-lua by name where it is missing", function()
    local loaded, path = package.loaded.redis, package.path
    package.loaded.redis, package.path = nil, ""
    local ok, message = pcall(redis.new)
    package.loaded.redis, package.path = loaded, path
    assert.is_false(ok)
    assert.equal("the token store in Redis needs redis-lua: luarocks install redis-lua;"
      .. " or the option connect", message)
  end)
end)
