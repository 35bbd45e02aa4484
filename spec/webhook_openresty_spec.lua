-- lua/keysecure/webhook/openresty.lua, host/openresty.lua, store/shdict.lua: in a real nginx.
local cjson = require "cjson"
local core = require "keysecure.core"
local cqueues = require "cqueues"
local nginx = require "spec.support.nginx"
local redis = require "spec.support.redis"
local support = require "spec.support.webhook"

local LOOP_LIMIT = 600 -- seconds
local MANY = tonumber(os.getenv "KS_STORM") -- purchases in each storm, in place of a few

-- What each worker runs. Counts go to a shared dict, where the spec can ask for them.
local HOOK = [[
local counts = ngx.shared.counts
local hook = assert(require("keysecure.webhook").new {
  api_key = "app", api_secret = "0123456789abcdef", budget = BUDGET, max_in_flight = 100,
  store = STORE,
  journal = function(entry)
    counts:incr("journal " .. entry.reason, 1, 0)
  end,
  on_late = function(event, made)
    counts:incr("late " .. event.data.consume_no .. " " .. tostring(made.approved), 1, 0)
  end,
  on_error = function(message, event)
    counts:incr("errors", 1, 0)
    counts:set("error", message)
  end,
})
local kinds = {}
function kinds.Consumption() return true end
function kinds.Slow() ngx.sleep(1) return true end
function kinds.Brief() ngx.sleep(0.02) return ngx.worker.id() >= 0 end
function kinds.Raise() error "broken" end
function kinds.RaiseLate() ngx.sleep(0.6) error "broken" end
function kinds.Nonsense() return "yes" end
function kinds.Socket() -- connects to something that never says a word
  local socket = ngx.socket.tcp()
  socket:settimeouts(2000, 2000, 700)
  assert(socket:connect("127.0.0.1", ngx.var.silent_port))
  local line, err = socket:receive()
  return line ~= nil or nil, err
end
function kinds.Spin()
  local core = require "keysecure.core"
  local from = core.monotonic()
  while core.monotonic() - from < 700 do end
  return true
end
hook:on("Auth", function(event)
  counts:incr("handled " .. event.data.consume_no, 1, 0)
  return kinds[event.data.type](event)
end)
hook:on("Consumption", function(event)
  counts:incr("handed " .. event.id, 1, 0)
  ngx.sleep(0.02)
end)
return hook
]]

local SHDICT = [[require("keysecure.webhook.store.shdict").new "answers"]]

-- lua-resty-redis, under the name that Debian gives it too.
local REDIS = [[require("keysecure.webhook.store.redis").new {
  connect = function()
    local found, redis = pcall(require, "resty.redis")
    redis = (found and redis or require "nginx.redis"):new()
    redis:set_timeout(500)
    local ok, err = redis:connect("127.0.0.1", PORT)
    return ok and redis, err
  end,
  release = function(redis, failed)
    if failed then redis:close() else redis:set_keepalive(10000, 100) end
  end,
}]]

local SERVER = [[
  location = /hook { content_by_lua_block { require("hook"):serve() } }
  location = /small {
    client_body_buffer_size 64;
    content_by_lua_block { require("hook"):serve() }
  }
  location = /count {
    content_by_lua_block {
      local of = ngx.req.get_uri_args().of
      ngx.print(of == "in flight" and require("hook").in_flight or ngx.shared.counts:get(of) or 0)
    }
  }
]]

local function start(workers, budget, store)
  local port = nginx.free_port()
  return nginx.start {
    workers = workers,
    files = { ["hook.lua"] = (HOOK:gsub("%u%u%u%u%u+", { BUDGET = tostring(budget or 0.5),
      STORE = store or SHDICT })) },
    http = [[
      lua_shared_dict answers 10m;
      lua_shared_dict counts 10m;
      lua_socket_log_errors off;
      client_max_body_size 1m;
    ]] .. string.format("server { listen 127.0.0.1:%s; location / { content_by_lua_block "
      .. "{ ngx.sleep(2) } } }", port),
    server = string.format("set $silent_port %s;", port) .. SERVER,
  }
end

local function count(server, of)
  local escaped = of:gsub("[^%w]", function(c) return string.format("%%%02X", c:byte()) end)
  return tonumber(server:get("/count?of=" .. escaped).body)
end

local function post(server, headers, body, path)
  local answer = server:get(path or "/hook", { headers = headers, body = body })
  return answer.status, cjson.decode(answer.body), answer
end

-- Asks about a purchase; whether it was approved, milliseconds, the answer.
local function auth(server, data, id)
  local headers, body = support.request("Auth", data, nil, id)
  local from = core.monotonic()
  local status, answer, whole = post(server, headers, body)
  assert.equal(200, status)
  return answer.code == 0, core.monotonic() - from, whole
end

-- The options of its header Connection.
local function options_of(answer)
  local options, values = {}, answer.headers:get_as_sequence "connection"
  for i = 1, values.n do
    options[values[i]] = values[i]
  end
  return options
end

local function run(fn)
  local loop = cqueues.new()
  loop:wrap(fn)
  assert(loop:loop(LOOP_LIMIT))
