local core = require "keysecure.core"
local transport = require "keysecure.transport.curl"
local wire = require "spec.support.wire"

--- The least a host must do: wait until one transfer has finished.
local host = {}

function host:attach(engine)
  self.engine = engine
end

function host:await(id)
  local engine = self.engine
  for _ = 1, 1000 do
    engine:step(5000)
    local result = { engine:next() }
    if result[1] == id then
      return result[2], result[3], result[4], result[5], result[6]
    end
  end
  error "no answer"
end

describe("the curl transport", function()
  local server, carrier

  setup(function()
    server = wire.start()
  end)

  teardown(function()
    server:stop()
  end)

  before_each(function()
    carrier = transport.new({}, host)
  end)

  after_each(function()
    carrier:close()
  end)

  local function perform(path, more)
    more = more or {}
    return carrier:perform {
      method = more.method or "GET", url = more.url or server:url(path),
      headers = more.headers or {}, body = more.body, timeout = more.timeout or 5,
    }
  end

  it("turns an answer into a table", function()
    assert.same({
      status = 200, body = '{"code":0}',
      headers = { date = "Mon, 23 Nov 2026 08:00:00 GMT", ["retry-after"] = "7",
        ["content-type"] = "application/json" },
    }, perform "/ok")
  end)

  it("sends method, headers and body", function()
    local answer = perform("/echo", { method = "POST", body = "a=1", headers = { ["X-Y"] = "z" } })
    assert.matches("^POST /echo HTTP/1.1", answer.body)
    assert.matches("\nX%-Y: z\r\n", answer.body)
    assert.matches("\r\n\r?\n?a=1$", answer.body)
  end)

  it("takes any status for an answer", function()
    local answer, failure = perform "/status/503"
    assert.equal(503, answer.status)
    assert.equal("", answer.body)
    assert.is_nil(failure)
  end)

  it("turns a failure into a table that says how far it got", function()
    local answer, failure = perform("/hang", { timeout = 0.05 })
    assert.is_nil(answer)
    assert.same({ reason = "timeout", reached = "sent", message = "the time-out passed" }, failure)
  end)

  it("says nothing was sent when there was no time, or the request can't be", function()
    for _, timeout in ipairs { 0, -1, -1000 } do
      local answer, failure = perform("/ok", { timeout = timeout })
      assert.is_nil(answer)
      assert.same({ "timeout", "nothing" }, { failure.reason, failure.reached })
    end
    local _, failure = perform("/ok", { headers = { A = "b\r\nC: d" } })
    assert.same({ "invalid", "nothing" }, { failure.reason, failure.reached })
  end)

  it("gives the shortest time-out some time", function()
    local _, failure = perform("/hang", { timeout = 0.0001 })
    assert.equal("timeout", failure.reason)
  end)

  it("ends at the connect time-out it is told in seconds", function()
    local short = transport.new({ connect_timeout = 0.1 }, host)
    local socket = require("cqueues.socket").listen { host = "127.0.0.1", port = 0 }
    socket:listen()
    local _, _, port = socket:localname()
    local _, failure = short:perform { method = "GET", url = "https://127.0.0.1:" .. port .. "/",
      headers = {}, timeout = 5 }
    assert.same({ "timeout", "connected" }, { failure.reason, failure.reached })
    socket:close()
    short:close()
  end)

  it("passes its options on", function()
    local url = ("https://127.0.0.1:%d/ok"):format(server.tls)
    local _, failure = perform(nil, { url = url })
    assert.equal("tls", failure.reason)
    local secure = transport.new({ ca_file = server.ca_file, pinned_key = server.pin,
      proxy = "", max_response = 5, http2 = false, api_key = "not for the engine" }, host)
    local request = { method = "GET", url = url, headers = {}, timeout = 5 }
    _, failure = secure:perform(request)
    assert.equal("too_large", failure.reason)
    secure:close()
    _, failure = secure:perform(request)
    assert.same({ "closed", "nothing" }, { failure.reason, failure.reached })
  end)

  describe("carrying a call of the core", function()
    local function call_of(path, more)
      more = more or {}
      local client = core.client { address = server:url "", api_key = "key-1", carried = true }
      local monotonic, wall = core.now()
      return client:call(more.method or "POST", path, more.body, "key", false,
        more.timeout or 5000, monotonic, wall, "UTC+8", nil, nil), monotonic, wall
    end

    it("sends what it asks to send, of which Lua is given nothing", function()
      local call, monotonic, wall = call_of("/echo", { body = "a=1" })
      assert.same({ "send" }, { call:next(monotonic, wall) })
      local status, body = carrier:carry(call)
      assert.equal(200, status)
      assert.matches("^POST /echo HTTP/1.1", body)
      assert.matches("\r\n[Tt]imestamp: %d%d%d%d%d%d%d%d%d%d%d%d%d\r\n", body)
      assert.matches("\r\n[Aa]pi%-[Kk]ey: key%-1\r\n", body)
      assert.matches("\r\n[Tt]imezone: UTC%+8\r\n", body)
      assert.matches("\r\n\r\na=1$", body)
    end)

    it("returns the headers that the core reads", function()
      local call, monotonic, wall = call_of("/ok", { method = "GET" })
      call:next(monotonic, wall)
      local status, body, date, retry_after = carrier:carry(call)
      assert.same({ 200, '{"code":0}', "Mon, 23 Nov 2026 08:00:00 GMT", "7" },
        { status, body, date, retry_after })
    end)

    it("says how far a request got that failed", function()
      local call, monotonic, wall = call_of("/ok", { method = "GET" })
      call:next(monotonic, wall)
      carrier:close()
      local status, reason, reached = carrier:carry(call)
      assert.same({ nil, "closed", "nothing" }, { status, reason, reached })
    end)

    it("refuses a call that asks for nothing to be sent, and what is no call", function()
      local call, monotonic, wall = call_of("/ok", { method = "GET" })
      assert.error_matches(function() carrier:carry(call) end, "nothing to be sent")
      call:next(monotonic, wall)
      call:answered(monotonic, wall, 200, '{"code":0,"msg":"","data":null}')
      assert.error_matches(function() carrier:carry(call) end, "nothing to be sent")
      call, monotonic, wall = call_of("/ok", { method = "GET" })
      call:next(monotonic, wall)
      call:close() -- what it was to send is freed
      assert.error_matches(function() carrier:carry(call) end, "nothing to be sent")
      assert.error(function() carrier:carry(core.client { address = "", api_key = "" }) end)
    end)
  end)
end)
