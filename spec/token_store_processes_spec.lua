-- Many processes that share one access token, through a directory and through Redis, on a platform
-- where a new token ends the old one. What they asked for is counted at the emulator.
local child = require "spec.support.child"
local core = require "keysecure.core"
local file = require "keysecure.token_store.file"
local redis = require "keysecure.token_store.redis"
local redis_server = require "spec.support.redis"
local support = require "spec.support.client"
local eventually = require "spec.support.token_store".eventually

local PROCESSES = 8
-- Two tests with two stores: 10,000 calls each in the run under Lua 5.4, a tenth elsewhere.
local CALLS = os.getenv "KS_FLAVOUR" == "lua54" and 625 or 63

local KINDS = {
  file = {
    start = function(self)
      local pipe = assert(io.popen("mktemp -d", "r"))
      self.parent = pipe:read "*l"
      pipe:close()
      self.place = "file:" .. self.parent .. "/tokens"
    end,
    open = function(self) return file.new { directory = self.parent .. "/tokens" } end,
    claimed = function(self)
      local pipe = assert(io.popen("ls " .. self.parent .. "/tokens/*.claim 2>/dev/null", "r"))
      local name = pipe:read "*l"
      pipe:close()
      return name
    end,
    stop = function(self) os.execute("rm -rf " .. self.parent) end,
  },
  redis = {
    start = function(self)
      self.server = redis_server.start()
      self.place = "redis:" .. self.server.path
    end,
    open = function(self) return redis.new { path = self.server.path, timeout = 5 } end,
    claimed = function(self) return self.server:client():keys("*:claim")[1] end,
    stop = function(self) self.server:stop() end,
  },
}

for name, kind in pairs(KINDS) do
  describe("processes that share a token in a store of kind " .. name .. " #plain", function()
    local world, place

    setup(function()
      world = support.start { single_session = true }
    end)
    teardown(function()
      world:stop()
    end)
    before_each(function()
      place = setmetatable({}, { __index = kind })
      place:start()
    end)
    after_each(function()
      place:stop()
      world:no_faults()
      world:configure { token_lifetime = 86400, single_session = true }
    end)

    local function launch(count)
      local merchant = world.merchants.credit
      local pipe = assert(io.popen(("echo $$; KEYSECURE_ADDRESS=%s KEYSECURE_MODE=credit"
        .. " KEYSECURE_API_KEY=%s KEYSECURE_API_SECRET=%s exec %s spec/support/token_child.lua"
        .. " %s %d 2>&1"):format(world.address, merchant.api_key, merchant.api_secret,
        child.interpreter(), place.place, count), "r"))
      return { pipe = pipe, pid = pipe:read "*l", begun = pipe:read "*l" }
    end

    -- Waits for the end of all, and then looks whether each of their calls succeeded.
    local function finish(processes, count)
      local said, expected = {}, {}
      for i, process in ipairs(processes) do
        said[i] = process.pipe:read "*a"
        expected[i] = count .. " nil\n"
        process.pipe:close()
      end
      assert.same(expected, said)
    end

    -- Runs all of them; `meanwhile` runs beside them. Returns what was counted, and the seconds.
    local function run(count, meanwhile)
      local began = core.monotonic()
      local counted = world:counted(function()
        local processes = {}
        for i = 1, PROCESSES do
          processes[i] = launch(count)
        end
        if meanwhile then
          meanwhile()
        end
        finish(processes, count)
      end)
      return counted, (core.monotonic() - began) / 1000
    end

    local function calls_made(from)
      return (world:stats().requests["cards.packages"] or 0) - from
    end

    it("ask for one, and for one more each time it is taken from them", function()
      local from = calls_made(0)
      local times = CALLS > 100 and 4 or 1 -- so far apart that no call is hit twice
      local counted = run(CALLS, function()
        for i = 1, times do
          eventually(function() return calls_made(from) > i * PROCESSES * CALLS / 6 end, 300)
          world:control("POST", "tokens/expire")
        end
      end)
      -- One to begin with and one for each time; a claim may lapse on a machine that stands still
      -- for its 5 seconds. Each process may be refused once each time.
      local asked = counted.of["merchant.token"]
      assert.is_true(asked >= 1 + times and asked <= 2 + times, asked)
      local again = counted.of["cards.packages"] - PROCESSES * CALLS
      assert.is_true(again <= PROCESSES * times, again)
    end)

    it("go on through tokens that live for two seconds", function()
      world:configure { token_lifetime = 2 }
      local counted, seconds = run(CALLS)
      local asked = counted.of["merchant.token"]
      -- The Date header leaves up to a second open, so a token may be taken for one of 1 s, and is
      -- refreshed after four fifths of that at the earliest. One to begin with; one for a process
      -- whose clock is vaguer than that of the others.
      assert.is_true(asked <= seconds / 0.8 + 2, ("%d in %.1f s"):format(asked, seconds))
      -- Each may refuse each process once.
      local again = counted.of["cards.packages"] - PROCESSES * CALLS
      assert.is_true(again <= PROCESSES * asked, again)
    end)

    it("go on when the one that fetches is killed in the middle", function()
      world:configure { single_session = false }
      world:control("POST", "faults", { operation = "merchant.token", delay = 300 })
      local doomed = launch(1)
      eventually(function() return place:claimed() end)
      local others = { launch(3), launch(3) }
      os.execute("kill -9 " .. doomed.pid)
      doomed.pipe:close()
      world:no_faults()
      local counted = world:counted(function()
        finish(others, 3)
      end)
      assert.equal(1, counted.of["merchant.token"])
      assert.is_nil(place:claimed())
    end)

    it("leave a new one the clock, so that it is not refused once", function()
      finish({ launch(2) }, 2)
      for _, offset in ipairs { 300, -300 } do
        local refused = world:stats().codes["1005"] or 0
        local counted = world:counted(function()
          local late = world:client { token_store = place:open(), clock = function()
            return select(2, core.now()) / 1000 + offset
          end }
          assert(late.cards:packages())
        end)
        assert.equal(1, counted.total)
        assert.equal(0, counted.future_timestamps)
        assert.equal(refused, world:stats().codes["1005"] or 0)
      end
    end)

    it("find nothing of it that could be read", function()
      local carrier, token = world:client().transport, nil
      local ks = world:client { token_store = place:open(), transport = {
        perform = function(_, request)
          token = request.headers["Access-Token"] or token
          return carrier:perform(request)
        end,
      } }
      assert(ks.cards:packages())
      assert.is_true(#token > 20)
      local merchant = world.merchants.credit
      local store, key = place:open(), ks.core:store_key()
      local text = assert(store:load(key))
      for _, secret in ipairs { token, merchant.api_key, merchant.api_secret, world.address } do
        assert.is_nil(text:find(secret, 1, true))
        assert.is_nil(key:find(secret, 1, true))
      end
    end)
  end)
end
