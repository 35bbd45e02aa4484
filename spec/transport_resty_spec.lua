-- The transport over cosockets against a server that does what no HTTP library would.
local nginx = require "spec.support.nginx"
local socket = require "cqueues.socket"
local wire = require "spec.support.wire"

nginx.describe_resty("the resty transport", function()
  local server, peer, silent

  lazy_setup(function()
    peer = wire.start()
    silent = assert(socket.listen { host = "127.0.0.1", port = 0 })
    assert(silent:listen())
    server = nginx.start {
      http = "lua_ssl_trusted_certificate " .. peer.ca_file .. "; lua_socket_log_errors off;",
      files = { ["carrier.lua"] = [[
        local core = require "keysecure.core"
        local host = require "keysecure.host.openresty".new(core.monotonic)
        local made = {}
        -- One transport for each set of options, so that connections are kept between requests.
        return function(key, options)
          local given = { connect_timeout = 10, keepalive_timeout = 60, keepalive_pool = 8,
            max_response = 100000 }
          for name, value in pairs(options or {}) do
            given[name] = value
          end
          made[key] = made[key] or require "keysecure.transport.resty".new(given, host)
          return made[key], host
        end
      ]] },
      -- Names are looked up at a port where nobody answers.
      server = "resolver 127.0.0.1:" .. nginx.free_port() .. " valid=1s; resolver_timeout 30s;",
    }
  end)

  lazy_teardown(function()
    server:stop()
    peer:stop()
    silent:close()
  end)

  -- Answer, failure, milliseconds.
  local function perform(url, more, options)
    more = more or {}
    local request = { method = more.method or "GET", url = url, body = more.body,
      size = more.size, headers = more.headers or { ["X-Y"] = "z" }, timeout = more.timeout or 10 }
    return server:run([[
      local request, key, options = ...
      local core = require "keysecure.core"
      local transport = require "carrier"(key, options)
      request.body = request.size and ("x"):rep(request.size) or request.body
      local started = core.monotonic()
      local answer, failure = transport:perform(request)
      return answer, failure, core.monotonic() - started
    ]], request, options and require "cjson".encode(options) or "plain", options)
  end

  local function plain(path, more, options)
    return perform(peer:url(path), more, options)
  end

  local function fails(reason, reached, answer, failure)
    assert.is_nil(answer)
    assert.same({ reason, reached }, { failure.reason, failure.reached })
    return failure.message
  end

  it("turns an answer into a table", function()
    assert.same({ status = 200, body = '{"code":0}', headers = {
      date = "Mon, 23 Nov 2026 08:00:00 GMT", ["retry-after"] = "7",
      ["content-type"] = "application/json" } }, (plain "/ok"))
  end)

  it("sends method, headers and body as they are, and little of its own", function()
    local answer = plain("/echo", { method = "POST", body = "a=1" })
    assert.matches("^POST /echo HTTP/1.1\r\n", answer.body)
    assert.matches("\r\nX%-Y: z\r\n", answer.body)
    assert.matches("\r\nContent%-Length: 3\r\n", answer.body)
    assert.matches("\r\n\r\na=1$", answer.body)
    answer = plain("/echo", { method = "POST" })
    assert.matches("\r\nContent%-Length: 0\r\n", answer.body)
    answer = plain("/echo", { headers = {} })
    local names = {}
    for name in answer.body:gmatch "\n([%w%-]+): " do
      names[#names + 1] = name
    end
    table.sort(names)
    assert.same({ "Host", "User-Agent" }, names)
  end)

  it("keeps the trace of the request that nginx answers to itself", function()
    local answer = server:get("/run", { headers = { traceparent = "00-ab-cd-01" },
      body = require "cjson".encode { arguments = { peer:url "/echo" }, code = [[
        return (require "carrier" "plain":perform { method = "GET", url = ..., headers = {},
          timeout = 5 })
      ]] } })
    assert.matches("User-Agent: keysecure", answer.body, 1, true)
    assert.is_nil(answer.body:lower():find("traceparent", 1, true))
  end)

  it("takes any status for an answer, and follows no redirect", function()
    for _, status in ipairs { 204, 302, 400, 404, 500, 503 } do
      local answer, failure = plain("/status/" .. status)
      assert.is_nil(failure)
      assert.same({ status, "" }, { answer.status, answer.body })
    end
    assert.equal(302, plain "/redirect".status)
  end)

  it("passes over interim answers and trailers", function()
    local answer = plain "/interim"
    assert.same({ 200, "final" }, { answer.status, answer.body })
    assert.is_nil(answer.headers["retry-after"])
    answer = plain "/trailer"
    assert.same({ "ok", "Mon, 23 Nov 2026 08:00:00 GMT" }, { answer.body, answer.headers.date })
    assert.equal("final", plain "/interim".body)
  end)

  it("keeps connections, and leaves one that has something left to read", function()
    local connection = plain "/count".body:match "^%d+"
    assert.equal(connection, plain "/count".body:match "^%d+")
    plain "/trailer"
    assert.equal(connection, plain "/count".body:match "^%d+")
    assert.equal("ok", plain "/rest".body)
    assert.not_equal(connection, plain "/count".body:match "^%d+")
  end)

  it("takes bodies up to the limit, announced, in chunks or until the end", function()
    assert.equal(100000, #plain "/big/100000".body)
    assert.equal(100000, #plain "/stream/100000".body)
    fails("too_large", "answering", plain "/big/100001")
    fails("too_large", "answering", plain "/stream/100001")
    fails("too_large", "answering", plain "/stream/5000000")
    assert.equal("fat", plain "/fat/40000".body)
    fails("too_large", "answering", plain "/fat/70000")
  end)

  it("says where it failed", function()
    fails("receive", "sent", plain "/close")
    fails("receive", "answering", plain "/cut")
    fails("timeout", "answering", plain("/half", { timeout = 0.2 }))
    fails("timeout", "sent", plain("/hang", { timeout = 0.2 }))
    fails("protocol", "answering", plain "/garbage")
    fails("connect", "resolved", perform("http://127.0.0.1:" .. nginx.free_port() .. "/"))
    local message = fails("connect", "resolved", perform "https://127.0.0.1:1/")
    assert.equal("connection refused", message)
  end)

  it("says that a request may have been sent in part", function()
    local _, failure = plain("/reset", { method = "POST", size = 900000 })
    assert.is_true(failure.reason == "send" or failure.reason == "receive")
    assert.is_true(failure.reached == "sending" or failure.reached == "sent")
    fails("timeout", "sending", perform(
      "http://127.0.0.1:" .. string.format("%d", (select(3, silent:localname()))) .. "/",
      { method = "POST", size = 9e6, timeout = 0.3 }))
  end)

  it("says that nothing was sent where no connection is ready in time", function()
    local port = string.format("%d", (select(3, silent:localname())))
    local _, _, took = fails("timeout", "connected",
      perform("https://127.0.0.1:" .. port .. "/", { timeout = 5 }, { connect_timeout = 0.2 }))
    assert.is_nil(took)
    local answer, failure, milliseconds = perform("http://nowhere.example/", { timeout = 0.3 })
    fails("timeout", "nothing", answer, failure)
    assert.is_true(milliseconds >= 295 and milliseconds < 5000, milliseconds)
    answer, failure, milliseconds = perform("http://nowhere.example/", { timeout = 9 },
      { connect_timeout = 0.3 })
    fails("timeout", "nothing", answer, failure)
    assert.is_true(milliseconds >= 295 and milliseconds < 5000, milliseconds)
  end)

  it("ends many at once in the midst of a body, and the request with them", function()
    local reached = server:run([[
      local url, reached, threads = ..., {}, {}
      for i = 1, 40 do
        threads[i] = ngx.thread.spawn(function()
          local _, failure = require "carrier" "plain":perform { method = "GET", url = url,
            headers = {}, timeout = 0.2 + i / 1000 }
          reached[i] = failure.reason .. " " .. failure.reached
        end)
      end
      for _, thread in ipairs(threads) do
        ngx.thread.wait(thread)
      end
      return reached
    ]], peer:url "/half")
    for i = 1, 40 do
      assert.equal("timeout answering", reached[i])
    end
  end)

  it("keeps the time, however slowly the answer drips", function()
    local answer, failure, milliseconds = plain("/drip", { timeout = 0.5 })
    fails("timeout", "answering", answer, failure)
    assert.is_true(milliseconds >= 495 and milliseconds < 5000, milliseconds)
  end)

  it("has no time left to send in", function()
    for _, timeout in ipairs { 0, -1 } do
      fails("timeout", "nothing", plain("/ok", { timeout = timeout }))
    end
  end)

  it("refuses what would not stay where it belongs", function()
    for _, more in ipairs { { headers = { A = "b\r\nC: d" } }, { headers = { ["A\r\nB"] = "c" } },
      { headers = { A = "\0" } }, { method = "GET /x" } } do
      fails("invalid", "nothing", plain("/ok", more))
    end
    for _, url in ipairs { "http://127.0.0.1/a b", "http://127.0.0.1/\r\nX: y", "ftp://127.0.0.1/",
      "http://user@127.0.0.1/", "127.0.0.1", "" } do
      fails("invalid", "nothing", perform(url))
    end
  end)

  it("doesn't go round for ever over numbers that make no sense", function()
    for _, length in ipairs { "-1", "x", "0x10", "1e3", "1, 1", "" } do
      fails("protocol", "answering", plain("/length", { headers = { ["X-Length"] = length },
        timeout = 3 }))
    end
    for _, size in ipairs { "x", "-5", "", "0x10", "1g", "fffffffffffff" } do
      fails("protocol", "answering", plain("/chunk", { headers = { ["X-Length"] = size },
        timeout = 3 }))
    end
    fails("too_large", "answering", plain("/chunk", { headers = { ["X-Length"] = "ffffffff" },
      timeout = 3 }))
    -- Longer than it says it is.
    fails("protocol", "answering", plain("/chunk", { headers = { ["X-Length"] = "5" },
      timeout = 3 }))
  end)

  it("takes a body that ends with the connection, and knows one that was cut", function()
    assert.equal("to the end", plain "/endless".body)
    fails("timeout", "answering", plain("/unending", { timeout = 0.3 }))
  end)

  it("verifies TLS", function()
    local message = fails("tls", "connected", perform(
      "https://127.0.0.1:" .. peer.expired .. "/ok"))
    assert.matches("certificate", message)
    -- The authority is trusted here, the name is not the server's.
    fails("tls", "connected", perform("https://127.0.0.1:" .. peer.tls .. "/ok"))
    local log = plain "/log".body
    assert.is_nil(log:find("GET /ok 0\n$"))
  end)

  it("goes through a proxy, and says what that refused", function()
    local options = { proxy = "http://user:p%40ss@127.0.0.1:" .. peer.proxy }
    local answer = perform("http://gateway.example/x", nil, options)
    assert.matches("^proxied\nGET http://gateway.example/x HTTP/1.1\r\n", answer.body)
    assert.matches("\nProxy%-Authorization: Basic dXNlcjpwQHNz\r\n", answer.body)
    local message = fails("proxy", "connected", perform("https://gateway.example/x", nil, options))
    assert.matches("403", message, 1, true)
    assert.is_nil(message:find("p@ss", 1, true))
    fails("connect", "resolved", perform("https://gateway.example/x", nil,
      { proxy = "http://127.0.0.1:1" }))
  end)

  it("does without a proxy where it is told none", function()
    assert.equal(200, plain("/ok", nil, { proxy = "" }).status)
  end)

  it("doesn't send again what a kept connection lost", function()
    assert.equal("left", plain "/leave".body)
    server:run "ngx.sleep(0.3)"
    assert.equal(200, plain "/ok".status) -- nginx saw it close, and takes another
    for _, method in ipairs { "GET", "POST" } do
      plain "/ok"
      local before = select(2, plain "/log".body:gsub(method .. " /close", ""))
      fails("receive", "sent", plain("/close", { method = method }))
      assert.equal(before + 1, (select(2, plain "/log".body:gsub(method .. " /close", ""))))
    end
  end)

  it("is closed for all who wait, and for good", function()
    local reasons = server:run([[
      local url = ...
      local transport, host = require "carrier" "to be closed"
      local failures = {}
      local thread = ngx.thread.spawn(function()
        failures[1] = select(2, transport:perform { method = "POST", url = url, headers = {},
          timeout = 30 })
      end)
      ngx.sleep(0.1)
      transport:close()
      host:close()
      ngx.thread.wait(thread)
      failures[2] = select(2, transport:perform { method = "GET", url = url, headers = {},
        timeout = 30 })
      package.loaded.carrier = nil
      return failures
    ]], peer:url "/hang")
    assert.same({ "cancelled", "sent", "closed", "nothing" }, { reasons[1].reason,
      reasons[1].reached, reasons[2].reason, reasons[2].reached })
  end)

  it("never loads libcurl", function()
    for _, pid in ipairs(server:workers()) do
      local file = assert(io.open("/proc/" .. pid .. "/maps"))
      local maps = file:read "*a"
      file:close()
      assert.matches("keysecure/core.so", maps, 1, true)
      assert.is_nil(maps:find("libcurl", 1, true))
      assert.is_nil(maps:find("keysecure/curl.so", 1, true))
    end
  end)
end)
