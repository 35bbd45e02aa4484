-- The emulator as a process and as an HTTP server; what it answers is in the other emulator specs.
local api = require "keysecure.api"
local core = require "keysecure.core"
local emulator = require "keysecure.emulator"
local support = require "spec.support.emulator"

local function read_file(path)
  local file = io.open(path, "r")
  local text = file and file:read("*a")
  if file then
    file:close()
  end
  return text
end

local function exists(path)
  return read_file(path) ~= nil
end

-- The interpreter and module paths of this process, for a shell.
local function own_lua()
  local i = -1
  while arg and arg[i - 1] do
    i = i - 1
  end
  return string.format("LUA_INIT= LUA_PATH='%s' LUA_CPATH='%s' %s", package.path, package.cpath,
    arg and arg[i] or "lua")
end

local function pause(milliseconds)
  core.sleep(milliseconds)
end

describe("keysecure.emulator", function()
  local peer

  setup(function() peer = support.start() end)
  teardown(function() peer:stop() end)
  after_each(function() peer:reset() end)

  describe("envelope", function()
    it("is code, msg, data with HTTP 200, and a Date from the server's clock", function()
      local answer = peer:call("merchant.token")
      assert.equal(200, answer.status)
      assert.matches('^{"code":0,"msg":"Success","data":{"access_token":"%x+",'
        .. '"expired_time":%d%d%d%d%d%d%d%d%d%d%d%d%d}}$', answer.body)
      assert.matches("^application/json", answer.headers:get "content-type")
      assert.matches("^%a%a%a, %d%d %a%a%a %d%d%d%d %d%d:%d%d:%d%d GMT$",
        answer.headers:get "date")
    end)

    it("is kept by refusals, whose data is null", function()
      local answer = peer:call("cards.detail", { card_no = "C1" })
      assert.equal(200, answer.status)
      assert.equal('{"code":4001,"msg":"card does not exist","data":null}', answer.body)
    end)

    it("answers an unknown path with 404 and a wrong method with 405", function()
      for _, path in ipairs { "/x", "/open-api/v1", "/open-api/v1/card", "/open-api/v2/card/list",
        "/open-api/v1/card/list/", "/open-api/v1//card/list", "/open-api/v1/card/*/detail/x",
        "/open-api/v1/card/*operation" } do
        local answer = support.http(peer.address, "GET", path)
        assert.equal(404, answer.status, path)
        assert.equal(404, answer.json.code)
      end
      local answer = support.http(peer.address, "GET", api.base .. "/card/list")
      assert.equal(405, answer.status)
      assert.equal("POST", answer.headers:get "allow")
      assert.equal(405, answer.json.code)
    end)

    it("finds /card/{card_no}/private/info beside /card/consume/{consume_no}/info", function()
      local card_no = peer:card()
      assert.equal(0, peer:call("cards.private_info", { card_no = card_no }).json.code)
      assert.equal(4001, peer:call("cards.private_info", { card_no = "other" }).json.code)
      assert.equal(4002, peer:call("consumptions.info", { consume_no = "other" }).json.code)
    end)

    it("calls a body that is no JSON object malformed", function()
      for _, body in ipairs { "", "{", "[]", '"text"', "null", '{"page":NaN}', '{"a":1}x',
        '{"cardholder_no":"\255"}', ("["):rep(2000) } do
        local answer = peer:call("cards.packages", {}, { body = body })
        assert.equal(1004, answer.json.code, body)
        assert.equal("body invalid parameter", answer.json.msg)
      end
      local plain = peer:call("cards.packages", {},
        { headers = { ["Content-Type"] = "text/plain" } })
      assert.equal("Content-Type invalid parameter", plain.json.msg)
    end)

    it("takes null for absent and ignores fields it doesn't know", function()
      local body = '{"page":null,"package_no":null,"what":{"is":["this",null]}}'
      assert.equal(0, peer:call("cards.packages", {}, { body = body }).json.code)
    end)

    it("refuses a body of more than a mebibyte", function()
      local body = '{"a":"' .. ("x"):rep(1048576) .. '"}'
      local answer = peer:call("cards.packages", {}, { body = body })
      assert.equal(413, answer.status)
    end)

    it("speaks Chinese where asked to", function()
      local zh = { Language = "zh_CN" }
      assert.equal("成功", peer:call("merchant.token", nil, { headers = zh }).json.msg)
      local answer = peer:call("cards.packages", { page = -1 }, { headers = zh })
      assert.equal("page 参数无效", answer.json.msg)
      for code in pairs(api.codes) do
        local text = require("keysecure.emulator.messages").text(code, nil, "zh_CN")
        assert.matches("[\128-\255]", text, "code " .. code)
      end
    end)

    it("answers an empty list with a list", function()
      local answer = peer:call("cards.packages", { page = 9 })
      assert.matches('"data":{"list":%[%]}', answer.body)
    end)
  end)

  describe("clock", function()
    it("moves Date, the check of Timestamp and expiry together", function()
      for _, offset in ipairs { 300, -300 } do
        peer:control("POST", "config", { clock_offset = offset })
        assert.equal(1005, peer:call("merchant.token").json.code)
        local shifted = string.format("%.0f", core.wall() + offset * 1000)
        local answer = peer:call("merchant.token", nil, { headers = { Timestamp = shifted } })
        assert.equal(0, answer.json.code)
        local ahead = answer.json.data.expired_time - core.wall() - 86400000
        assert.is_true(math.abs(ahead - offset * 1000) < 2000)
        local minute = os.date("!%H:%M", math.floor(core.wall() / 1000 + offset))
        local later = os.date("!%H:%M", math.floor(core.wall() / 1000 + offset) - 1)
        local date = answer.headers:get "date"
        assert.is_truthy(date:find(minute, 1, true) or date:find(later, 1, true))
      end
    end)

    it("takes a Timestamp of up to 60 s, none from the future, none of another form", function()
      local function code_at(text)
        return peer:call("merchant.token", nil, { headers = { Timestamp = text } }).json.code
      end
      local now = core.wall()
      assert.equal(0, code_at(string.format("%.0f", now - 59000)))
      assert.equal(1005, code_at(string.format("%.0f", now - 61000)))
      assert.equal(1005, code_at(string.format("%.0f", now + 2000)))
      for _, text in ipairs { "", "now", "1763880000", "-763880000000", "17638800000000" } do
        assert.equal(1005, code_at(text))
      end
      local stats = peer:control("GET", "stats")
      assert.equal(1, stats.future_timestamps)
      assert.is_true(stats.largest_timestamp_age >= 61000)
    end)
  end)

  describe("control", function()
    it("says that it is there", function()
      assert.is_true(peer:control("GET", "health").ok)
    end)

    it("shows its options and changes them while running, without the secrets", function()
      assert(peer:control("POST", "config", { kyc_delay = 1.5,
        merchants = { credit = { pci = false, ip_whitelist = { "127.0.0.1" } } } }))
      local config = peer:control("GET", "config")
      assert.equal(1.5, config.kyc_delay)
      assert.is_false(config.merchants.credit.pci)
      assert.same({ "127.0.0.1" }, config.merchants.credit.ip_whitelist)
      assert.is_true(config.merchants.authorization.pci)
      local raw = support.http(peer.address, "GET", "/_emulator/config").body
      assert.is_nil(raw:find("secret", 1, true))
      raw = support.http(peer.address, "POST", "/_emulator/config",
        { ["Content-Type"] = "application/json" }, '{"merchants":{"credit":{"ip_whitelist":null}}}')
      assert.equal(200, raw.status)
      assert.is_false(peer:control("GET", "config").merchants.credit.ip_whitelist)
    end)

    it("refuses what can't be, and then changes nothing", function()
      local wrong = {
        [{ kyc_delay = 1, colour = "red" }] = "no such option: colour",
        [{ kyc_delay = "soon" }] = "kyc_delay number expected",
        [{ kyc_delay = -1 }] = "kyc_delay must be at least 0",
        [{ port = 1 }] = "port is decided when the emulator starts",
        [{ callback_url = "ftp://x" }] = "callback_url has not the right form",
        [{ callback_delays = { 1, "x" } }] = "callback_delays must be a list of numbers",
        [{ merchants = { nobody = {} } }] = "no such merchant: nobody",
        [{ merchants = { credit = { key_state = "odd" } } }] = "key_state must be one of",
        [{ merchants = { credit = { api_key = "new" } } }] = "api_key is decided when",
        [{ merchants = { credit = { rate_limit = 0.5 } } }] = "rate_limit must be a whole number",
      }
      for changes, message in pairs(wrong) do
        local answer, err = peer:control("POST", "config", changes)
        assert.is_nil(answer)
        assert.matches(message, err, 1, true)
      end
      assert.equal(0, peer:control("GET", "config").kyc_delay)
    end)

    it("answers to this machine's own names only, and never to a page from elsewhere", function()
      local function status(headers)
        return support.http(peer.address, "GET", "/_emulator/stats", headers).status
      end
      assert.equal(200, status { [":authority"] = "localhost:1" })
      assert.equal(403, status { [":authority"] = "evil.example" })
      assert.equal(403, status { Origin = "https://evil.example" })
      assert.equal(200, status { Origin = "http://localhost:8787" })
    end)

    it("knows its endpoints and their methods", function()
      local function status(method, path, body, headers)
        return support.http(peer.address, method, "/_emulator/" .. path, headers, body).status
      end
      assert.equal(404, status("GET", "nothing"))
      assert.equal(404, status("GET", "card/unknown"))
      assert.equal(405, status("GET", "reset"))
      assert.equal(405, status("DELETE", "stats"))
      assert.equal(400, status("POST", "config", "{}"))
      assert.equal(400, status("POST", "config", "[", { ["Content-Type"] = "application/json" }))
      assert.equal(404, support.http(peer.address, "GET", api.base .. "/_emulator/stats").status)
    end)

    it("forgets everything at reset, and goes back to the options of the start", function()
      peer:card()
      peer:control("POST", "config", { kyc_delay = 9 })
      peer:control("POST", "faults", { operation = "*", code = 1001, times = "always" })
      peer:reset()
      local state = peer:control("GET", "state")
      assert.same({ cardholders = 0, cards = 0, transfers = 0, consumptions = 0 }, state.counts)
      assert.equal(0, peer:control("GET", "config").kyc_delay)
      assert.equal(0, peer:control("GET", "stats").total)
      assert.equal(0, peer:call("merchant.token").json.code)
    end)

    it("shows the rows but no card data", function()
      local card_no, holder = peer:card()
      peer:fund(holder, "5.00")
      local plastic = peer:plastic(card_no)
      local raw = support.http(peer.address, "GET", "/_emulator/state").body
      assert.is_nil(raw:find(plastic.pan, 1, true))
      assert.is_nil(raw:find("cvv", 1, true))
      local state = peer:control("GET", "state")
      assert.equal(card_no, state.cards[1].card_no)
      assert.equal("Activated", state.cards[1].status)
      assert.equal(holder, state.cardholders[1].cardholder_no)
      assert.equal("5.00", state.cardholders[1].balance)
      assert.equal("5.00", state.transfers[1].balance)
      assert.equal(1, state.counts.transfers)
    end)

    it("counts requests, tokens and codes", function()
      peer:call("merchant.token")
      peer:call("cards.packages")
      peer:call("cards.detail", { card_no = "C1" })
      local stats = peer:control("GET", "stats")
      assert.equal(2, stats.token_requests)
      assert.same({ ["merchant.token"] = 2, ["cards.packages"] = 1, ["cards.detail"] = 1 },
        stats.requests)
      assert.equal(4, stats.total)
      assert.same({ ["0"] = 3, ["4001"] = 1 }, stats.codes)
    end)
  end)

  describe("faults", function()
    local function fault(given)
      return assert(peer:control("POST", "faults", given))
    end

    it("answer a code instead of acting, so many times", function()
      fault { operation = "cardholders.apply", code = 1009, times = 2 }
      local values = { cardholder_unique_no = "once", sumsub_share_token = "s" }
      assert.equal(1009, peer:call("cardholders.apply", values).json.code)
      assert.equal(0, peer:call("cards.packages").json.code)
      assert.equal(1009, peer:call("cardholders.apply", values).json.code)
      assert.equal(0, peer:control("GET", "state").counts.cardholders)
      assert.equal(0, peer:call("cardholders.apply", values).json.code)
    end)

    it("answer a code after acting", function()
      fault { operation = "cardholders.apply", code = 1001, after = true }
      local values = { cardholder_unique_no = "once", sumsub_share_token = "s" }
      assert.equal(1001, peer:call("cardholders.apply", values).json.code)
      assert.equal(1, peer:control("GET", "state").counts.cardholders)
      assert.equal(2001, peer:call("cardholders.apply", values).json.code)
    end)

    it("answer an HTTP status, or late", function()
      fault { operation = "*", status = 503, times = 1 }
      assert.equal(503, peer:call("merchant.token").status)
      fault { operation = "merchant.token", delay = 0.15 }
      local started = core.monotonic()
      assert.equal(0, peer:call("merchant.token").json.code)
      assert.is_true(core.monotonic() - started >= 150)
    end)

    it("are listed, and cleared", function()
      fault { operation = "*", code = 1001, times = "always" }
      for _ = 1, 3 do
        assert.equal(1001, peer:call("merchant.token").json.code)
      end
      assert.equal("*", peer:control("GET", "faults").faults[1].operation)
      peer:control("DELETE", "faults")
      assert.equal(0, peer:call("merchant.token").json.code)
    end)

    it("are refused where they make no sense", function()
      local senseless = { {}, { code = 1001 }, { operation = "cards.apply" },
        { operation = "cards.fly", code = 1 }, { operation = "*", status = 42 },
        { operation = "*", code = 1001, times = 0 }, { operation = "*", code = 1, when = "now" } }
      for _, given in ipairs(senseless) do
        assert.is_nil((peer:control("POST", "faults", given)))
      end
      assert.same({}, peer:control("GET", "faults").faults)
    end)
  end)

  describe("over HTTPS", function()
    it("is trusted by its CA and by nothing else, under HTTP/1.1 and HTTP/2 #plain", function()
      local tls = support.start { tls = true }
      assert.matches("^https://127%.0%.0%.1:%d+$", tls.address)
      assert.matches("BEGIN CERTIFICATE", read_file(tls.emulator.ca_file))
      assert.is_true(tls:control("GET", "health").ok)
      local url = tls.address .. api.base .. "/merchant/token"
      local function curl(options)
        local pipe = io.popen("env -u LD_PRELOAD curl -s --max-time 20 -o /dev/null "
          .. "-w '%{http_version} %{http_code}' " .. options .. " " .. url, "r")
        local text = pipe:read("*a")
        pipe:close()
        return text
      end
      local ca = "--cacert " .. tls.emulator.ca_file
      assert.equal("2 200", curl(ca))
      assert.equal("1.1 200", curl(ca .. " --http1.1"))
      assert.equal("0 000", curl "")
      url = url:gsub("127%.0%.0%.1", "localhost")
      assert.equal("2 200", curl(ca))
      tls:stop()
      assert.is_false(exists(tls.emulator.ca_file))
    end)
  end)

  describe("process", function()
    it("raises for an option that there isn't, or that can't be", function()
      assert.error_matches(function() emulator.start { prot = 1 } end, "no such option: prot")
      assert.error_matches(function() emulator.start { port = "x" } end, "port number expected")
      assert.error_matches(function() emulator.start { lua = 5 } end, "lua: string expected")
    end)

    it("says why it can't start", function()
      local port = tonumber(peer.address:match ":(%d+)$")
      local handle, err = emulator.start { port = port }
      assert.is_nil(handle)
      assert.matches("cannot listen on 127.0.0.1 port " .. port, err, 1, true)
      handle, err = emulator.start { lua = "lua-that-is-not-there" }
      assert.is_nil(handle)
      assert.matches("no such interpreter", err)
      handle, err = emulator.start { log = "/nowhere/log" }
      assert.is_nil(handle)
      assert.matches("/nowhere/log", err, 1, true)
      handle, err = emulator.start { merchants = { credit = { api_secret = "short" } } }
      assert.is_nil(handle)
      assert.matches("merchants.credit.api_secret", err, 1, true)
      assert.is_nil(err:find("stack traceback", 1, true))
    end)

    it("says by name what is missing, and what is there but does not load", function()
      local needs = require "keysecure.emulator.needs"
      assert.has_error(function() needs "http.not_there" end,
        "the emulator needs lua-http: luarocks install http")
      assert.has_error(function() needs "cqueues.not_there" end,
        "the emulator needs cqueues: luarocks install cqueues")
      package.preload["openssl.broken"] = function() error("libssl is too old", 0) end
      assert.error_matches(function() needs "openssl.broken" end,
        "the emulator needs luaossl, which does not load: .*libssl is too old")
      package.preload["openssl.broken"] = nil
    end)

    it("takes merchants of one's own", function()
      local mine = support.start { merchants = { partner = { mode = "credit", api_key = "partner-1",
        api_secret = "0123456789abcdef" } } }
      assert.equal("partner-1", mine.emulator.merchants.partner.api_key)
      assert.equal(0, mine:call("cards.packages", {}, { merchant = "partner" }).json.code)
      mine:stop()
    end)

    it("stops once, however often it is told to", function()
      local short = support.start()
      short:stop()
      short:stop()
      assert.is_nil((short:control("GET", "health")))
    end)

    it("ends when its handle is collected", function()
      local address = assert(emulator.start()).address
      collectgarbage()
      collectgarbage()
      assert.is_false((pcall(support.http, address, "GET", "/_emulator/health")))
    end)

    it("ends with its parent, however that ends", function()
      local out = os.tmpname()
      local script = string.format([[%s -e 'local e = assert(require("keysecure.emulator").start())
        io.write(e.address) io.stdout:flush() os.execute("kill -9 $PPID")' >%s 2>/dev/null]],
        own_lua(), out)
      os.execute(script)
      local address = read_file(out)
      os.remove(out)
      assert.matches("^http://127", address)
      local ended
      for _ = 1, 40 do
        ended = not pcall(support.http, address, "GET", "/_emulator/health")
        if ended then
          break
        end
        pause(25)
      end
      assert.is_true(ended)
    end)
  end)

  describe("log", function()
    it("holds no secret, whatever is called", function()
      local path = os.tmpname()
      local noisy = support.start { log = path }
      local card_no, holder = noisy:card "Physical"
      local plastic = noisy:plastic(card_no)
      local secrets = { plastic.pan, plastic.cvv .. "'", card_no, holder, "PINPIN", "SHAREME",
        noisy.emulator.merchants.credit.api_secret, noisy.tokens.credit }
      noisy:ok("cards.activate", { cardholder_no = holder, card_no = card_no, cvv = plastic.cvv,
        card_last_no = plastic.card_last_no })
      noisy:ok("cards.set_pin", { cardholder_no = holder, card_no = card_no, pin = "862947" })
      noisy:call("cards.set_pin", { cardholder_no = holder, card_no = card_no, pin = "PINPIN" })
      noisy:call("cardholders.apply", { sumsub_share_token = "SHAREME" })
      noisy:ok("cards.private_info", { card_no = card_no })
      local client = noisy:ok("pci.client_token", { card_no = card_no }).client_access_token
      noisy:ok("pci.card_detail", { card_no = card_no, client_access_token = client })
      support.http(noisy.address, "GET", "/open-api/v1/card/" .. plastic.pan .. "/what")
      noisy:stop()
      local text = read_file(path)
      os.remove(path)
      assert.matches("POST cards.set_pin %-> 200 code 4016 %(pin", text)
      assert.matches("GET unknown path %-> 404", text)
      secrets[#secrets + 1] = client
      secrets[#secrets + 1] = "862947"
      for _, secret in ipairs(secrets) do
        assert.is_nil(text:find(secret, 1, true), secret)
      end
    end)
  end)

  describe("bin/keysecure", function()
    local function shell(command)
      local pipe = io.popen(command .. " 2>&1; echo \" status $?\"", "r")
      local text = pipe:read("*a")
      pipe:close()
      return text
    end

    it("says its version", function()
      assert.matches("^keysecure %d+%.%d+%.%d+.*status 0",
        shell(own_lua() .. " bin/keysecure --version"))
    end)
  end)
end)
