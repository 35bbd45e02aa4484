-- lua/keysecure/webhook/init.lua, options.lua, door.lua, event.lua, decision.lua, deliver.lua and
-- test_request.lua, through hook:answer. authorize.lua has a spec of its own.
local cjson = require "cjson"
local core = require "keysecure.core"
local keysecure = require "keysecure"
local new_headers = require "http.headers".new
local signature = require "keysecure.signature"
local support = require "spec.support.webhook"
local webhook = require "keysecure.webhook"

local NOW = 1763880000 -- seconds, of the clock that the window is tried with

local function approve()
  return true
end

local function lower(headers)
  local result = {}
  for name, value in pairs(headers) do
    result[name:lower()] = value
  end
  return result
end

describe("a webhook", function()
  describe("made", function()
    it("needs keys", function()
      local hook, err = webhook.new { api_secret = "x" }
      assert.is_nil(hook)
      assert.same({ "invalid", "api_key" }, { err.kind, err.field })
      hook, err = webhook.new { api_key = "x" }
      assert.is_nil(hook)
      assert.equal("api_secret", err.field)
    end)

    it("raises for options that are none, at the caller's line", function()
      for _, case in ipairs {
        { { budgt = 1 }, "did you mean 'budget'" }, { { budget = "1" }, "number expected" },
        { { budget = 0.8 }, "less than the platform's 0.8" }, { { budget = 0 }, "more than zero" },
        { { on_timeout = "yes" }, "'decline', 'approve' or a function" },
        { { max_in_flight = 1.5 }, "whole number" }, { { remember = 10 }, "replayed" },
        { { store = {} }, "no method 'add'" }, { { journal = {} }, "write" },
        { { secrets = { "" } }, "not empty" }, { { on_changed = "ask" }, "'decide'" },
        { "x", "table of options" },
      } do
        local ok, err = pcall(webhook.new, case[1])
        assert.is_false(ok)
        assert.truthy(err:find(case[2], 1, true), err)
      end
      local ok, err = pcall(function() webhook.new { budgt = 1 } end)
      assert.is_false(ok)
      assert.truthy(err:find("webhook_spec.lua:", 1, true), err)
    end)

    it("shows nothing of its keys", function()
      local hook = support.hook()
      assert.equal("keysecure webhook", tostring(hook))
      local seen = {}
      local function walk(value)
        if type(value) == "table" and not seen[value] then
          seen[value] = true
          for key, item in pairs(value) do
            walk(key)
            walk(item)
          end
        elseif type(value) == "string" then
          assert.is_nil(value:find(support.keys.api_secret, 1, true))
        end
      end
      walk(hook)
    end)

    it("comes with the keys and the clock of a client", function()
      local ks = assert(keysecure.new { environment = "emulator", mode = "authorization",
        api_key = support.keys.api_key, api_secret = support.keys.api_secret })
      local hook = ks:webhook { on_error = function() end }
      hook:on("Auth", approve)
      assert.is_true((support.auth(hook)))
      assert.has_error(function() ks:webhook { api_key = "x" } end)
      assert.has_error(function() ks.webhook {} end)
      ks:close()
    end)

    it("judges the age of a callback by the clock that its client has learnt", function()
      local ks = assert(keysecure.new { environment = "emulator",
        api_key = support.keys.api_key, api_secret = support.keys.api_secret })
      local hook = ks:webhook { on_error = function() end }
      hook:on("Auth", approve)
      local ahead = core.wall() + 3600000
      local headers, body = support.request("Auth", support.purchase(), { timestamp = ahead })
      assert.equal(401, (hook:answer(headers, body)))
      -- The server says that it is an hour later there.
      local monotonic = core.monotonic()
      ks.core:clock_adopt(ahead - monotonic - 500 + monotonic, ahead + 500, monotonic)
      assert.equal(200, (hook:answer(headers, body)))
      headers, body = support.request("Auth", support.purchase())
      assert.equal(401, (hook:answer(headers, body)))
      ks:close()
    end)

    it("takes handlers, and tells a slip from an action of tomorrow", function()
      local hook = support.hook()
      assert.equal(hook, hook:on("Auth", approve))
      hook:on("Statement", approve)
      for _, case in ipairs { { "auth", approve, "did you mean 'Auth'" },
        { "Consumptoin", approve, "Consumption" }, { "Auth", true, "a function expected" },
        { nil, approve, "an action expected" }, { "", approve, "an action expected" } } do
        local ok, err = pcall(hook.on, hook, case[1], case[2])
        assert.is_false(ok)
        assert.truthy(err:find(case[3], 1, true), err)
      end
      assert.has_error(function() hook.on("Auth", approve) end)
    end)

    it("raises where answer is misused", function()
      local hook = support.hook()
      for _, arguments in ipairs { { nil, "" }, { {}, nil }, { {}, "", "now" } } do
        assert.has_error(function() hook:answer(arguments[1], arguments[2], arguments[3]) end)
      end
      assert.has_error(function() hook.answer({}, "") end)
    end)
  end)

  describe("at its door", function()
    local hook, told, headers, body

    before_each(function()
      hook, told = support.hook { clock = function() return NOW end }
      hook:on("Auth", approve)
      headers, body = support.request("Auth", support.purchase(), { timestamp = NOW * 1000 })
    end)

    local function assert_answer(wanted, given, text)
      local status, answer = support.ask(hook, given, text or body)
      assert.equal(wanted, status)
      assert.equal(wanted == 200 and 0 or wanted, answer.code)
      return answer
    end

    it("believes every vector in both orders, and nothing else of them", function()
      local count = 0
      for line in io.lines "spec/vectors/callback-signatures.jsonl" do
        local vector = cjson.decode(line)
        local seen
        local receiver = support.hook { api_key = vector.app_id, api_secret = vector.secret,
          clock = function() return tonumber(vector.timestamp) / 1000 end }
        receiver:on("Vector", function(event) seen = event end)
        for _, order in ipairs { "document_order", "hash_order" } do
          if vector[order] then
            seen = nil
            local given = { Timestamp = vector.timestamp, Signature = vector[order].signature }
            local text = string.format('{"id":"%s","action":"Vector","data":%s}', order,
              vector.data)
            local answer = select(2, support.ask(receiver, given, text))
            if seen then
              assert.equal(0, answer.code)
              assert.equal(vector.data, seen.raw_data)
            else -- both orders are the same text, so the second is the first under another id
              assert.equal(409, answer.code)
              assert.equal(vector.document_order.signature, vector.hash_order.signature)
            end
            given.Signature = given.Signature:gsub(".$", { ["0"] = "1" }):gsub("[1-9a-f]$", "0")
            if given.Signature ~= vector[order].signature then
              assert.equal(401, (receiver:answer(given, text)))
            end
            count = count + 1
          end
        end
      end
      assert.is_true(count > 300, "checked " .. count)
    end)

    it("takes headers of any case, in lists of one, and lua-http's", function()
      assert_answer(200, headers)
      assert_answer(200, lower(headers))
      local shouted, listed, object = {}, {}, new_headers()
      object:append(":method", "POST")
      for name, value in pairs(headers) do
        shouted[name:upper()] = value
        listed[name] = { value }
        object:append(name:lower(), value)
      end
      assert_answer(200, shouted)
      assert_answer(200, listed)
      assert_answer(200, object)
      object:append("timestamp", headers.Timestamp)
      assert_answer(400, object)
    end)

    it("refuses what is missing, comes twice or has the wrong shape", function()
      local function with(name, value)
        local changed = {}
        for key, text in pairs(headers) do
          changed[key] = text
        end
        changed[name] = value
        return changed
      end
      for _, case in ipairs {
        { 400, "Timestamp" }, { 400, "Signature" },
        { 400, "Timestamp", { headers.Timestamp, headers.Timestamp } },
        { 400, "Signature", { headers.Signature, "x" } }, { 400, "Signature", {} },
        { 400, "timestamp", headers.Timestamp }, { 400, "Timestamp", true },
        { 400, "Timestamp", "" }, { 400, "Timestamp", "1e9" }, { 400, "Timestamp", "-1" },
        { 400, "Timestamp", ("1"):rep(17) }, { 400, "Timestamp", ("1"):rep(1000000) },
        { 400, "Timestamp", headers.Timestamp .. "\n" }, { 400, "Signature", true },
        { 401, "Signature", "" }, { 401, "Signature", ("a"):rep(1000000) },
        { 401, "Signature", headers.Signature:upper() },
        { 400, "Sign-Version", "V2" }, { 400, "Sign-Version", true },
        { 200, "Sign-Version" }, { 200, "Content-Type" }, { 200, "X-Other", { "a", "b" } },
        { 200, "Content-Type", "Application/JSON; charset=utf-8" },
        { 415, "Content-Type", "text/plain" }, { 415, "Content-Type", "" },
        { 415, "Content-Type", true }, { 200, ":method", "POST" }, { 405, ":method", "GET" },
      } do
        assert_answer(case[1], with(case[2], case[3]))
      end
      assert_answer(400, {})
    end)

    it("tells a stranger one of a few fixed texts, and the operator the reason", function()
      local answer = assert_answer(401, { Timestamp = headers.Timestamp,
        Signature = ("0"):rep(64) })
      assert.same({ code = 401, message = "not authentic" }, answer)
      assert.same({ "401 the signature does not match" }, told.refusals)
      headers[":method"] = "GET"
      local _, text, more = hook:answer(headers, body)
      assert.equal('{"code":405,"message":"POST only"}', text)
      assert.same({ ["Content-Type"] = "application/json", Allow = "POST" }, more)
      assert.same({}, told.journal)
    end)

    it("refuses bodies that are too large, no JSON, or no callback", function()
      local small = support.hook { max_body = #body, clock = function() return NOW end }
      small:on("Auth", approve)
      assert.equal(200, (small:answer(headers, body)))
      assert.equal(413, (small:answer(headers, body .. " ")))
      for _, text in ipairs { "", "{", "[]", "null", '"x"', "{}", '{"data":1}', "\255",
        ("["):rep(60000), '{"data":' .. ('{"a":'):rep(64) .. "1" .. ("}"):rep(65) } do
        assert_answer(400, headers, text)
      end
      for _, rest in ipairs { "", '"id":"1",', '"action":"Auth",', '"id":"","action":"Auth",',
        '"id":{},"action":"Auth",', '"id":"1","action":[],', '"id":"1","action":"",',
        '"id":"' .. ("x"):rep(129) .. '","action":"Auth",', '"id":null,"action":"Auth",' } do
        assert_answer(400, headers, "{" .. rest .. body:match '"data":.*')
      end
    end)

    it("has a window with two sides", function()
      local function at(seconds)
        local given, text = support.request("Auth", support.purchase(),
          { timestamp = math.floor((NOW + seconds) * 1000 + 0.5) })
        return (hook:answer(given, text))
      end
      for seconds, wanted in pairs { [0] = 200, [-299.999] = 200, [-300] = 200, [-300.001] = 401,
        [30] = 200, [30.001] = 401, [100000] = 401, [-100000] = 401 } do
        assert.equal(wanted, at(seconds), tostring(seconds))
      end
      hook, told = support.hook { max_age = 10, max_ahead = 0, clock = function() return NOW end }
      hook:on("Auth", approve)
      assert.same({ 200, 401, 401 }, { at(-10), at(-10.001), at(0.001) })
      assert.same({ "401 the Timestamp is too old", "401 the Timestamp is in the future" },
        told.refusals)
    end)

    it("uses this machine's clock where there is no other", function()
      hook = support.hook()
      hook:on("Auth", approve)
      assert.is_true((support.auth(hook)))
      assert_answer(401, headers)
    end)

    it("refuses every change of a single bit", function()
      local function flipped(text, at, bit)
        local byte = text:byte(at)
        local set = math.floor(byte / 2 ^ bit) % 2 == 1
        return text:sub(1, at - 1) .. string.char(byte + (set and -1 or 1) * 2 ^ bit)
          .. text:sub(at + 1)
      end
      local function each_flip(text, fn)
        for at = 1, #text do
          for bit = 0, 7 do
            fn(flipped(text, at, bit), at)
          end
        end
      end
      assert_answer(200, headers)
      local from, to = body:find('"data":', 1, true)
      each_flip(body, function(changed, at)
        local status = hook:answer(headers, changed)
        if at > to and at < #body or at > from and at < to then
          assert.is_true(status == 400 or status == 401, at .. ": " .. status)
        elseif status == 200 then -- the id and the action, which are not signed
          assert.is_true(at < from)
        end
      end)
      each_flip(headers.Timestamp, function(changed)
        local status = hook:answer({ Timestamp = changed, Signature = headers.Signature }, body)
        assert.is_true(status == 400 or status == 401)
      end)
      each_flip(headers.Signature, function(changed)
        assert.equal(401, (hook:answer({ Timestamp = headers.Timestamp, Signature = changed },
          body)))
      end)
      for _, name in ipairs { "api_secret", "api_key" } do
        each_flip(support.keys[name], function(changed)
          local other = support.hook { [name] = changed, clock = function() return NOW end }
          assert.equal(401, (other:answer(headers, body)))
        end)
      end
    end)

    it("knows the secret that is coming and the one that goes", function()
      hook = support.hook { secrets = { "the next one" } }
      hook:on("Auth", approve)
      assert.is_true((support.auth(hook)))
      assert.is_true((support.auth(hook, nil, { api_secret = "the next one" })))
      assert.has_error(function()
        support.auth(hook, nil, { api_secret = "the one after" })
      end, "status 401")
    end)

    it("looks at nothing before it is proven", function()
      local calls = 0
      hook:on("Auth", function()
        calls = calls + 1
        return true
      end)
      hook:on("*", function() calls = calls + 1 end)
      headers.Signature = ("0"):rep(64)
      for _, action in ipairs { "Auth", "Consumption", "Other" } do
        assert_answer(401, headers, (body:gsub('"Auth"', '"' .. action .. '"')))
      end
      -- An action that is no text at all is not even complained about.
      assert_answer(401, headers, (body:gsub('"Auth"', "[]")))
      assert.equal(0, calls)
      assert.same({}, told.errors)
    end)
  end)

  describe("hands over", function()
    it("events with every digit", function()
      local hook = support.hook()
      local seen
      hook:on("Auth", function(event)
        seen = event
        return true
      end)
      local before = core.wall()
      local data = [[{"consume_no":"S-digits","amount":12.50,"local_amount":1180,"time":]]
        .. [[1763880000123,"merchant_info":{"merchant_name":"A & B"},"list":[1.0],"new":true}]]
      assert.is_true((support.auth(hook, data, nil, "m-1")))
      assert.same({ "m-1", "Auth", data }, { seen.id, seen.action, seen.raw_data })
      assert.same({ consume_no = "S-digits", amount = "12.50", local_amount = "1180",
        time = 1763880000123, merchant_info = { merchant_name = "A & B" }, list = { "1.0" },
        new = true }, seen.data)
      assert.is_true(seen.timestamp >= before and seen.timestamp <= core.wall())
      assert.is_true(math.abs(seen.received_at * 1000 - seen.timestamp) < 10000)
      assert.is_true(seen:time_left() <= 0.6)
      assert.equal("Auth S-digits", tostring(seen))
    end)

    local function push(hook, action, data, id, options)
      local headers, body = support.request(action, data, options, id)
      local status, answer = support.ask(hook, headers, body)
      return answer.code, status
    end

    it("each message once, however often it comes", function()
      local hook, told = support.hook()
      local seen = {}
      hook:on("Consumption", function(event) table.insert(seen, event.id) end)
      local data = { consume_no = "S1", amount = "1.00", status = "Success" }
      local now = core.wall()
      for i, id in ipairs { "a", "a", "b", "a" } do
        assert.equal(0, (push(hook, "Consumption", data, id, { timestamp = now - i })))
      end
      assert.same({ "a", "b" }, seen)
      assert.same({ false, true, false, true }, { told.journal[1].duplicate,
        told.journal[2].duplicate, told.journal[3].duplicate, told.journal[4].duplicate })
    end)

    it("a message again when its handler failed", function()
      local hook, told = support.hook()
      local results = {
        function() error "no database" end, function() return false end,
        function() return nil, "locked" end, function() return { code = 5 } end, function() end,
      }
      local calls = 0
      hook:on("Card_update", function()
        calls = calls + 1
        return results[calls]()
      end)
      for _, wanted in ipairs { 1, 1, 1, 1, 0, 0 } do
        assert.equal(wanted, (push(hook, "Card_update", { card_no = "C1" }, "m")))
      end
      assert.equal(5, calls)
      assert.equal(4, #told.errors)
      assert.truthy(told.errors[1]:find "no database")
      assert.truthy(told.errors[3]:find "locked")
    end)

    it("nothing twice that is replayed under another id or action", function()
      local hook, told = support.hook()
      local calls = 0
      hook:on("*", function() calls = calls + 1 end)
      local headers, body = support.request("Consumption", { consume_no = "S1" }, nil, "a")
      assert.equal(200, (hook:answer(headers, body)))
      assert.equal(200, (hook:answer(headers, body)))
      for _, changed in ipairs { body:gsub('"id":"a"', '"id":"b"'),
        (body:gsub("Consumption", "Card_update")) } do
        if type(changed) == "string" then
          assert.equal(409, (hook:answer(headers, changed)))
        end
      end
      assert.equal(1, calls)
      assert.equal("409 a signed message under another id or action", told.refusals[1])
    end)

    -- The status that a request gets when it is sent again under another action.
    local function replayed(hook, request, from, to)
      local changed, times = request.body:gsub('"action":"' .. from .. '"',
        '"action":"' .. to .. '"')
      assert.equal(1, times)
      return (hook:answer(request.headers, changed))
    end

    -- A request of its own millisecond, and so with its own signature.
    local began = core.wall()
    local function request(action, data, age)
      local headers, body = support.request(action, data, { timestamp = began - age },
        action .. age)
      return { headers = headers, body = body }
    end

    -- Has a hook take both and count how often; answers the counts.
    local function counted(hook)
      local calls = { Auth = 0, Consumption = 0 }
      for action in pairs(calls) do
        hook:on(action, function()
          calls[action] = calls[action] + 1
          return action == "Auth" or nil
        end)
      end
      return calls
    end

    it("nothing that was an authorization, and no authorization that was something else", function()
      local hook, told = support.hook()
      local calls = counted(hook)
      for from, to in pairs { Auth = "Consumption", Consumption = "Auth" } do
        local sent = request(from, support.purchase(), 0)
        assert.equal(200, (hook:answer(sent.headers, sent.body)))
        assert.equal(409, replayed(hook, sent, from, to))
        assert.equal(200, (hook:answer(sent.headers, sent.body)))
      end
      assert.same({ Auth = 1, Consumption = 1 }, calls)
      assert.equal(2, #told.refusals)
    end)

    for _, on_changed in ipairs { "decline", "decide" } do
      it("nothing replayed about a purchase that came both ways: " .. on_changed, function()
        for _, order in ipairs { { "Auth", "Auth", "Consumption" },
          { "Auth", "Consumption", "Auth" }, { "Consumption", "Auth", "Auth" } } do
          local hook, told = support.hook { on_changed = on_changed }
          local calls = counted(hook)
          local data, requests = support.purchase(), {}
          for i, action in ipairs(order) do
            requests[i] = request(action, data, i)
            local status, answer = support.ask(hook, requests[i].headers, requests[i].body)
            assert.same({ 200, 0 }, { status, answer.code })
          end
          assert.same({ Auth = 1, Consumption = 1 }, calls)
          for i, action in ipairs(order) do
            local other = action == "Auth" and "Consumption" or "Auth"
            assert.equal(409, replayed(hook, requests[i], action, other))
            local status, answer = support.ask(hook, requests[i].headers, requests[i].body)
            assert.same({ 200, 0 }, { status, answer.code })
          end
          assert.same({ Auth = 1, Consumption = 1 }, calls)
          assert.equal(3, #told.refusals)
        end
      end)
    end

    -- Data whose consume_no has swallowed the member that follows it in the signed text.
    local function swallowed(sent)
      local data, times = sent.body:gsub('"consume_no":"([^"]+)"',
        '"consume_no":"%1&local_amount=11.80"')
      assert.equal(1, times)
      data, times = data:gsub('"local_amount":11.80,?', "")
      assert.equal(1, times)
      return { headers = sent.headers, body = data }
    end

    it("nothing whose data were put otherwise, with the same signature", function()
      local hook, told = support.hook()
      local calls = counted(hook)
      local asked = request("Auth", support.purchase(), 0)
      local other = swallowed(asked)
      assert.equal(0, select(2, support.ask(hook, asked.headers, asked.body)).code)
      assert.equal(409, replayed(hook, other, "Auth", "Consumption"))
      assert.equal(1, select(2, support.ask(hook, other.headers, other.body)).code)
      assert.equal("incomplete", told.journal[2].reason)
      assert.same({ Auth = 1, Consumption = 0 }, calls)
    end)

    it("no authorization that was not begun, when it comes as something else", function()
      for _, case in ipairs { { "no handler" }, { "incomplete", { amount = cjson.null } },
        { "timeout" } } do
        local hook, told = support.hook()
        local calls = 0
        hook:on("Consumption", function() calls = calls + 1 end)
        if case[1] ~= "no handler" then
          hook:on("Auth", function() return true end)
        end
        local asked = request("Auth", support.purchase(case[2]), 0)
        local received_at = core.wall() / 1000 - (case[1] == "timeout" and 2 or 0)
        hook:answer(asked.headers, asked.body, received_at)
        assert.equal(case[1], told.journal[1].reason)
        assert.equal(409, replayed(hook, asked, "Auth", "Consumption"))
        assert.equal(0, calls)
      end
    end)

    it("no authorization that nobody wanted when it was something else", function()
      local hook, told = support.hook()
      hook:on("Auth", function() return true end)
      local told_of = request("Consumption", support.purchase(), 0)
      assert.equal(200, (hook:answer(told_of.headers, told_of.body)))
      assert.equal("ignored", told.journal[1].reason)
      assert.equal(409, replayed(hook, told_of, "Consumption", "Auth"))
    end)

    it("unknown actions and values as they are, to whoever takes all", function()
      local hook = support.hook()
      local seen = {}
      hook:on("Consumption", function() seen.own = true end)
      hook:on("*", function(event) seen[event.action] = event.data end)
      assert.equal(0, (push(hook, "Consumption", { type = "Barter" })))
      assert.equal(0, (push(hook, "Weather", { sun = true, status = "Odd" })))
      assert.equal(0, (push(hook, "Card_update", { after_status = "Lost" })))
      assert.same({ own = true, Weather = { sun = true, status = "Odd" },
        Card_update = { after_status = "Lost" } }, seen)
    end)

    it("no Auth to the one that takes all the rest", function()
      local hook, told = support.hook()
      local calls = 0
      hook:on("*", function()
        calls = calls + 1
        return true
      end)
      assert.is_false((support.auth(hook)))
      assert.equal(0, calls)
      assert.equal("no handler", told.journal[1].reason)
    end)

    it("what nobody wants to nobody, so that the platform does not repeat it", function()
      local hook, told = support.hook()
      assert.equal(0, (push(hook, "Weather", { sun = true })))
      assert.same({ "taken", "ignored" }, { told.journal[1].decision, told.journal[1].reason })
    end)

    it("and asks to repeat when the store cannot say", function()
      local broken = { get = function() return nil, "down" end }
      broken.add, broken.set, broken.delete = broken.get, broken.get, broken.get
      local hook, told = support.hook { store = broken }
      local calls = 0
      hook:on("Consumption", function() calls = calls + 1 end)
      assert.equal(1, (push(hook, "Consumption", {})))
      assert.equal(0, calls)
      assert.truthy(told.errors[1]:find "down")
    end)

    it("no more at once than it may, and the rest when it comes again", function()
      local hook, told = support.hook { max_in_flight = 1 }
      local inner
      hook:on("Consumption", function()
        inner = inner or push(hook, "Consumption", { consume_no = "b" }, "b")
      end)
      assert.equal(0, (push(hook, "Consumption", { consume_no = "a" }, "a")))
      assert.equal(1, inner)
      assert.equal("overload", told.journal[1].reason)
      assert.equal(0, (push(hook, "Consumption", { consume_no = "b" }, "b")))
    end)

    it("again what somebody died over, after the lease", function()
      local memory = require "keysecure.webhook.store.memory"
      local now = 0
      local store = memory.new { now = function() return now end }
      local hook = support.hook { store = store, lease = 30 }
      local calls = 0
      hook:on("Consumption", function() calls = calls + 1 end)
      store:add("push:m", "claimed", 30) -- as another worker left it
      assert.equal(1, (push(hook, "Consumption", {}, "m")))
      now = 31000
      assert.equal(0, (push(hook, "Consumption", {}, "m")))
      assert.equal(1, calls)
    end)
  end)

  describe("test_request", function()
    it("signs in both orders, at any moment", function()
      for _, order in ipairs { "document", "hash" } do
        local headers, body = support.request("Auth",
          { o = { b = "1", a = { z = 1, y = { true, "x" } } } },
          { order = order, timestamp = 1763880000000 })
        assert.equal("1763880000000", headers.Timestamp)
        local data = assert(signature.data(body))
        assert.equal(headers.Signature, signature.sign(data, { order = order,
          timestamp = headers.Timestamp, app_id = "app", secret = support.keys.api_secret }))
      end
    end)

    it("makes numbers of money, with its digits, and leaves JSON text alone", function()
      local _, body = support.request("Auth", { amount = "12.50", fee = "x", n = 1.5,
        merchant_info = { amount = "1" } })
      assert.equal('{"amount":12.50,"fee":"x","merchant_info":{"amount":1},"n":1.5}',
        signature.data(body))
      _, body = support.request("Auth", '{ "amount" : 1 }')
      assert.equal('{ "amount" : 1 }', signature.data(body))
    end)

    it("raises on misuse", function()
      local keys = support.keys
      for _, case in ipairs { { nil, keys }, { { action = "Auth" }, keys },
        { { action = "Auth", data = {} }, nil }, { { action = "Auth", data = {} }, {} },
        { { action = "Auth", data = {} }, { api_key = "a", api_secret = "b", ordr = "hash" } },
        { { action = "Auth", data = "[]" }, keys },
        { { action = "Auth", data = {} }, { api_key = "a", api_secret = 1 } } } do
        assert.has_error(function() webhook.test_request(case[1], case[2]) end)
      end
    end)
  end)
end)
