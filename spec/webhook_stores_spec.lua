-- lua/keysecure/webhook/store/: memory, and redis with a real one. shdict is in
-- webhook_openresty_spec.lua, inside nginx, and so is redis from there.
local core = require "keysecure.core"
local memory = require "keysecure.webhook.store.memory"
local redis_store = require "keysecure.webhook.store.redis"
local redis_server = require "spec.support.redis"
local support = require "spec.support.webhook"

local function wait(fn)
  local limit = core.monotonic() + 20000
  while not fn() do
    assert(core.monotonic() < limit, "waited in vain")
    core.sleep(10)
  end
end

-- Over TCP, where writing to a server that is gone fails, rather than raises SIGPIPE.
local function client_of(server)
  return require("redis").connect("127.0.0.1", server.port)
end

-- What every store promises. `new` makes an empty one.
local function keeps_the_contract(new)
  it("adds once, and says what is there", function()
    local store = new()
    assert.is_true(store:add("a", "first", 60))
    assert.same({ false, "first" }, { store:add("a", "second", 60) })
    assert.is_true(store:add("b", "other", 60))
    assert.equal("first", store:get "a")
  end)

  it("gets false where there is nothing", function()
    assert.is_false((new():get "nothing"))
  end)

  it("sets, over what is there too, and deletes", function()
    local store = new()
    assert.is_true(store:set("a", "1", 60))
    assert.is_true(store:set("a", "2", 60))
    assert.equal("2", store:get "a")
    assert.is_true(store:delete "a")
    assert.is_true(store:delete "a")
    assert.is_false((store:get "a"))
    assert.is_true(store:add("a", "3", 60))
  end)

  it("forgets in time", function()
    local store = new()
    store:add("a", "1", 0.1)
    store:set("b", "1", 0.1)
    store:set("c", "1", 60)
    wait(function() return store:get "a" == false and store:get "b" == false end)
    assert.is_true(store:add("a", "2", 60))
    assert.equal("1", store:get "c")
  end)

  it("keeps any text, and many of them", function()
    local store = new()
    for i = 0, 255 do
      store:set("key" .. string.char(i) .. i, string.char(i) .. "|\n", 60)
    end
    for i = 0, 255 do
      assert.equal(string.char(i) .. "|\n", store:get("key" .. string.char(i) .. i))
    end
  end)
end

describe("a store in memory", function()
  keeps_the_contract(memory.new)

  it("keeps no more than it may, and gives up the oldest", function()
    local store = memory.new { size = 3, on_full = function() end }
    for _, key in ipairs { "a", "b", "c" } do
      store:add(key, key, 60)
    end
    store:set("a", "again", 60) -- which makes it no younger
    store:add("d", "d", 60)
    assert.is_false(store:get "a")
    store:delete "b"
    store:add("b", "new", 60)
    assert.is_false(store:get "c" and store:get "b" == "b")
    assert.same({ "d", "new" }, { store:get "d", store:get "b" })
    local count = 0
    for i = 1, 1000 do
      store:add("x" .. i, "x", 60)
    end
    for _ in pairs(store.entries) do
      count = count + 1
    end
    assert.equal(3, count)
  end)

  it("says, now and then, that it forgets what was to be remembered", function()
    local now, said = 0, {}
    local store = memory.new { size = 2, now = function() return now end,
      on_full = function(message) table.insert(said, message) end }
    for key = 1, 4 do
      store:add("a" .. key, "x", 60)
    end
    assert.equal(1, #said)
    assert.matches("larger than 2 entries", said[1])
    now = 61000 -- what is there has had its time
    store:add("b", "x", 60)
    store:delete "b"
    store:add("c", "x", 60)
    store:add("d", "x", 60) -- in the place of one that was deleted
    assert.equal(1, #said)
    store:add("e", "x", 60)
    assert.equal(2, #said)
  end)

  it("raises on misuse", function()
    for _, size in ipairs { 0, -1, 1.5, "3" } do
      assert.has_error(function() memory.new { size = size } end)
    end
  end)
end)

describe("a store in Redis #plain", function()
  local server, client

  setup(function()
    server = redis_server.start()
    client = client_of(server)
  end)
  teardown(function() server:stop() end)

  local released = {}

  local function new(prefix)
    client:flushall()
    return redis_store.new {
      connect = function() return client end, prefix = prefix,
      release = function(_, failed) table.insert(released, failed) end,
    }
  end

  keeps_the_contract(new)

  it("has a prefix of its own, and times of its keys", function()
    local store = new "mine:"
    store:add("a", "1", 60)
    store:set("b", "1", 0.5)
    assert.equal("1", client:get "mine:a")
    local left = client:pttl "mine:a"
    assert.is_true(left > 50000 and left <= 60000)
    assert.is_true(client:pttl "mine:b" <= 500)
    new():add("a", "1", 60)
    assert.equal("1", client:get "keysecure:webhook:a")
  end)

  it("gives every client back", function()
    released = {}
    local store = new()
    store:add("a", "1", 60)
    store:add("a", "1", 60)
    store:get "a"
    assert.same({ false, false, false, false }, released)
  end)

  it("says what went wrong, and never raises for it", function()
    local store = redis_store.new { connect = function() return nil, "refused" end }
    for _, method in ipairs { "add", "get", "set", "delete" } do
      local ok, err = store[method](store, "a", "1", 1)
      assert.is_nil(ok)
      assert.equal("no Redis: refused", err)
    end
    store = redis_store.new { connect = function() error "no route" end }
    assert.matches("no route", select(2, store:get "a"))

    local other = redis_server.start()
    local connection = client_of(other)
    released = {}
    store = redis_store.new { connect = function() return connection end,
      release = function(_, failed) table.insert(released, failed) end }
    assert.is_true(store:add("a", "1", 60))
    other:stop()
    local ok, err = store:add("a", "1", 60)
    assert.is_nil(ok)
    assert.matches("^Redis: ", err)
    assert.same({ false, true }, released)
  end)

  it("raises on misuse", function()
    for _, options in ipairs { "x", {}, { connect = 1 }, { connect = print, release = 1 },
      { connect = print, prefix = 1 } } do
      assert.has_error(function() redis_store.new(options) end)
    end
  end)

  it("has two processes give one answer", function()
    local store = new()
    local here, told = support.hook { store = store }
    local there = support.hook { store = store }
    here:on("Auth", function() return { code = 4, message = "here" } end)
    there:on("Auth", function() error "not here" end)
    local data = support.purchase()
    assert.is_false((support.auth(here, data)))
    assert.same({ code = 4, message = "here" }, (select(2, support.auth(there, data))))
    assert.same({}, told.errors)
  end)

  it("that is away declines, and an answer that was given stays", function()
    local other = redis_server.start()
    local hook, told = support.hook { store = redis_store.new {
      connect = function() return client_of(other) end } }
    local calls = 0
    hook:on("Auth", function()
      calls = calls + 1
      return true
    end)
    local data = support.purchase()
    assert.is_true((support.auth(hook, data)))
    other:stop()
    assert.is_false((support.auth(hook)))
    assert.equal("store", told.journal[2].reason)
    assert.equal(1, calls)
  end)
end)
