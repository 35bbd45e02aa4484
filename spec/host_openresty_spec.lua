-- How calls wait inside an nginx worker: over cosockets, and by the pump of the libcurl engine.
local certificates = require "spec.support.certificates"
local nginx = require "spec.support.nginx"
local support = require "spec.support.client"

-- In each phase nginx.conf can name, whether a call works there is noted in a shared dict.
local PHASES = [[
  lua_shared_dict notes 1m;
  init_by_lua_block { require "notes" "init" }
  init_worker_by_lua_block { require "notes" "init_worker" }
  exit_worker_by_lua_block { require "notes" "exit_worker" }
  log_by_lua_block { require "notes" "log" }
  server {
    listen 127.0.0.1:@tls_port@ ssl;
    ssl_certificate @dir@/server.pem;
    ssl_certificate_key @dir@/server.key;
    ssl_certificate_by_lua_block { require "notes" "ssl_cert" }
    location / { return 200 "secured"; }
  }
  upstream picked {
    server 127.0.0.1:1;
    balancer_by_lua_block {
      require "notes" "balancer"
      require "ngx.balancer".set_current_peer("127.0.0.1", tonumber("@port@"))
    }
  }
]]
local PHASE_LOCATIONS = [[
  location = /phases {
    set_by_lua_block $noted { return require "notes" "set" }
    rewrite_by_lua_block { require "notes" "rewrite" }
    access_by_lua_block { require "notes" "access" }
    header_filter_by_lua_block { require "notes" "header_filter" }
    body_filter_by_lua_block { require "notes" "body_filter" }
    content_by_lua_block {
      require "notes" "content"
      local over = require "ngx.semaphore".new()
      ngx.timer.at(0, function()
        require "notes" "timer"
        over:post()
      end)
      over:wait(20)
      ngx.say "done"
    }
  }
  location = /balanced { proxy_pass http://picked/now; }
  location = /now { return 200 "now"; }
]]
local NOTES = [[
  return function(phase)
    local options = require "app".options { host = "openresty", transport = "@transport@" }
    local ks = require "app".client("phases", options)
    local ok, value, err = pcall(function() return ks.cards:packages() end)
    local slept, fault = pcall(function() return ks:sleep(0.001) end)
    local note = ok and (value and "worked" or tostring(err)) or tostring(value)
    if slept ~= ok then
      note = note .. "; but sleep: " .. tostring(fault)
    end
    ngx.shared.notes:add(phase, note)
    return note
  end
]]

local function describe_host(transport)
  return function()
    local world, server, tls_port

    lazy_setup(function()
      world = support.start()
      tls_port = nginx.free_port()
      local authority, key = certificates.authority "nginx of the specs", certificates.key()
      server = nginx.start_for(world, {
        files = { ["notes.lua"] = (NOTES:gsub("@transport@", transport)),
          ["server.key"] = key:toPEM "private",
          ["server.pem"] = certificates.server(authority, key):toPEM() },
        http = PHASES:gsub("@tls_port@", tls_port) .. "lua_socket_log_errors off;",
        server = PHASE_LOCATIONS })
    end)
    lazy_teardown(function()
      server:stop()
      world:stop()
    end)
    after_each(function()
      world:no_faults()
    end)

    -- Runs a piece of Lua that has `ks`, `app` and further arguments.
    local function run(code, ...)
      return server:run([[
        local app = require "app"
        local ks = app.client(select(1, ...), { transport = select(1, ...), host = "openresty" })
        return (function(...) ]] .. code .. [[ end)(select(2, ...))
      ]], transport, ...)
    end

    local function slow(operation, seconds, times)
      world:control("POST", "faults", { operation = operation, delay = seconds,
        times = times or "always" })
    end

    it("works in the phases that can wait, and explains itself in the others", function()
      assert.equal("done\n", server:get "/phases".body)
      assert.equal("now", server:get "/balanced".body)
      local secured = io.popen("curl -sk --max-time 20 https://127.0.0.1:" .. tls_port)
      assert.equal("secured", secured:read "*a")
      secured:close()
      local function noted(phase)
        return server:wait(function()
          return server:run("return ngx.shared.notes:get(...)", phase)
        end, "no note of " .. phase)
      end
      for _, phase in ipairs { "rewrite", "access", "content", "timer", "ssl_cert" } do
        assert.equal("worked", noted(phase))
      end
      for _, phase in ipairs { "init", "init_worker", "set", "header_filter", "body_filter", "log",
        "balancer" } do
        local note = noted(phase)
        assert.matches("can't do in " .. phase .. "_by_lua", note, 1, true)
        assert.matches("ngx.timer.at(0, function() … end)", note, 1, true)
        assert.matches("notes.lua:", note, 1, true) -- it is the caller's mistake
      end
    end)

    it("doesn't block the worker", function()
      slow("cards.packages", 0.4)
      local ticks = run [[
        local done, ticks = false, 0
        local thread = ngx.thread.spawn(function()
          assert(ks.cards:packages())
          done = true
        end)
        while not done do
          ngx.sleep(0.01)
          ticks = ticks + 1
        end
        ngx.thread.wait(thread)
        return ticks
      ]]
      assert.is_true(ticks >= 8, ticks .. " ticks")
    end)

    it("lets calls wait for another's token, and wakes them when it is there", function()
      slow("merchant.token", 0.2, 1)
      local counted = world:counted(function()
        local longest = server:run([[
          local app, core = require "app", require "keysecure.core"
          local ks = assert(require "keysecure".new(app.options { transport = ..., timeout = 10,
            host = "openresty" }))
          local started = core.monotonic()
          local _, failures = ks:parallel(20, app.numbers(20), function()
            return ks.cards:packages()
          end)
          assert(not failures)
          return core.monotonic() - started
        ]], transport)
        assert.is_true(longest < 5000, longest .. " ms")
      end)
      assert.equal(1, counted.token_requests)
      assert.equal(20, counted.of["cards.packages"])
    end)

    it("ends a call at its time, wherever it is", function()
      slow("cards.packages", 30, 1)
      local kind, outcome, took = run [[
        local core = require "keysecure.core"
        local started = core.monotonic()
        local _, err = ks.cards:packages({}, { timeout = 0.3 })
        return err.kind, err.outcome, core.monotonic() - started
      ]]
      assert.same({ "timeout", "unknown" }, { kind, outcome })
      assert.is_true(took >= 295 and took < 3000, took .. " ms")
    end)

    it("tells what became of a write that was lost", function()
      slow("cards.update_status", 30, 1)
      local counted = world:counted(function()
        local outcome, attempts = run [[
          local _, err = ks.cards:update_status({ card_no = "C1", status = "Frozen" },
            { timeout = 0.3 })
          return err.outcome, err.attempts
        ]]
        assert.same({ "unknown", 1 }, { outcome, attempts })
      end)
      assert.equal(1, counted.of["cards.update_status"])
    end)

    it("pauses between attempts without blocking", function()
      world:fault("cards.packages", 1009, 2)
      local attempts = run [[
        local rows = assert(ks.cards:packages())
        return require "keysecure".how(rows).attempts
      ]]
      assert.equal(3, attempts)
    end)

    it("runs many at once, and returns results and failures in order", function()
      local results, failures, most = run [[
        local now, most = 0, 0
        local results, failures = ks:parallel(3, app.numbers(9), function(item)
          now = now + 1
          most = math.max(most, now)
          ks:sleep(0.01)
          now = now - 1
          if item == 4 then
            error("on purpose", 0)
          elseif item == 7 then
            return nil, (select(2, ks.cards:detail { card_no = "none" }))
          end
          return item * 10
        end)
        return { results[1], results[3], results[9] }, { failures[4], failures[7].code }, most
      ]]
      assert.same({ 10, 30, 90 }, results)
      assert.same({ "on purpose", 4001 }, failures)
      assert.equal(3, most)
    end)

    it("runs functions on the side", function()
      local values = run [[
        local over, values = require "ngx.semaphore".new(), {}
        ks:spawn(function(a) return #assert(ks.cards:packages()) > 0, a end, function(...)
          values.first = { ... }
          over:post()
        end, "a")
        ks:spawn(function() ks:sleep(0.01) error("on purpose", 0) end, function(...)
          values.second = { select("#", ...), (select(2, ...)) }
          over:post()
        end)
        over:wait(10)
        over:wait(10)
        values.pending = ks:pending()
        return values
      ]]
      assert.same({ first = { true, "a" }, second = { 2, "on purpose" }, pending = 0 }, values)
    end)

    it("tells all who wait that the client was closed", function()
      slow("cards.update_status", 30, 1)
      slow("merchant.token", 30, 1)
      local told = server:run([[
        local app = require "app"
        local made = app.options { transport = ..., host = "openresty" }
        local ks, fresh = assert(require "keysecure".new(made)), nil
        local told = {}
        local function note(place, fn)
          return ngx.thread.spawn(function()
            local ok, value, err = pcall(fn)
            err = ok and err or value
            told[place] = { err.kind, err.outcome }
          end)
        end
        local threads = {
          note("fetching", function() return ks.cards:packages() end),
          note("waiting", function() return ks.cards:packages() end),
          note("sleeping", function() ks:sleep(30) end),
        }
        ngx.sleep(0.2)
        ks:close()
        fresh = app.client(..., { transport = ..., host = "openresty" })
        assert(fresh.cards:packages())
        threads[4] = note("writing", function()
          return fresh.cards:update_status { card_no = "C1", status = "Frozen" }
        end)
        ngx.sleep(0.2)
        fresh:close()
        app.forget(...)
        for _, thread in ipairs(threads) do
          ngx.thread.wait(thread)
        end
        told.later = { select(2, ks.cards:packages()).kind }
        return told
      ]], transport)
      assert.same({ fetching = { "cancelled", "not_sent" }, waiting = { "cancelled", "not_sent" },
        sleeping = { "cancelled", "not_sent" }, writing = { "cancelled", "unknown" },
        later = { "cancelled" } }, told)
    end)

    it("leaves the client usable when a call is killed under its thread", function()
      slow("cards.packages", 0.5, 1)
      assert.is_true(run [[
        local thread = ngx.thread.spawn(function() ks.cards:packages() end)
        ngx.sleep(0.05)
        ngx.thread.kill(thread)
        collectgarbage()
        for _ = 1, 3 do
          assert(ks.cards:packages())
        end
        return true
      ]])
    end)

    it("gets over a request that dies while it fetches the token for all", function()
      slow("merchant.token", 25, 1)
      local took = server:run([[
        local app, core = require "app", require "keysecure.core"
        local ks = assert(require "keysecure".new(app.options { transport = ..., timeout = 25,
          host = "openresty" }))
        local fetching = ngx.thread.spawn(function() ks.cards:packages() end)
        local started, took = core.monotonic(), {}
        local waiting = {}
        for i = 1, 3 do
          waiting[i] = ngx.thread.spawn(function()
            assert(ks.cards:packages())
            took[i] = core.monotonic() - started
          end)
        end
        ngx.sleep(0.1)
        assert(ngx.thread.kill(fetching))
        fetching = nil
        for i = 1, 3 do
          ngx.thread.wait(waiting[i])
        end
        return math.max(unpack(took))
      ]], transport)
      assert.is_true(took < 12000, took .. " ms")
    end)

    it("leaves no error on OpenSSL's queue, nor a word in nginx's log", function()
      assert.is_nil(run [[return require "keysecure.core".openssl_error()]])
      assert.same({}, server:logged("error", "crit", "alert", "emerg"))
    end)
  end
end

nginx.describe("inside nginx, by the pump,", describe_host "curl")
nginx.describe_resty("inside nginx, over cosockets,", describe_host "resty")

-- The pump --------------------------------------------------------------------------------------

nginx.describe("the pump", function()
  local world, server

  local function start(http)
    world = support.start()
    server = nginx.start_for(world, { http = http })
  end
  after_each(function()
    server:stop { forgive = "lua_max_running_timers" }
    world:stop()
  end)

  local function run(code, ...)
    return server:run([[
      local app = require "app"
      local ks = app.client("pump", { host = "openresty" })
      return (function(...) ]] .. code .. [[ end)(...)
    ]], ...)
  end

  local function slow(seconds, times)
    world:control("POST", "faults", { operation = "cards.packages", delay = seconds,
      times = times or "always" })
  end

  it("is one timer while something is in flight, and none when nothing is", function()
    start()
    slow(0.2)
    local most, after = run [[
      local over, most = false, 0
      local thread = ngx.thread.spawn(function()
        ks:parallel(30, app.numbers(30), function() return ks.cards:packages() end)
        over = true
      end)
      while not over do
        ngx.sleep(0.005)
        most = math.max(most, ngx.timer.running_count() + ngx.timer.pending_count())
      end
      ngx.thread.wait(thread)
      for _ = 1, 1000 do
        if ngx.timer.running_count() + ngx.timer.pending_count() == 0 then
          break
        end
        ngx.sleep(0.005)
      end
      return most, ngx.timer.running_count() + ngx.timer.pending_count()
    ]]
    assert.same({ 1, 0 }, { most, after })
  end)

  it("is done by those who wait, where nginx drops its timer", function()
    start "lua_max_running_timers 1;"
    local results = run [[
      ngx.timer.at(0, function() ngx.sleep(3) end)
      ngx.sleep(0.01)
      local results, failures = ks:parallel(5, app.numbers(5), function()
        return #assert(ks.cards:packages(nil, { timeout = 20 }))
      end)
      assert(not failures, tostring(failures and select(2, next(failures))))
      return results
    ]]
    assert.equal(5, #results)
    assert.is_true(#server:logged "alert" >= 1)
  end)

  it("is done by those who wait, where nginx refuses its timer", function()
    start "lua_max_pending_timers 1;"
    local results = run [[
      assert(ngx.timer.at(20, function() end))
      assert(not ngx.timer.at(0, function() end))
      local results, failures = ks:parallel(5, app.numbers(5), function()
        return #assert(ks.cards:packages(nil, { timeout = 20 }))
      end)
      assert(not failures, tostring(failures and select(2, next(failures))))
      return results
    ]]
    assert.equal(5, #results)
  end)

  it("goes on where the one who did it is killed", function()
    start "lua_max_pending_timers 1;"
    run "assert(ks.cards:packages())"
    slow(1.5)
    assert.equal(2, #run [[
      assert(ngx.timer.at(20, function() end))
      local threads, lengths = {}, {}
      for i = 1, 3 do
        threads[i] = ngx.thread.spawn(function()
          local rows = assert(ks.cards:packages(nil, { timeout = 20 }))
          lengths[#lengths + 1] = #rows
        end)
      end
      ngx.sleep(0.5)
      assert(ngx.thread.kill(threads[1])) -- the first to have looked after it
      ngx.thread.wait(threads[2])
      ngx.thread.wait(threads[3])
      return lengths
    ]])
  end)

  it("goes on while the worker is on its way out", function()
    start()
    run "assert(ks.cards:packages())"
    slow(0.6)
    local call = server:begin([[
      local ks = require "app".client("pump", { host = "openresty" })
      local first = #assert(ks.cards:packages(nil, { timeout = 20 }))
      assert(ngx.worker.exiting(), "not exiting")
      ngx.sleep(0.1) -- no pump is left
      return first, #assert(ks.cards:packages(nil, { timeout = 20 }))
    ]])
    server:wait(function()
      return world:stats().requests["cards.packages"] == 2
    end)
    server:reload()
    local first, second = call:finish()
    assert.is_true(first > 0 and second > 0)
    server:wait(function()
      return #server:workers() == 1
    end, "the old worker stays")
  end)
end)

-- Options -----------------------------------------------------------------------------------------

describe('host "openresty"', function()
  local keysecure = require "keysecure"

  local function options(changes)
    local given = { environment = "emulator" }
    for name, value in pairs(changes) do
      given[name] = value
    end
    return given
  end

  it("is for nginx alone, and says so", function()
    for _, given in ipairs { { host = "openresty" }, { transport = "resty" } } do
      local ok, message = pcall(keysecure.new, options(given))
      assert.is_false(ok)
      assert.matches("is for nginx with ngx_lua", message, 1, true)
    end
  end)

  it("is what transport \"resty\" waits by, and no other", function()
    local ks, err = keysecure.new(options { transport = "resty", host = "script" })
    assert.is_nil(ks)
    assert.same({ "invalid", "host" }, { err.kind, err.field })
  end)

  it("leaves to nginx.conf what is nginx's", function()
    for name, value in pairs { ca_file = "/ca.pem", pinned_key = "sha256//AAAA" } do
      local ks, err = keysecure.new(options { transport = "resty", [name] = value })
      assert.is_nil(ks)
      assert.same({ "invalid", name }, { err.kind, err.field })
    end
  end)

  it("is not spelt otherwise, and neither is the transport", function()
    local _, err = keysecure.new(options { transport = "rest" })
    assert.same({ "invalid", "transport" }, { err.kind, err.field })
    _, err = keysecure.new(options { transport = "resty", keepalive_pool = 0 })
    assert.equal("keepalive_pool", err.field)
  end)
end)
