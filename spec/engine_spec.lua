local curl = require "keysecure.curl"
local wire = require "spec.support.wire"

local server

--- Takes what is waiting into `into`, by id.
local function take(engine, into)
  local result = { engine:next() }
  while result[1] do
    into[result[1]] = result
    result = { engine:next() }
  end
end

--- Drives the engine until nothing is in flight; at most so many steps.
local function drain(engine, into)
  into = into or {}
  for _ = 1, 10000 do
    take(engine, into)
    if engine:pending() == 0 then
      return into
    end
    engine:step(5000)
  end
  error "the engine does not come to an end"
end

local function start(engine, path, more)
  more = more or {}
  return assert(engine:start(more.method or "GET", more.url or server:url(path),
    more.headers or {}, more.body, more.timeout or 10000))
end

--- One transfer from start to end, by name.
local function fetch(engine, path, more)
  local id = start(engine, path, more)
  local r = drain(engine)[id]
  if r[2] then
    return { status = r[2], body = r[3], date = r[4], retry_after = r[5], content_type = r[6] }
  end
  return { reason = r[3], reached = r[4], message = r[5] }
end

local function log()
  local engine = curl.new {}
  local lines = fetch(engine, "/log").body
  engine:close()
  return lines
end

--- How often the server saw a request for `path`.
local function seen(path)
  local count = 0
  for line in log():gmatch "[^\n]+" do
    if line:find(" " .. path .. " ", 1, true) then
      count = count + 1
    end
  end
  return count
end

local function https(port, path)
  return ("https://127.0.0.1:%d%s"):format(port, path)
end