end

-- Runs these all at once, or so many at a time.
local function at_once(functions, limit)
  local taken = 0
  run(function()
    for _ = 1, limit or #functions do
      cqueues.running():wrap(function()
        while taken < #functions do
          taken = taken + 1
          functions[taken]()
        end
      end)
    end
  end)
end

nginx.describe("a webhook in OpenResty", function()
  local server

  setup(function() server = start(1) end)
  teardown(function() server:stop() end)

  it("answers, and answers again the same", function()
    local data = support.purchase()
    assert.is_true((auth(server, data, "a")))
    local approved, _, answer = auth(server, data, "b")
    assert.is_true(approved)
    assert.equal('{"code":0,"message":""}', answer.body)
    assert.equal("application/json", answer.headers:get "content-type")
    assert.equal(1, count(server, "handled " .. data.consume_no))
  end)

  it("refuses strangers, and never with a 500", function()
    local headers, body = support.request("Auth", support.purchase())
    assert.equal(200, (post(server, headers, body)))
    assert.equal(401, (post(server, headers, (body:gsub("12.50", "12.51")))))
    assert.equal(400, (post(server, {}, body)))
    assert.equal(400, (post(server, headers, "x")))
    assert.equal(413, (post(server, headers, (" "):rep(65537))))
    headers["Content-Type"] = "text/plain"
    assert.equal(415, (post(server, headers, body)))
    local answer = server:get "/hook"
    assert.same({ 405, "POST", '{"code":405,"message":"POST only"}' },
      { answer.status, answer.headers:get "allow", answer.body })
  end)

  it("reads bodies that nginx put into a file, and knows their limit too", function()
    local headers, body = support.request("Auth", support.purchase { note = ("x"):rep(20000) })
    assert.equal(0, select(2, post(server, headers, body, "/small")).code)
    assert.equal(413, (post(server, headers, body .. (" "):rep(65537), "/small")))
    assert.equal(400, (post(server, headers, "", "/small")))
  end)

  it("sees a header that came twice", function()
    local headers, body = support.request("Auth", support.purchase())
    local lines = { "POST /hook HTTP/1.1", "Host: x", "Connection: close",
      "Content-Length: " .. #body }
    for name, value in pairs(headers) do
      lines[#lines + 1] = name .. ": " .. value
    end
    lines[#lines + 1] = "Signature: " .. headers.Signature
    local socket = require "cqueues.socket".connect("127.0.0.1", server.port)
    socket:setmode("b", "b")
    socket:write(table.concat(lines, "\r\n") .. "\r\n\r\n" .. body)
    assert.matches("^HTTP/1.1 400", socket:read "*l")
    socket:close()
  end)

  it("lets handlers wait without anybody else waiting", function()
    local functions, approved = {}, 0
    for i = 1, 40 do -- one after the other they would take 0.8 s, and the budget is 0.5 s
      functions[i] = function()
        if auth(server, support.purchase { type = "Brief" }) then
          approved = approved + 1
        end
      end
    end
    at_once(functions)
    assert.equal(40, approved)
  end)

  it("gives the fallback in time, and hears the late answer, once", function()
    for _, case in ipairs { { "Slow", "true" }, { "Spin", "true" } } do
      local data = support.purchase { type = case[1] }
      local approved, took, answer = auth(server, data)
      assert.is_false(approved)
      assert.is_true(took >= 495, case[1] .. " took " .. took)
      if case[1] == "Slow" then
        -- The request goes on, so its connection is not to be used again.
        assert.equal("close", options_of(answer).close)
        assert.is_true(took < 1000, "took " .. took)
      end
      local late = "late " .. data.consume_no .. " " .. case[2]
      server:wait(function() return count(server, late) == 1 end)
      assert.is_false((auth(server, data)))
      assert.equal(1, count(server, late))
      assert.equal(1, count(server, "handled " .. data.consume_no))
    end
  end)

  it("answers what raises, says nonsense, or hangs on a cosocket", function()
    for _, kind in ipairs { "Raise", "RaiseLate", "Nonsense", "Socket", "NoSuchKind" } do
      local errors = count(server, "errors")
      local approved = auth(server, support.purchase { type = kind })
      assert.is_false(approved, kind)
      server:wait(function() return count(server, "errors") > errors end)
    end
  end)

  it("answers in time, whatever handlers do, and hears of each late one", function()
    local kinds = { "Slow", "Socket", "Raise", "Nonsense", "RaiseLate", "Consumption",
      "Consumption", "Consumption", "Consumption", "Consumption" }
    local functions, slow, approved, longest = {}, {}, 0, 0
    for i = 1, MANY or 200 do
      local data = support.purchase { type = kinds[i % #kinds + 1] }
      slow[#slow + 1] = data.type == "Slow" and data.consume_no or nil
      functions[i] = function()
        local yes, took = auth(server, data)
        assert.is_true(not yes or data.type == "Consumption")
        approved, longest = approved + (yes and 1 or 0), math.max(longest, took)
      end
    end
    at_once(functions, 60)
    assert.is_true(longest < 800, "one took " .. longest .. " ms")
    assert.is_true(approved > #functions / 4, approved .. " were approved")
    server:wait(function() return count(server, "in flight") == 0 end)
    local begun = 0
    for _, number in ipairs(slow) do
      local handled = count(server, "handled " .. number)
      assert.equal(handled, count(server, "late " .. number .. " true"))
      begun = begun + handled
    end
    assert.is_true(begun > #slow / 4, begun .. " slow ones were begun")
  end)

  it("keeps a connection that nobody holds up", function()
    local _, _, answer = auth(server, support.purchase())
    assert.is_nil(options_of(answer).close)
  end)

  it("leaves nothing in the error log", function()
    assert.same({}, server:logged("error", "crit", "alert", "emerg"))
  end)
end)

-- Pushes that are not taken come again.
local function push_until_taken(server, id)
  for _ = 1, 100 do
    local headers, body = support.request("Consumption", { consume_no = id }, nil, id)
    if select(2, post(server, headers, body)).code == 0 then
      return
    end
    cqueues.sleep(0.02)
  end
end

-- Asks `servers` by turns about so many purchases, each three times at once, and pushes as many
-- messages twice. Each must be handled once, and answered alike.
local function storm(servers, purchases)
  local answers, functions = {}, {}
  for i = 1, purchases do
    local data = support.purchase { type = "Brief", consume_no = "D" .. i }
    for copy = 1, 3 do
      local server = servers[(i + copy) % #servers + 1]
      functions[#functions + 1] = function()
        answers[i .. "." .. copy] = auth(server, data)
      end
      functions[#functions + 1] = copy < 3 and function()
        push_until_taken(server, "push-" .. i)
      end or nil
    end
  end
  at_once(functions, 5 * 12)
  local function total(of)
    local sum = 0
    for _, server in ipairs(servers) do
      sum = sum + count(server, of)
    end
    return sum
  end
  for i = 1, purchases do
    assert.equal(1, total("handled D" .. i))
    assert.equal(1, total("handed push-" .. i))
    assert.is_true(answers[i .. ".1"])
    assert.is_true(answers[i .. ".2"] and answers[i .. ".3"])
  end
end

nginx.describe("webhooks that share a store", function()
  it("answer alike in four workers with a shared dict", function()
    local server = start(4, 0.79)
    storm({ server }, MANY or 40)
    assert.equal(0, count(server, "errors"))
    server:stop()
  end)

  it("answer alike in two nginx with Redis", function()
    local database = redis.start()
    local store = REDIS:gsub("PORT", tostring(database.port))
    local servers = { start(2, 0.79, store), start(2, 0.79, store) }
    storm(servers, MANY or 40)
    for _, server in ipairs(servers) do
      assert.equal(0, count(server, "errors"))
      assert.same({}, server:logged("error", "crit"))
      server:stop()
    end
    database:stop()
  end)

  it("decline while Redis is away, in time, and go on when it is back", function()
    local database = redis.start()
    local server = start(1, 0.5, (REDIS:gsub("PORT", tostring(database.port))))
    assert.is_true((auth(server, support.purchase())))
    database:halt()
    assert.is_false((auth(server, support.purchase())))
    assert.is_true(count(server, "errors") > 0)
    assert.equal(1, count(server, "journal store"))
    database:launch()
    assert.is_true((auth(server, support.purchase())))
    server:stop()
    database:stop()
  end)
end)

nginx.describe("a journal with a delay in nginx", function()
  local JOURNALLED = [[
local journal = assert(require("keysecure.webhook.journal").open(ngx.config.prefix() .. "journal",
  { delay = DELAY }))
local hook = assert(require("keysecure.webhook").new {
  api_key = "app", api_secret = "0123456789abcdef", journal = journal })
hook:on("Auth", function() return true end)
return { serve = function() hook:serve() end, flush = function() journal:flush() end }
]]

  local function lines(server)
    local file = assert(io.open(server.dir .. "/journal"))
    local found = 0
    for line in file:lines() do
      cjson.decode(line)
      found = found + 1
    end
    file:close()
    return found
  end

  local function with(delay, fn, at_exit)
    local server = nginx.start { files = { ["hook.lua"] = (JOURNALLED:gsub("DELAY", delay)) },
      http = "init_by_lua_block { require 'hook' } exit_worker_by_lua_block { " .. (at_exit or "")
        .. " }", server = SERVER }
    for _ = 1, 3 do
      assert.is_true((auth(server, support.purchase())))
    end
    fn(server)
    assert.same({}, server:logged("error", "crit"))
    server:stop()
  end

  it("has its lines written without anybody asking again", function()
    with("0.1", function(server)
      server:wait(function() return lines(server) == 3 end)
    end)
  end)

  it("and those of a worker that ends at its end", function()
    with("60", function(server)
      assert.equal(0, lines(server))
      server:reload()
      server:wait(function() return lines(server) == 3 end)
    end)
  end)

  it("and, where nginx.conf says so, those of one that ends at once", function()
    with("60", function(server)
      os.execute("kill -TERM " .. server:workers()[1])
      server:wait(function() return lines(server) == 3 end)
    end, "require('hook').flush()")
  end)
end)
