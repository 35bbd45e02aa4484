-- The token store in a shared dict: its contract, and the workers of a real nginx over it.
local contract = require "spec.support.token_store".contract
local nginx = require "spec.support.nginx"
local support = require "spec.support.client"

local KEY = ("0"):rep(32)

-- A store as this process sees it, whose methods run in a worker.
local function remote(server, name)
  local store = setmetatable({}, { __tostring = function()
    return server:run([[return tostring(require "keysecure.token_store.shdict".new(...))]], name)
  end })
  for _, method in ipairs { "load", "save", "claim", "release", "now" } do
    store[method] = function(_, ...)
      return server:run([[
        local name, method = ...
        local store = require "keysecure.token_store.shdict".new(name)
        return store[method](store, select(3, ...))
      ]], name, method, ...)
    end
  end
  return store
end

nginx.describe("the shared dict as a token store", function()
  local server

  lazy_setup(function()
    server = nginx.start { workers = 2,
      http = "lua_shared_dict tokens 1m; lua_shared_dict full 12k;" }
  end)
  lazy_teardown(function()
    server:stop()
  end)

  contract({ it = it, before_each = before_each }, function()
    server:run "ngx.shared.tokens:flush_all()"
    return remote(server, "tokens")
  end, function()
    return remote(server, "tokens")
  end)

  it("leaves a claim that is about to lapse", function()
    local store = remote(server, "tokens")
    assert.is_true(store:claim(KEY, "a", 0.09))
    assert.is_true(store:release(KEY, "a", "note", 60))
    assert.is_nil((select(2, store:claim(KEY, "b", 60))))
  end)

  it("says that the dict is full", function()
    local text = ("x"):rep(8000)
    local store = remote(server, "full")
    local results = {}
    for i = 1, 3 do
      results[i] = { store:save(KEY:sub(2) .. i, text, 60) }
    end
    assert.same({ nil, "no memory" }, results[3][1] == nil and results[3] or results[1])
  end)

  it("is refused where nginx.conf has no such dict", function()
    local ok, message = pcall(server.run, server,
      [[return require "keysecure.token_store.shdict".new "tokenz"]])
    assert.is_false(ok)
    assert.matches("lua_shared_dict tokenz 1m;", message, 1, true)
  end)
end)

-- Workers ---------------------------------------------------------------------------------------

local function story(transport)
  return function()
    local world, server

    local function start(emulator, workers)
      world = support.start(emulator)
      server = nginx.start_for(world, { workers = workers or 4,
        http = "lua_shared_dict tokens 1m; lua_socket_log_errors off;" })
    end

    after_each(function()
      server:stop()
      world:stop()
    end)

    -- `count` calls of each of `requests` requests at once, wherever they land.
    local function call_all(requests, count)
      local answers = server:together(requests, [[
        local transport, count = ...
        local app = require "app"
        local ks = app.client("shared", function()
          return { transport = transport, host = "openresty", timeout = 20,
            token_store = require "keysecure.token_store.shdict".new "tokens" }
        end)
        local _, failures = ks:parallel(4, app.numbers(count), function()
          return ks.cards:packages()
        end)
        return ngx.worker.pid(), failures and tostring(select(2, next(failures)))
      ]], transport, count)
      local workers, number = {}, 0
      for _, answer in ipairs(answers) do
        assert.is_nil(answer[2])
        number = number + (workers[answer[1]] and 0 or 1)
        workers[answer[1]] = true
      end
      return number
    end

    it("have one fetch for all workers", function()
      start { single_session = true }
      local workers
      local counted = world:counted(function()
        workers = call_all(64, 5)
      end)
      assert.is_true(workers > 1, workers .. " workers")
      assert.equal(1, counted.token_requests)
      assert.equal(320, counted.of["cards.packages"])
    end)

    it("refresh a short-lived token in time, one of them for all", function()
      start { single_session = true, token_lifetime = 2 }
      local until_, rounds = require "keysecure.core".monotonic() + 5000, 0
      local counted = world:counted(function()
        repeat
          call_all(16, 2)
          rounds = rounds + 1
        until require "keysecure.core".monotonic() > until_
      end)
      assert.is_true(counted.of["cards.packages"] >= rounds * 32)
      -- Each lives for 2 s and is refreshed in its last fifth, at the earliest.
      assert.is_true(counted.token_requests <= 2 + math.ceil((rounds > 0 and 20 or 5) / 1.6),
        counted.token_requests .. " tokens")
      assert.is_true(counted.token_requests >= 3)
    end)

    it("fail together where there is no token, without asking again and again", function()
      start {}
      world:fault("merchant.token", 1010, "always")
      local counted = world:counted(function()
        local answers = server:together(32, [[
          local transport = ...
          local ks = require "app".client("shared", function()
            return { transport = transport, host = "openresty",
              token_store = require "keysecure.token_store.shdict".new "tokens" }
          end)
          local _, err = ks.cards:packages()
          return err.code, err.outcome, tostring(err)
        ]], transport)
        for _, answer in ipairs(answers) do
          assert.same({ 1010, "not_sent" }, { answer[1], answer[2] }, answer[3])
        end
      end)
      assert.is_true(counted.token_requests <= 4, counted.token_requests .. " token requests")
    end)

    it("go on when the one who fetches is killed", function()
      start({}, 2)
      world:control("POST", "faults", { operation = "merchant.token", delay = 2, times = 1 })
      -- The first takes the claim and is killed over it; whoever answers next is another worker.
      local first = server:begin([[
        local transport = ...
        local ks = require "app".client("shared", function()
          return { transport = transport, host = "openresty",
            token_store = require "keysecure.token_store.shdict".new "tokens" }
        end)
        ngx.shared.tokens:set("victim", ngx.worker.pid())
        ks.cards:packages()
      ]], transport)
      local victim = server:wait(function()
        return world:stats().token_requests > 0 and server:run [[
          return ngx.shared.tokens:get "victim"
        ]]
      end)
      os.execute(string.format("kill -9 %d", victim))
      first:cancel()
      assert.is_true(call_all(8, 1) >= 1)
      server:stop { forgive = "exited on signal 9" }
    end)
  end
end

nginx.describe("workers that share a token, by the pump,", story "curl")
nginx.describe_resty("workers that share a token, over cosockets,", story "resty")
