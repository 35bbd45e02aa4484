-- Transports that users write, and what they may fail with.
local cjson = require "cjson"
local keysecure = require "keysecure"
local support = require "spec.support.client"

local refused = support.refused
local DATE = "Mon, 23 Nov 2026 08:00:00 GMT"
local TOKEN = cjson.encode { code = 0, msg = "Success",
  data = { access_token = "token-1", expired_time = 1900000000000 } }

-- A transport of a user's: answers requests for a token, and hands the others to `answer`.
local function transport_of(answer)
  local transport = { requests = {} }
  function transport.perform(self, request)
    if request.url:find("/merchant/token", 1, true) then
      return { status = 200, body = TOKEN, headers = { date = DATE } }
    end
    self.requests[#self.requests + 1] = request
    return answer(request, #self.requests)
  end
  return transport
end

-- A client that leaves alone what is in doubt: spec/settle_spec.lua has those that don't.
local function client_of(answer, changes)
  local transport = type(answer) == "table" and answer or transport_of(answer)
  local options = { settle = false,
    address = "https://gateway.example", api_key = "key-1", timeout = 5,
    api_secret = "0123456789abcdef", mode = "credit", transport = transport }
  for name, value in pairs(changes or {}) do
    options[name] = value
  end
  return assert(keysecure.new(options)), transport
end

local function says(body)
  return function()
    return { status = 200, body = body, headers = { date = DATE } }
  end
end

local function write(ks)
  return ks.cards:update_status { card_no = "C1", status = "Frozen" }
end

describe("a transport of one's own", function()
  it("is given method, URL, headers, body and the time left", function()
    local ks, transport = client_of(says '{"code":0,"msg":"","data":{"result":true}}',
      { language = "zh_CN" })
    assert.is_true(assert(write(ks)))
    local request = transport.requests[1]
    assert.equal("POST", request.method)
    assert.equal("https://gateway.example/open-api/v1/card/status/update", request.url)
    assert.same({ card_no = "C1", status = "Frozen" }, cjson.decode(request.body))
    assert.is_true(request.timeout > 4 and request.timeout <= 5)
    local headers = request.headers
    assert.equal("key-1", headers["Api-Key"])
    assert.equal("token-1", headers["Access-Token"])
    assert.equal("application/json", headers["Content-Type"])
    assert.equal("zh_CN", headers.Language)
    assert.matches("^%d+$", headers.Timestamp)
    assert.is_nil(headers.Timezone)
    ks.cards:detail { card_no = "C1" }
    assert.equal("GET", transport.requests[2].method)
    assert.is_nil(transport.requests[2].body)
  end)

  it("is given the timezone with lists, and the one-time token with what it opens", function()
    local ks, transport = client_of(says '{"code":0,"msg":"","data":{"list":[]}}')
    local window = { start_time = "2026-01-01", end_time = "2026-01-02" }
    assert(ks.cards:list(window))
    assert(ks.cards:list(window, { timezone = "UTC-3" }))
    ks.pci:card_detail { card_no = "C1", client_access_token = "once" }
    assert.equal("UTC+8", transport.requests[1].headers.Timezone)
    assert.equal("UTC-3", transport.requests[2].headers.Timezone)
    assert.equal("once", transport.requests[3].headers["Client-Access-Token"])
    assert.same({ card_no = "C1" }, cjson.decode(transport.requests[3].body))
  end)

  it("sends simulations without key and token", function()
    local ks, transport = client_of(says '{"code":0,"msg":"","data":{}}')
    assert(ks.simulate:auth { card_no = "C1", amount = "1.00" })
    assert.is_nil(transport.requests[1].headers["Api-Key"])
    assert.is_nil(transport.requests[1].headers["Access-Token"])
  end)

  it("may fail before it sent anything: reads and writes are sent again", function()
    for _, reached in ipairs { "nothing", "resolved", "connected", "secured" } do
      local ks, transport = client_of(function(_, number)
        if number < 3 then
          return nil, { reason = "connect", reached = reached, message = "refused" }
        end
        return says '{"code":0,"msg":"","data":{"result":true}}' ()
      end)
      assert.is_true(assert(write(ks)))
      assert.equal(3, #transport.requests)
    end
  end)

  it("may fail on the way: a write is not sent again, a read is", function()
    for _, reached in ipairs { "sending", "sent", "answering", "(silence)", "Nothing" } do
      local ks, transport = client_of(function()
        return nil, { reason = "receive", reached = reached ~= "(silence)" and reached or nil,
          message = "connection reset" }
      end)
      local err = refused({ kind = "transport", outcome = "unknown", attempts = 1,
        operation = "cards.update_status", message = "connection reset" }, write(ks))
      assert.is_nil(err.http_status)
      assert.is_nil(err.code)
      assert.equal(1, #transport.requests)
      if reached == "(silence)" then
        refused({ kind = "transport", outcome = "unknown", attempts = 5 },
          ks.cards:detail { card_no = "C1" })
        assert.equal(6, #transport.requests)
      end
    end
  end)

  it("may fail for good: nothing is sent again", function()
    local CASES = { tls = "transport", too_large = "transport", memory = "transport",
      invalid = "transport", cancelled = "cancelled", closed = "cancelled" }
    for reason, kind in pairs(CASES) do
      local ks, transport = client_of(function()
        return nil, { reason = reason, reached = "nothing", message = reason }
      end)
      refused({ kind = kind, outcome = "not_sent", attempts = 1 },
        ks.cards:detail { card_no = "C1" })
      assert.equal(1, #transport.requests)
    end
  end)

  it("may fail at the token: the call was not sent", function()
    local ks = client_of { perform = function()
      return nil, { reason = "tls", message = "certificate has expired" }
    end }
    refused({ kind = "transport", outcome = "not_sent", attempts = 0,
      message = "certificate has expired" }, write(ks))
  end)

  it("may say less than it should, which counts as the worst", function()
    for _, case in ipairs { {}, { nil, "timed out" }, { nil, {} }, { false, 7 } } do
      local ks, transport = client_of(function()
        return case[1], case[2]
      end)
      local err = refused({ kind = "transport", outcome = "unknown", attempts = 1 }, write(ks))
      assert.equal(1, #transport.requests)
      assert.is_string(err.message)
      assert.is_false(tostring(err):find("\n", 1, true) ~= nil)
    end
    local ks = client_of(function() end)
    local _, err = write(ks)
    assert.matches("neither an answer nor a failure", err.message, 1, true)
  end)

  it("may bring answers that are none of the platform's", function()
    for _, body in ipairs { "", "<html>", "[]", "null", '{"code":"0"}', '{"msg":"x"}',
      '{"code":0,"data":{"result":true}', '{"code":0.5}', "\0", ("["):rep(5000) } do
      local ks, transport = client_of(says(body))
      refused({ kind = "protocol", outcome = "unknown", http_status = 200, attempts = 1 },
        write(ks))
      assert.equal(1, #transport.requests, body)
    end
    local ks = client_of(function()
      return { status = 502 }
    end)
    refused({ kind = "protocol", outcome = "unknown", http_status = 502 }, write(ks))
  end)

  it("may bring data of another shape, which is unknown and named", function()
    local CASES = {
      { '{"code":0,"msg":""}', write },
      { '{"code":0,"msg":"","data":null}', write },
      { '{"code":0,"msg":"","data":{"result":false}}', write },
      { '{"code":0,"msg":"","data":[1]}', write },
      { '{"code":0,"msg":"","data":7}', function(ks)
        return ks.cards:detail { card_no = "C1" }
      end },
      { '{"code":0,"msg":"","data":{"time":"soon"}}', function(ks)
        return ks.cards:detail { card_no = "C1" }
      end },
      { '{"code":0,"msg":"","data":{"card_list":[7]}}', function(ks)
        return ks.cardholders:info { cardholder_no = "U1" }
      end },
      { '{"code":0,"msg":"","data":{"fee_list":[7]}}', function(ks)
        return ks.consumptions:info { consume_no = "S1" }
      end },
      { '{"code":0,"msg":"","data":{"fee_detail":"free"}}', function(ks)
        return ks.cards:detail { card_no = "C1" }
      end },
      { '{"code":0,"msg":"","data":{}}', function(ks) return ks.cards:packages() end },
      { '{"code":0,"msg":"","data":{"list":[7]}}', function(ks) return ks.cards:packages() end },
      { '{"code":0,"msg":"","data":{"a":1}}', function(ks)
        return ks.cards:private_info { card_no = "C1" }
      end },
      { '{"code":0,"msg":"","data":{}}', function(ks)
        return ks.pci:client_token { card_no = "C1" }
      end },
    }
    for _, case in ipairs(CASES) do
      refused({ kind = "protocol", outcome = "unknown" }, case[2]((client_of(says(case[1])))))
    end
    refused({ kind = "crypto", outcome = "unknown", operation = "cards.private_info" },
      client_of(says '{"code":0,"msg":"","data":"zNkSeANebsT6uK05MK4m"}').cards:private_info {
        card_no = "C1" })
  end)

  it("may bring numbers that are no text: times and money stay exact", function()
    local ks = client_of(says [[{"code":0,"msg":"","data":{"list":[{"transfer_no":"T1",
      "balance":12.50,"time":1790000000123,"type":null}]}}]])
    local row = assert(ks.accounts:transfers { start_time = "2026-01-01",
      end_time = "2026-01-02" })[1]
    assert.equal("12.5", row.balance)
    assert.equal("1790000000123", string.format("%d", row.time))
    assert.is_nil(row.type)
  end)

  it("may raise, which passes through and leaves the client usable", function()
    local broken = true
    local ks = client_of(function()
      if broken then
        error "no such module"
      end
      return says '{"code":0,"msg":"","data":{"result":true}}' ()
    end)
    assert.matches("no such module", support.raised(write, ks), 1, true)
    broken = false
    assert.is_true(assert(write(ks)))
  end)

  it("must have a function perform", function()
    for _, transport in ipairs { {}, { perform = true } } do
      assert.matches("option transport: a table with a function 'perform' expected",
        support.raised(client_of, transport), 1, true)
    end
  end)

  it("is closed with the client where it can be", function()
    local closed = 0
    local ks = client_of { perform = function() end, close = function() closed = closed + 1 end }
    ks:close()
    assert.equal(1, closed)
    client_of(says ""):close()
  end)
end)