describe("the engine", function()
  local engine

  setup(function()
    server = wire.start()
  end)

  teardown(function()
    server:stop()
  end)

  before_each(function()
    engine = curl.new {}
  end)

  after_each(function()
    engine:close()
  end)

  describe("carries", function()
    it("a request and the three headers of its answer", function()
      local answer = fetch(engine, "/ok")
      assert.same({ status = 200, body = '{"code":0}', date = "Mon, 23 Nov 2026 08:00:00 GMT",
        retry_after = "7", content_type = "application/json" }, answer)
    end)

    it("method, headers and body as they are, and adds no Expect, cookie or encoding", function()
      local body = ("a\0b\r\n"):rep(400000)
      local seen_by_server = fetch(engine, "/echo", { method = "POST", body = body,
        headers = { ["Api-Key"] = "k 1", ["X-Empty"] = "", ["Content-Type"] = "text/x" } }).body
      assert.equal(body, seen_by_server:sub(-#body))
      local head = seen_by_server:sub(1, -#body - 1)
      assert.matches("^POST /echo HTTP/1.1\r\n", head)
      assert.matches("\nApi%-Key: k 1\r\n", head)
      assert.matches("\nX%-Empty:\r\n", head)
      assert.matches("\nContent%-Type: text/x\r\n", head)
      for _, unwanted in ipairs { "expect", "cookie", "encoding", "user%-agent", "upgrade" } do
        assert.not_matches("\n" .. unwanted, head:lower())
      end
    end)

    it("methods in any order over the same handle", function()
      local order = { "GET", "POST", "HEAD", "DELETE", "PUT", "GET", "PATCH", "HEAD", "POST" }
      for _, method in ipairs(order) do
        local answer = fetch(engine, "/echo", { method = method })
        assert.equal(200, answer.status)
        if method ~= "HEAD" then
          assert.matches("^" .. method .. " /echo", answer.body)
          assert.not_matches("Content%-Type", answer.body)
        end
      end
    end)

    it("an empty body as a body", function()
      assert.matches("\nContent%-Length: 0\r\n", fetch(engine, "/echo", { method = "POST" }).body)
    end)

    it("the user agent it is told", function()
      local named = curl.new { user_agent = "keysecure-lua/1" }
      assert.matches("\nUser%-Agent: keysecure%-lua/1\r\n", fetch(named, "/echo").body)
      named:close()
    end)

    it("many requests over one connection", function()
      local connection = fetch(engine, "/count").body:match "^%d+"
      for i = 2, 20 do
        assert.equal(connection .. " " .. i, fetch(engine, "/count").body)
      end
    end)

    it("200 at once to a slow server in little more than the time of one", function()
      local ids = {}
      for i = 1, 200 do
        ids[i] = start(engine, "/slow/200")
      end
      assert.equal(200, engine:pending())
      local results = drain(engine)
      for _, id in ipairs(ids) do
        assert.equal("slow", results[id][3])
      end
    end)

    it("no more connections than allowed, and times out what waits for one", function()
      local narrow = curl.new { max_connections = 1 }
      local first = start(narrow, "/slow/600")
      local second = start(narrow, "/ok", { timeout = 100 })
      narrow:step(-1)
      local id, status, reason, reached = narrow:next()
      assert.same({ second, nil, "timeout", "nothing" }, { id, status, reason, reached })
      assert.equal(200, drain(narrow)[first][2])
      narrow:close()
    end)

    it("an interim answer without taking it for the final one", function()
      local answer = fetch(engine, "/interim")
      assert.same({ 200, "final", nil }, { answer.status, answer.body, answer.retry_after })
    end)

    it("no trailer in place of a header", function()
      assert.equal("Mon, 23 Nov 2026 08:00:00 GMT", fetch(engine, "/trailer").date)
    end)

    it("a redirect as the answer it is", function()
      local before = seen "/ok"
      assert.equal(302, fetch(engine, "/redirect").status)
      assert.equal(before, seen "/ok")
    end)

    it("any status", function()
      for _, status in ipairs { 204, 304, 401, 500, 503 } do
        assert.equal(status, fetch(engine, "/status/" .. status).status)
      end
    end)
  end)

  describe("refuses before anything is sent", function()
    local function refused(method, url, headers, body, timeout)
      local id, reason, message = engine:start(method, url, headers, body, timeout or 1000)
      assert.is_nil(id)
      assert.equal("invalid", reason)
      assert.is_string(message)
      assert.equal(0, engine:pending())
      return message
    end

    it("line breaks and NULs in headers", function()
      for _, bad in ipairs { "a\rb", "a\nb", "a\0b", "a\r\nX-Other: 1", "\n" } do
        local message = refused("GET", server:url "/ok", { ["X-Good"] = bad })
        assert.not_matches("X%-Other", message)
        refused("GET", server:url "/ok", { [bad] = "value" })
      end
      for _, bad in ipairs { "", "a b", "a:", "\195\164" } do
        refused("GET", server:url "/ok", { [bad] = "value" })
      end
    end)

    it("URLs that are none, or not http", function()
      for _, bad in ipairs { "", "http://", "ftp://127.0.0.1/", "file:///etc/passwd", "//x/",
        "http://127.0.0.1/a b", "http://127.0.0.1/a\r\nX: y", "http://127.0.0.1/\195\164",
        "https://" .. ("a"):rep(9000) } do
        refused("GET", bad, {})
      end
    end)

    it("odd methods, and no time", function()
      refused("get", server:url "/ok", {})
      refused("GET /x", server:url "/ok", {})
      refused("", server:url "/ok", {})
      refused("GET", server:url "/ok", {}, nil, 0)
    end)

    it("headers and bodies beyond their maximum", function()
      refused("GET", server:url "/ok", { A = ("x"):rep(70000) })
      refused("POST", server:url "/ok", {}, ("x"):rep(8 * 1024 * 1024 + 1))
    end)

    it("a user in the URL, and a host that is none", function()
      for _, url in ipairs { "http://me:secret@127.0.0.1/", "http://[x/", "http://a:99999/" } do
        local failure = fetch(engine, nil, { url = url })
        assert.equal("invalid", failure.reason)
        assert.equal("nothing", failure.reached)
        assert.not_matches("secret", failure.message)
      end
    end)

    it("misuse, by raising", function()
      local function raises(...)
        assert.is_false((pcall(engine.start, engine, ...)))
      end
      raises("GET", server:url "/ok", { A = 1 }, nil, 1000)
      raises("GET", server:url "/ok", { "x" }, nil, 1000)
      raises("GET", server:url "/ok", nil, nil, 1000)
      raises("GET", server:url "/ok", {}, 12, 1000)
      raises("GET", server:url "/ok", {}, nil, nil)
      raises("GET", server:url "/ok", {}, nil, 0 / 0)
      raises(1, server:url "/ok", {}, nil, 1000)
      assert.has_error(function() curl.new { ca_flie = "x" } end, "unknown option ca_flie")
      assert.is_false((pcall(curl.new, { proxy = 1 })))
      assert.is_false((pcall(curl.new, { max_response = 0 })))
      assert.is_false((pcall(curl.new, { max_connections = 0 / 0 })))
      assert.is_false((pcall(curl.new, { http2 = 1 })))
      assert.is_false((pcall(curl.new, { user_agent = "a\r\nb: c" })))
      assert.is_false((pcall(engine.step, {}, 0)))
    end)
  end)

  describe("never writes a request twice:", function()
    local single_send = curl.features().single_send -- else writes use no kept connection

    for _, case in ipairs {
      { "a POST", "POST", "{}" }, { "a POST without a body", "POST", nil },
      { "a large POST", "POST", ("x"):rep(300000) }, { "a GET", "GET", nil },
      { "a DELETE", "DELETE", nil },
    } do
      local test = case[2] == "GET" and not single_send and pending or it
      test(case[1] .. " whose kept connection is closed before an answer", function()
        local path = "/close/" .. #case[1]
        fetch(engine, "/ok")
        local before = seen(path)
        local failure = fetch(engine, path, { method = case[2], body = case[3] })
        assert.equal("receive", failure.reason)
        assert.equal("sent", failure.reached)
        if single_send then
          assert.matches("not repeated", failure.message)
        end
        assert.equal(before + 1, seen(path))
      end)
    end

    it("a POST that libcurl would repeat over another kept connection", function()
      start(engine, "/slow/50")
      start(engine, "/slow/50")
      drain(engine)
      local before = seen "/close/2"
      local failure = fetch(engine, "/close/2", { method = "POST", body = "{}" })
      assert.same({ "receive", "sent" }, { failure.reason, failure.reached })
      assert.equal(before + 1, seen "/close/2")
    end)

    it("a POST whose kept connection is reset while it is written", function()
      fetch(engine, "/ok")
      local before = seen "/reset"
      local failure = fetch(engine, "/reset", { method = "POST", body = ("x"):rep(4000000) })
      assert.is_truthy(failure.reached == "sending" or failure.reached == "sent")
      assert.equal(before + 1, seen "/reset")
    end)

    it("a POST on a new connection closed before an answer", function()
      local before = seen "/close/0"
      local failure = fetch(engine, "/close/0", { method = "POST", body = "{}" })
      assert.equal("receive", failure.reason)
      assert.equal("sent", failure.reached)
      assert.equal(before + 1, seen "/close/0")
    end)

    local it_with_http2 = single_send and curl.features().http2 and it or pending
    it_with_http2("a stream that an HTTP/2 server refused", function()
      local secure = curl.new { ca_file = server.ca_file }
      local function post()
        return fetch(secure, nil, { url = https(server.h2, "/"), method = "POST", body = "{}" })
      end
      local function streams()
        return select(2, log():gsub("h2 connection", ""))
      end
      assert.equal("h2", post().body)
      assert.equal("h2", post().body)
      assert.equal(2, streams())
      local failure = post()
      assert.equal("sent", failure.reached)
      assert.equal(3, streams())
      secure:close()
    end)

    it("but goes on over a new connection afterwards", function()
      fetch(engine, "/ok")
      fetch(engine, "/close")
      assert.equal(200, fetch(engine, "/ok").status)
    end)
  end)

  describe("tells how far a failure got:", function()
    local function failing(path, more, reason, reached)
      local failure = fetch(engine, path, more)
      assert.same({ reason, reached }, { failure.reason, failure.reached })
      assert.is_string(failure.message)
      assert.not_matches("%c", failure.message)
    end

    it("a name that does not exist", function()
      failing(nil, { url = "http://nowhere.invalid/" }, "resolve", "nothing")
    end)

    it("a port nobody listens on", function()
      failing(nil, { url = "http://127.0.0.1:1/" }, "connect", "resolved")
    end)

    it("no answer in time", function()
      failing("/hang", { timeout = 100 }, "timeout", "sent")
      failing("/hang", { timeout = 100, method = "POST", body = "{}" }, "timeout", "sent")
    end)

    it("half an answer in time", function()
      failing("/half", { timeout = 200 }, "timeout", "answering")
    end)

    it("half an answer", function()
      failing("/cut", {}, "receive", "answering")
    end)

    it("something else than HTTP", function()
      local failure = fetch(engine, "/garbage")
      assert.equal("protocol", failure.reason)
      assert.is_truthy(failure.reached == "sent" or failure.reached == "answering")
    end)

    it("TLS to a server that speaks none", function()
      failing(nil, { url = https(server.plain, "/ok"), timeout = 2000 }, "tls", "connected")
    end)

    it("a time-out while TLS is awaited", function()
      -- The log server reads a line and waits for more of the head: a peer that says nothing.
      local slow = curl.new { connect_timeout_ms = 150 }
      local socket = require("cqueues.socket").listen { host = "127.0.0.1", port = 0 }
      socket:listen()
      local _, _, port = socket:localname()
      local failure = fetch(slow, nil, { url = https(port, "/") })
      assert.same({ "timeout", "connected" }, { failure.reason, failure.reached })
      socket:close()
      slow:close()
    end)

    it("without any header or credential", function()
      for _, path in ipairs { "/close", "/garbage", "/cut", "/reset" } do
        local failure = fetch(engine, path, { method = "POST", body = "MARKED",
          headers = { ["Access-Token"] = "MARKED" } })
        assert.not_matches("MARKED", failure.message)
      end
      for _, proxy in ipairs { "http://me:MARKED@127.0.0.1:1", "foo://me:MARKED@127.0.0.1:1",
        "http://me:MARKED@", "MARKED MARKED" } do
        local through = curl.new { proxy = proxy }
        local id, reason, message = through:start("GET", server:url "/ok", {}, nil, 2000)
        local failure = id and drain(through)[id] or { nil, nil, reason, nil, message }
        assert.not_matches("MARKED", failure[5])
        assert.not_matches("MARKED", tostring(through))
        through:close()
      end
    end)
  end)

  describe("limits", function()
    it("a body that announces too much", function()
      local small = curl.new { max_response = 1000 }
      assert.equal("too_large", fetch(small, "/big/1001").reason)
      assert.equal(1000, #fetch(small, "/big/1000").body)
      small:close()
    end)

    it("a body that grows too much", function()
      local small = curl.new { max_response = 10000 }
      local failure = fetch(small, "/stream/10001")
      assert.same({ "too_large", "answering" }, { failure.reason, failure.reached })
      assert.equal(10000, #fetch(small, "/stream/10000").body)
      small:close()
    end)

    it("headers without end", function()
      assert.equal("too_large", fetch(engine, "/fat/80000").reason)
      assert.equal("fat", fetch(engine, "/fat/50000").body)
    end)

    it("and takes a large body whole", function()
      assert.equal(("x"):rep(3000000), fetch(engine, "/big/3000000").body)
    end)
  end)

  describe("verifies TLS:", function()
    local function over_tls(options, url)
      local secure = curl.new(options)
      local result = fetch(secure, nil, { url = url or https(server.tls, "/count") })
      secure:close()
      return result
    end

    local function distrusts(options, url)
      local before = log()
      local failure = over_tls(options, url)
      assert.equal("tls", failure.reason)
      assert.equal("connected", failure.reached)
      assert.equal(select(2, before:gsub("count", "")), select(2, log():gsub("count", "")))
    end

    it("a known authority is trusted", function()
      assert.equal(200, over_tls({ ca_file = server.ca_file }).status)
    end)

    it("an unknown authority is not", function()
      distrusts {}
    end)

    it("nor a certificate for another host", function()
      distrusts({ ca_file = server.ca_file }, ("https://localhost:%d/count"):format(server.tls))
    end)

    it("nor one that expired", function()
      distrusts({ ca_file = server.ca_file }, https(server.expired, "/count"))
    end)

    it("a pinned key is required", function()
      assert.equal(200, over_tls({ ca_file = server.ca_file, pinned_key = server.pin }).status)
      distrusts { ca_file = server.ca_file, pinned_key = server.other_pin }
    end)

    it("and pinning replaces no verification", function()
      distrusts { pinned_key = server.pin }
    end)

    it("a file of authorities that is not there is told", function()
      assert.equal("tls", over_tls({ ca_file = "/nonexistent/ca.pem" }).reason)
    end)
  end)

  describe("uses a proxy:", function()
    local function through(options, url)
      local proxied = curl.new(options)
      local result = fetch(proxied, nil, { url = url or server:url "/ok" })
      proxied:close()
      return result
    end

    it("the one it is told, whatever the environment excepts", function()
      local proxy = "http://127.0.0.1:" .. server.proxy
      assert.matches("^proxied\nGET http://127.0.0.1:", through({ proxy = proxy }).body)
    end)

    it("none", function()
      assert.equal(200, through({ proxy = "" }).status)
    end)

    it("and says when it refuses a tunnel, which is no answer", function()
      local failure = through({ proxy = "http://127.0.0.1:" .. server.proxy,
        ca_file = server.ca_file }, https(server.tls, "/ok"))
      assert.equal("proxy", failure.reason)
      assert.equal(curl.features().single_send, failure.reached == "connected")
    end)

    it("the one of the environment", function()
      local script = ([[local e = require("keysecure.curl").new(%s)
        e:start("GET", "%s", {}, nil, 5000)
        while e:step(-1) == 0 do end
        print((select(3, e:next())))]])
      local function run(options)
        local pipe = assert(io.popen(("http_proxy=http://127.0.0.1:%d no_proxy= %s -e '%s'"):format(
          server.proxy, wire.interpreter(), script:format(options, server:url "/ok")), "r"))
        local line = pipe:read "*l"
        pipe:close()
        return line
      end
      assert.equal("proxied", run "{}")
      assert.equal('{"code":0}', run '{ proxy = "" }')
    end)
  end)

  describe("as a pollable object", function()
    local has_cqueues, cqueues = pcall(require, "cqueues")

    it("opens nothing before it is needed", function()
      local idle = curl.new {}
      assert.equal(0, idle:step(0))
      assert.equal(0, idle:step(-1))
      assert.equal(0, idle:pending())
      assert.is_nil(idle:timeout())
      assert.is_nil((idle:next()))
      assert.equal("r", idle:events())
      idle:close()
    end)

    it("tells when it wants to be called", function()
      start(engine, "/hang", { timeout = 400 })
      assert.equal(0, engine:timeout())
      engine:step(0)
      engine:step(50)
      assert.is_truthy(engine:timeout() > 0 and engine:timeout() < 0.4)
      assert.equal(1, engine:step(-1))
      assert.equal(0, engine:timeout())
      engine:next()
      assert.is_nil(engine:timeout())
    end)

    it("never waits in step(0)", function()
      start(engine, "/slow/300")
      local steps = 0
      while engine:step(0) == 0 do
        steps = steps + 1
        assert.is_truthy(steps < 10000000)
      end
      assert.is_truthy(steps > 100)
    end)

    if has_cqueues and curl.new({}):pollfd() then
      -- Waits on the descriptor alone until nothing is in flight; returns how often it woke.
      local function drive(results)
        local pollable, rounds = { pollfd = engine:pollfd(), events = "r" }, 0
        while engine:pending() > 0 do
          assert.equal(pollable, (cqueues.poll(pollable, 5)))
          engine:step(0)
          take(engine, results)
          rounds = rounds + 1
          assert.is_truthy(rounds < 5000)
        end
        return rounds
      end

      it("is driven by its descriptor alone", function()
        local ids, results = {}, {}
        for i = 1, 50 do
          ids[i] = start(engine, "/slow/" .. i)
        end
        local late = start(engine, "/hang", { timeout = 150 })
        drive(results)
        for _, id in ipairs(ids) do
          assert.equal("slow", results[id][3])
        end
        assert.equal("timeout", results[late][3])
      end)

      it("is quiet while it waits for an answer", function()
        local upload = { method = "POST", body = ("x"):rep(4000000) }
        local id = start(engine, "/slow/300", upload)
        local results = {}
        assert.is_truthy(drive(results) < 1000)
        assert.equal("slow", results[id][3])
      end)

      it("is readable for as long as a result waits", function()
        local pollable = { pollfd = engine:pollfd(), events = "r" }
        local id = start(engine, "/hang")
        engine:step(0)
        engine:step(20)
        assert.is_true(engine:cancel(id))
        assert.equal(pollable, (cqueues.poll(pollable, 1)))
        assert.equal(pollable, (cqueues.poll(pollable, 1)))
        assert.equal(id, (engine:next()))
        assert.not_equal(pollable, (cqueues.poll(pollable, 0.05)))
      end)

      it("is quiet while idle, once it saw a kept connection go", function()
        local pollable = { pollfd = engine:pollfd(), events = "r" }
        fetch(engine, "/ok")
        assert.not_equal(pollable, (cqueues.poll(pollable, 0.05)))
        fetch(engine, "/leave")
        assert.equal(pollable, (cqueues.poll(pollable, 1)))
        assert.equal(0, engine:step(0))
        assert.not_equal(pollable, (cqueues.poll(pollable, 0.05)))
      end)
    end
  end)

  describe("ends transfers:", function()
    it("one, by its id", function()
      local stays, goes = start(engine, "/slow/150"), start(engine, "/hang")
      engine:step(0)
      engine:step(30)
      assert.is_true(engine:cancel(goes))
      assert.is_false(engine:cancel(goes))
      assert.is_false(engine:cancel(12345678))
      assert.is_false(engine:cancel(0))
      local results = drain(engine)
      assert.same({ goes, nil, "cancelled", "sent" },
        { results[goes][1], results[goes][2], results[goes][3], results[goes][4] })
      assert.equal(200, results[stays][2])
      assert.is_false(engine:cancel(stays))
    end)

    it("one that waits to be sent, as never sent", function()
      local before = seen "/ok"
      local id = start(engine, "/ok")
      assert.is_true(engine:cancel(id))
      assert.same({ id, nil, "cancelled", "nothing", "the transfer was cancelled" },
        { engine:next() })
      assert.equal(before, seen "/ok")
    end)

    it("all, when it is closed, and tells each", function()
      local ids = {}
      for i = 1, 5 do
        ids[i] = start(engine, "/hang")
      end
      engine:step(0)
      engine:step(30)
      ids[6] = start(engine, "/hang")
      engine:close()
      engine:close()
      assert.equal(6, engine:pending())
      local results = drain(engine)
      for i, id in ipairs(ids) do
        assert.equal("cancelled", results[id][3])
        assert.equal(i < 6 and "sent" or "nothing", results[id][4])
      end
      local id, reason = engine:start("GET", server:url "/ok", {}, nil, 1000)
      assert.same({ nil, "closed" }, { id, reason })
      assert.is_nil(engine:pollfd())
      assert.equal(0, engine:step(-1))
    end)

    it("when it is collected", function()
      for _ = 1, 20 do
        local lost = curl.new {}
        start(lost, "/hang")
        start(lost, "/ok")
        lost:step(0)
        lost:step(5)
      end
      collectgarbage()
      collectgarbage()
    end)

    it("keeping every id apart", function()
      local used = {}
      for _ = 1, 300 do
        local id = start(engine, "/ok")
        assert.is_nil(used[id])
        used[id] = true
        drain(engine)
      end
    end)
  end)

  -- Of the three Luas only LuaJIT can fork by itself; the engine is the same C under all of them.
  local has_ffi, ffi = pcall(require, "ffi")
  if has_ffi then
    ffi.cdef [[
      int fork(void); void _exit(int); int waitpid(int, int *, int); int usleep(unsigned);
    ]]

    -- Runs `fn` in a child; returns a function that waits for it and tells whether it succeeded.
    local function fork(fn)
      local child = ffi.C.fork()
      if child == 0 then
        ffi.C._exit(pcall(fn) and 0 or 1)
      end
      return function()
        local status = ffi.new "int[1]"
        ffi.C.waitpid(child, status, 0)
        return status[0] == 0
      end
    end

    it("starts afresh in a forked child and leaves the parent's connections alone", function()
      local connection = fetch(engine, "/count").body:match "^%d+"
      local waiting = start(engine, "/slow/200")
      engine:step(0)
      engine:step(20)
      local succeeded = fork(function()
        assert(engine:pending() == 0)
        assert(fetch(engine, "/count").body:match "^%d+" ~= connection)
        engine:close()
      end)
      assert.is_true(succeeded())
      assert.equal("slow", drain(engine)[waiting][3])
      assert.equal(connection, fetch(engine, "/count").body:match "^%d+")
    end)

    it("shares no descriptor with a forked child", function()
      local fd = engine:pollfd()
      local succeeded = fork(function()
        engine:pollfd()
        start(engine, "/hang")
        engine:step(0)
      end)
      assert.is_true(succeeded())
      local poll = require("cqueues").poll
      assert.equal(0.05, (poll({ pollfd = fd, events = "r" }, 0.05)))
      assert.equal(200, fetch(engine, "/ok").status)
    end)

    it("holds no connection of the parent's open in a forked child", function()
      local connection = fetch(engine, "/count").body:match "^%d+"
      local ended = fork(function()
        engine:pending()
        ffi.C.usleep(400000)
      end)
      ffi.C.usleep(50000)
      engine:close()
      ffi.C.usleep(50000)
      assert.matches("\n" .. connection .. " closed", log())
      assert.is_true(ended())
    end)
  end

  it("tells what libcurl can do", function()
    local features = curl.features()
    assert.matches("^%d+%.%d+", features.version)
    for _, name in ipairs { "tls", "http2", "asyncdns", "threadsafe", "single_send" } do
      assert.is_boolean(features[name])
    end
  end)
end)
