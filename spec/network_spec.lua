-- The faulty network of the other specs: that it does what its faults are called.
local cqueues = require "cqueues"
local socket = require "cqueues.socket"
local context = require "openssl.ssl.context"
local faults = require "spec.support.network_faults"
local network = require "spec.support.network"
local support = require "spec.support.client"

local ECONNREFUSED, ECONNRESET = 111, 104

describe("the faulty network #plain", function()
  local world, net, link

  setup(function()
    world = support.start()
    net = network.start(world.address)
  end)

  teardown(function()
    net:stop()
    world:stop()
  end)

  after_each(function()
    if link then
      link:close()
      link = nil
    end
  end)

  local function open(options)
    link = net:open(options or { patience = 0.2 })
    return link
  end

  local function connect()
    local con = socket.connect("127.0.0.1", link.address:match ":(%d+)$")
    con:onerror(function(_, _, code)
      return code
    end)
    con:setmode("b", "bn")
    con:settimeout(5)
    return con
  end

  -- A request that the emulator answers by itself, with a mark in it.
  local function ask(con)
    con:write("GET /_emulator/health?mark-1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
  end

  -- All that comes, and the error that ends it: nil where the end is an orderly one.
  local function heard(con)
    local parts = {}
    local part, code = con:read(1) -- read(-size) would swallow the error behind a part
    while part do
      parts[#parts + 1] = part
      part, code = con:read(1)
    end
    con:close()
    return table.concat(parts), code
  end

  local function strike(fault, attempt)
    link:arm { fault = fault, marks = { ["mark-1"] = attempt or 1 } }
    local con = connect()
    ask(con)
    return heard(con)
  end

  local function noted()
    return link:calm().notes["mark-1"]
  end

  it("lets pass what has no mark", function()
    open():arm { fault = "request lost, closed", marks = { other = 1 } }
    local con = connect()
    ask(con)
    assert.matches("^HTTP/1.1 200", con:read "*l")
    con:close()
    assert.equal(0, link:calm().notes.other.requests)
  end)

  it("strikes the attempt it is told to, once", function()
    open():arm { fault = "page 502", marks = { ["mark-1"] = 2 } }
    local answers = {}
    for i = 1, 3 do
      local con = connect()
      ask(con)
      answers[i] = con:read "*l"
      if i == 1 then
        assert.matches('"code":1009', heard(con))
      end
      con:close()
    end
    assert.matches("200 OK", answers[1])
    assert.matches("502", answers[2])
    assert.matches("^HTTP/1.1 200", answers[3])
    local note = noted()
    assert.same({ 3, 1, 1 }, { note.requests, note.struck, note.forwarded })
  end)

  it("loses a request, with an orderly end or a reset", function()
    open()
    local text, code = strike "request lost, closed"
    assert.same({ "", nil }, { text, code })
    assert.equal(0, noted().forwarded)
    text, code = strike "request lost, reset"
    assert.same({ "", ECONNRESET }, { text, code })
    assert.equal(0, noted().forwarded)
  end)

  it("lets the platform act and cuts the answer anywhere", function()
    open()
    local parts = {}
    for _, fault in ipairs { "done, closed", "done, half a head, closed",
      "done, half a body, reset", "done, half a body, closed" } do
      local text, code = strike(fault)
      parts[#parts + 1] = text
      assert.equal(fault:find "reset" and ECONNRESET or nil, code)
      assert.equal(1, noted().forwarded)
    end
    assert.equal("", parts[1])
    assert.matches("^HTTP/1.1 200", parts[2])
    assert.is_nil(parts[2]:find("\r\n\r\n", 1, true))
    assert.matches("\r\n\r\n.", parts[4])
  end)

  it("says wrong lengths", function()
    open()
    for fault, difference in pairs { ["done, length one too long, closed"] = 1,
      ["done, length one too short"] = -1 } do
      local text = strike(fault)
      local head, body = text:match "^(.-\r\n\r\n)(.*)$"
      assert.equal(#body + difference, tonumber(head:lower():match "content%-length: (%d+)"))
      noted()
    end
  end)

  it("is silent until the client is gone", function()
    open()
    for _, fault in ipairs { "request lost, silence", "done, silence" } do
      link:arm { fault = fault, marks = { ["mark-1"] = 1 } }
      local con = connect()
      con:settimeout(0.1)
      ask(con)
      assert.is_nil((con:read(1)))
      con:close()
      assert.equal(fault:find "done" and 1 or 0, noted().forwarded)
    end
  end)

  it("hands a request over after the client has heard the end of it", function()
    open()
    for _, fault in ipairs { "late, closed", "late, silence" } do
      assert.equal("", (strike(fault)))
      local note = noted()
      assert.same({ 1, 1 }, { note.requests, note.forwarded })
    end
    link:arm { fault = "late, page 504", marks = { ["mark-1"] = 1 } }
    local con = connect()
    ask(con)
    assert.matches("^HTTP/1.1 504", con:read "*l")
    con:close()
    assert.equal(1, noted().forwarded)
  end)

  it("hands a request over twice", function()
    open()
    strike "twice, closed"
    local note = noted()
    assert.same({ 1, 2 }, { note.requests, note.forwarded })
  end)

  local function try()
    local con = connect()
    local ok, code = con:connect(5)
    con:close()
    return ok, code
  end

  it("refuses connections, and takes them again", function()
    open():arm { fault = "connection refused", marks = { ["mark-1"] = 1 } }
    local ok, code = try()
    assert.is_nil(ok)
    assert.equal(ECONNREFUSED, code)
    link:calm()
    assert.is_truthy(try())
    link:arm { fault = "connection refused for a moment", marks = { ["mark-1"] = 1 } }
    assert.is_nil((try()))
    local deadline = cqueues.monotime() + 10
    while not try() do
      assert.is_true(cqueues.monotime() < deadline)
      cqueues.sleep(0.02)
    end
  end)

  it("ends kept connections when the gate falls", function()
    open()
    local con = connect()
    ask(con)
    assert.matches("^HTTP/1.1 200", con:read "*l")
    link:arm { fault = "connection refused", marks = { ["mark-1"] = 1 } }
    local _, code = heard(con)
    assert.is_nil(code)
  end)

  it("leaves connections unheard, and reads them late where it is told to", function()
    open()
    for fault, forwarded in pairs { ["connection never taken up"] = 0,
      ["connection taken up too late"] = 1 } do
      link:arm { fault = fault, marks = { ["mark-1"] = 1 } }
      local con = connect()
      con:settimeout(0.1)
      ask(con)
      assert.is_nil((con:read(1)))
      con:close()
      local report = link:calm()
      assert.equal(1, report.struck)
      assert.equal(forwarded, report.notes["mark-1"].forwarded)
    end
  end)

  it("ends connections at any moment", function()
    open()
    assert.equal("", (strike "connection closed at once"))
    link:calm()
    for _, fault in ipairs { "connection reset at once", "connection cut at the first byte",
      "connection reset within the request" } do
      local text, code = strike(fault)
      assert.same({ "", ECONNRESET }, { text, code }, fault)
      assert.equal(0, noted().requests)
    end
    assert.matches("^HTTP/1.1 408", (strike "connection greeted with an answer"))
  end)

  -- Shakes hands as a client that checks nothing, and returns whose certificate it saw.
  local function certificate()
    local con = connect()
    local shaken, code = con:starttls(context.new "TLS")
    local peer = shaken and con:checktls():getPeerCertificate()
    con:close()
    return peer, code
  end

  it("shows bad certificates behind TLS", function()
    open { tls = true, patience = 0.2 }
    local good = certificate()
    assert.equal("CN=authority of the network", tostring(good:getIssuer()):gsub("^/", ""))
    local seen = {}
    for name, fault in pairs { expired = "with an expired certificate",
      other = "with another's certificate", unknown = "with an unknown authority" } do
      link:arm { fault = "connection " .. fault, marks = { ["mark-1"] = 1 } }
      seen[name] = certificate()
      assert.equal(1, link:calm().struck)
    end
    local _, ends = seen.expired:getLifetime()
    assert.is_true(ends < os.time())
    assert.is_true(select(2, seen.other:getLifetime()) > os.time())
    assert.matches("elsewhere", seen.other:text())
    assert.matches("nobody knows", tostring(seen.unknown:getIssuer()))
  end)

  it("cuts handshakes, leaves them unanswered, or answers them in plain text", function()
    open { tls = true, patience = 0.2 }
    for _, fault in ipairs { "cut in the handshake", "mute in the handshake", "without TLS" } do
      link:arm { fault = "connection " .. fault, marks = { ["mark-1"] = 1 } }
      assert.is_nil((certificate()), fault)
      link:calm()
    end
    assert.is_truthy((certificate()))
  end)

  it("has a name and a moment for each fault", function()
    for _, fault in ipairs(faults.list) do
      assert.is_true(fault.gate or fault.act ~= nil, fault.name)
      assert.is_truthy(({ never = true, before = true, late = true, twice = true })[fault.reaches])
    end
  end)
end)
