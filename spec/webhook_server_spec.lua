-- lua/keysecure/webhook/server.lua and host/cqueues.lua: against the real emulator, over HTTP.
local api = require "keysecure.api"
local cqueues = require "cqueues"
local errno = require "cqueues.errno"
local platform = require "spec.support.emulator"
local socket = require "cqueues.socket"
local support = require "spec.support.webhook"
local webhook_server = require "keysecure.webhook.server"

local account = api.environments.emulator.merchants.authorization

describe("a webhook's server", function()
  local peer

  setup(function() peer = platform.start() end)
  teardown(function() peer:stop() end)
  after_each(function() peer:reset() end)

  -- A hook with the emulator's keys, listening in the loop that runs and asked by the emulator.
  local function listen(loop, options, config)
    options = options or {}
    options.api_key, options.api_secret = account.api_key, account.api_secret
    local hook, told = support.hook(options)
    local server = assert(webhook_server.listen { hook = hook, port = 0, cq = loop })
    config = config or {}
    config.callback_url = server.url
    assert(peer:control("POST", "config", config))
    return hook, told, server
  end

  local function auth(card_no, amount)
    return peer:ok("simulate.auth", { card_no = card_no, amount = amount,
      local_currency = "USD" })
  end

  it("raises on misuse and says what fails", function()
    local hook = support.hook()
    for _, options in ipairs { { port = 0 }, { hook = hook, prot = 0 }, { hook = hook, port = "1" },
      "x" } do
      assert.has_error(function() webhook_server.listen(options) end)
    end
    local first = assert(webhook_server.listen { hook = hook, port = 0 })
    local second, err = webhook_server.listen { hook = hook, port = first.port }
    assert.is_nil(second)
    assert.matches("cannot listen on 127.0.0.1 port " .. first.port, err)
    first:close()
    assert.is_true(first:run())
  end)

  it("decides the emulator's purchases, signed in either order", function()
    platform.run(function(loop)
      for _, order in ipairs { "document", "hash" } do
        local hook, told, server = listen(loop, nil,
          { merchants = { authorization = { signature_order = order } } })
        local pushed = {}
        hook:on("Auth", function(event)
          cqueues.sleep(0.02)
          return event.data.amount == "12.50"
        end)
        hook:on("*", function(event) pushed[#pushed + 1] = tostring(event) end)
        local card_no = peer:card("Virtual", "authorization")
        local yes, no = auth(card_no, "12.50"), auth(card_no, "12.5")
        assert.same({ "approved", "Pending" }, { yes.decision, yes.status })
        assert.same({ "declined", "Fail" }, { no.decision, no.status })
        platform.wait(function() return #pushed == 3 end)
        assert.same({}, told.errors)
        assert.same({}, told.refusals)
        server:close()
      end
    end)
  end)

  it("gives the emulator the fallback in time, though the handler never comes back", function()
    platform.run(function(loop)
      local hook, told, server = listen(loop, { budget = 0.3 })
      local go
      hook:on("Auth", function()
        while not go do
          cqueues.sleep(0.01)
        end
        return true
      end)
      local card_no = peer:card("Virtual", "authorization")
      local purchase = auth(card_no, "12.50")
      assert.equal("declined", purchase.decision)
      go = true
      platform.wait(function() return #told.lates == 1 end)
      assert.equal(purchase.consume_no, told.lates[1].event.data.consume_no)
      local log = peer:control("GET", "callbacks").callbacks
      for _, delivery in ipairs(log) do
        if delivery.action == "Auth" then -- code 1, not a time-out, is what the platform heard
          assert.equal("answered code 1", delivery.verdict)
        end
      end
      server:close()
    end)
  end)

  it("has what its handler could not take repeated, and taken once", function()
    platform.run(function(loop)
      local hook, told, server = listen(loop, nil, { callback_delays = { 0.05, 0.05, 0.05 } })
      local calls = 0
      hook:on("Card_update", function()
        calls = calls + 1
        if calls < 3 then
          error "no database"
        end
      end)
      peer:card("Virtual", "authorization")
      platform.wait(function() return calls == 3 end)
      cqueues.sleep(0.2)
      assert.equal(3, calls)
      assert.equal(2, #told.errors)
      server:close()
    end)
  end)

  it("refuses other methods, large bodies and strangers", function()
    platform.run(function(loop)
      local hook, told, server = listen(loop, { max_body = 1000 })
      hook:on("Auth", function() return true end)
      local url = server.url:gsub("/$", "")
      assert.equal(405, platform.http(url, "GET", "/").status)
      assert.equal("POST", platform.http(url, "PUT", "/", nil, "x").headers:get "allow")
      assert.equal(413, platform.http(url, "POST", "/", { signature = "x", timestamp = "1" },
        ("x"):rep(1001)).status)
      assert.equal(400, platform.http(url, "POST", "/", nil, "").status)
      assert.equal(0, #told.journal)
      server:close()
    end)
  end)

  it("keeps no connection to strangers, who could hold all that there are", function()
    platform.run(function(loop)
      local hook = support.hook()
      hook:on("Auth", function() return true end)
      local server = assert(webhook_server.listen { hook = hook, port = 0, cq = loop,
        max_connections = 2 })
      local strangers = {}
      for i = 1, 2 do
        strangers[i] = socket.connect("127.0.0.1", server.port)
        strangers[i]:setmode("b", "b")
        strangers[i]:write "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
        strangers[i]:flush()
        assert.matches("^HTTP/1.1 400", strangers[i]:xread("*l", 10))
      end
      local headers, body = support.request("Auth", support.purchase())
      assert.equal(200, platform.http(server.url:gsub("/$", ""), "POST", "/", headers,
        body).status)
      for _, stranger in ipairs(strangers) do
        stranger:close()
      end
      server:close()
    end)
  end)

  it("does not wait for those who never finish, nor mind what is no HTTP", function()
    platform.run(function(loop)
      local hook = support.hook()
      hook:on("Auth", function() return true end)
      local failures = {}
      local server = assert(webhook_server.listen { hook = hook, port = 0, cq = loop,
        read_timeout = 0.2, on_error = function(message) table.insert(failures, message) end })
      local function say(text)
        local peer_socket = socket.connect("127.0.0.1", server.port)
        peer_socket:setmode("b", "b")
        peer_socket:onerror(function(_, _, code) return code end)
        peer_socket:write(text)
        peer_socket:flush()
        local answer, code = peer_socket:xread("*a", 10)
        peer_socket:close()
        return answer or (code == errno.ETIMEDOUT and "kept waiting") or ""
      end
      for _, part in ipairs { "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n123",
        "POST / HTTP/1.1\r\nHost:" } do
        assert.matches('^HTTP/1.1 408 .*{"code":408,"message":"too slow"}$', say(part))
      end
      assert.is_nil(say("nonsense\r\n\r\n"):find "^HTTP/1.1 [25]")
      local headers, body = support.request("Auth", support.purchase())
      assert.equal(200, platform.http(server.url:gsub("/$", ""), "POST", "/", headers,
        body).status)
      server:close()
    end)
  end)
end)
