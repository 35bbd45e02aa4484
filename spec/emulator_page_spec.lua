-- What stands behind the page: its files, the view and the calls that its buttons make. What it
-- looks like is in page_spec.lua.
local api = require "keysecure.api"
local cqueues = require "cqueues"
local json = require "keysecure.emulator.json"
local support = require "spec.support.emulator"

local PATHS = { "/", "/_emulator/page.css", "/_emulator/page.js", "/_emulator/view" }

describe("the emulator's page", function()
  local peer

  setup(function() peer = support.start() end)
  teardown(function() peer:stop() end)
  before_each(function() peer:reset() end)

  local function get(path, headers)
    return support.http(peer.address, "GET", path, headers)
  end

  local function view()
    local answer = get "/_emulator/view"
    assert.equal(200, answer.status)
    return answer.json, answer.body
  end

  local function post(path, body, headers)
    local all = { ["Content-Type"] = "application/json" }
    for name, value in pairs(headers or {}) do
      all[name] = value
    end
    return support.http(peer.address, "POST", path, all, body)
  end

  local function act(operation, fields, merchant)
    return post("/_emulator/act", json.encode { operation = operation, fields = fields,
      merchant = merchant or "credit" }).json
  end

  local function ok(...)
    local answer = act(...)
    assert.equal(0, answer.code, answer.msg)
    return answer.data
  end

  -- A card of a holder with money, through the page's own calls.
  local function card_in_use(merchant)
    local credit = merchant ~= "authorization"
    local holder = ok("cardholders.apply", { cardholder_unique_no = peer:unique "U",
      sumsub_share_token = "share-token-of-somebody" }, merchant).cardholder_no
    local card = ok("cards.apply", { cardholder_no = holder, card_unique_no = peer:unique "C",
      card_type = "Virtual", package_no = credit and "P-1" or nil,
      card_bin_no = not credit and "B-1" or nil }, merchant).card_no
    if credit then
      ok("accounts.transfer", { cardholder_no = holder, type = "In", balance = "100.00",
        transfer_unique_no = peer:unique "T" })
    end
    return card, holder
  end

  describe("files", function()
    it("are served with what they are, and a policy that lets nothing else in", function()
      local types = { ["/"] = "text/html", ["/_emulator/page.css"] = "text/css",
        ["/_emulator/page.js"] = "text/javascript", ["/_emulator/view"] = "application/json" }
      for _, path in ipairs(PATHS) do
        local answer = get(path)
        assert.equal(200, answer.status, path)
        assert.matches("^" .. types[path], answer.headers:get "content-type")
        local policy = answer.headers:get "content-security-policy"
        assert.matches("^default%-src 'none'; ", policy)
        assert.matches("require%-trusted%-types%-for 'script'", policy)
        assert.is_nil(policy:find "unsafe")
        assert.is_nil(policy:find "%*")
        assert.equal("nosniff", answer.headers:get "x-content-type-options")
        assert.equal("no-store", answer.headers:get "cache-control")
      end
    end)

    it("name no other host and hold nothing inline", function()
      local markup = get("/").body
      for link in markup:gmatch '[hrefsc]+="(.-)"' do
        assert.is_nil(link:find "//", link)
      end
      assert.is_nil(markup:find "<style")
      assert.is_nil(markup:find " style=")
      assert.is_nil(markup:find " on%a+=")
      assert.matches("<script src=\"/_emulator/page.js\" defer></script>", markup)
      assert.is_nil(get("/_emulator/page.css").body:find "url%(")
      assert.is_nil(get("/_emulator/page.css").body:find "@import")
    end)

    it("make no markup out of text", function()
      local script = get("/_emulator/page.js").body
      for _, name in ipairs { "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write",
        "eval(", "new Function", "srcdoc", "createContextualFragment", "setHTML" } do
        assert.is_nil(script:find(name, 1, true), name)
      end
    end)
  end)

  it("is for callers that address this machine by a loopback name", function()
    for _, path in ipairs(PATHS) do
      for _, host in ipairs { "evil.example", "evil.example:8787", "127.0.0.1.evil.example",
        "10.0.0.1" } do
        assert.equal(403, get(path, { [":authority"] = host }).status, path .. " " .. host)
      end
      assert.equal(403, get(path, { origin = "https://evil.example" }).status)
      assert.equal(403, get(path, { origin = "null" }).status)
      assert.equal(200, get(path, { [":authority"] = "localhost:1" }).status)
    end
    local body = '{"operation":"cardholders.apply","merchant":"credit","fields":'
      .. '{"cardholder_unique_no":"U-x","sumsub_share_token":"x"}}'
    assert.equal(403, post("/_emulator/act", body, { origin = "https://evil.example" }).status)
    assert.equal(403, post("/_emulator/act", body, { [":authority"] = "evil.example" }).status)
    assert.equal(400, post("/_emulator/act", body, { ["Content-Type"] = "text/plain" }).status)
    assert.equal(0, #view().cardholders)
    assert.equal(200, post("/_emulator/act", body).status)
  end)

  it("answers other methods with 405, and stays off the merchant's paths", function()
    assert.equal(405, post("/", "{}").status)
    assert.equal(405, post("/_emulator/view", "{}").status)
    assert.equal(405, get("/_emulator/act").status)
    assert.equal(404, get("/open-api/v1/").status)
    assert.equal(404, get("/index.html").status)
  end)

  describe("the view", function()
    it("shows people, cards and purchases, and no PAN, CVV, PIN, token or secret", function()
      local card, holder = card_in_use()
      ok("simulate.auth", { card_no = card, amount = "12.50" })
      local physical = ok("cards.apply", { cardholder_no = holder, card_unique_no = "C-physical",
        card_type = "Physical", package_no = "P-2", address_info = { first_name = "Ada",
        last_name = "L", phone_code = "44", phone = "2071234567", postal_code = "SW1Y 4JH",
        country = "GB", state = "London", city = "London", address_line1 = "1 Square" } }).card_no
      ok("cards.activate", { card_no = physical, cardholder_no = holder })
      ok("cards.set_pin", { card_no = physical, cardholder_no = holder, pin = "135790" })
      local shown, text = view()
      assert.equal(holder, shown.cardholders[1].cardholder_no)
      assert.equal("100.00", shown.cardholders[1].balance)
      assert.equal("12.50", shown.cardholders[1].held)
      assert.equal("Activated", shown.cards[1].status)
      assert.equal(card, shown.purchases[1].card_no)
      assert.equal("credit", shown.purchases[1].merchant)
      local secrets = { "135790", "share-token-of-somebody" }
      for _, number in ipairs { card, physical } do
        local plastic = peer:plastic(number)
        assert.equal(plastic.card_last_no, plastic.pan:sub(-4))
        secrets[#secrets + 1] = plastic.pan
        secrets[#secrets + 1] = plastic.pan:sub(1, -5)
        secrets[#secrets + 1] = '"' .. plastic.cvv .. '"'
      end
      for _, merchant in pairs(peer.emulator.merchants) do
        secrets[#secrets + 1] = merchant.api_secret
      end
      for _, secret in ipairs(secrets) do
        assert.is_nil(text:find(secret, 1, true), secret)
      end
      assert.is_nil(text:find '"cvv"')
      assert.is_nil(text:find '"pan"')
    end)

    local function labels(purchase)
      local result = {}
      for i, step in ipairs(purchase.steps) do
        result[i] = step.label .. " " .. step.amount
      end
      return table.concat(result, ", ")
    end

    it("tells a purchase as its steps, with the digits that were told", function()
      local card = card_in_use()
      local first = ok("simulate.auth", { card_no = card, amount = "12.50" }).consume_no
      ok("simulate.consumption_clear", { consume_no = first })
      ok("simulate.refund", { consume_no = first, amount = "2.10" })
      local second = ok("simulate.auth", { card_no = card, amount = "7.00" }).consume_no
      ok("simulate.consumption_fail", { consume_no = second })
      local third = ok("simulate.auth", { card_no = card, amount = "8.00" }).consume_no
      ok("simulate.reversal", { consume_no = third, amount = "3.00" })
      assert.equal("declined", ok("simulate.auth", { card_no = card, amount = "999.00" }).decision)
      local shown = view().purchases
      assert.equal(4, #shown)
      assert.equal("Declined 999.00", labels(shown[1]))
      assert.equal("insufficient balance", shown[1].steps[1].remark)
      assert.equal("Authorized 8.00, Reversed 3.00", labels(shown[2]))
      assert.equal("Authorized 7.00, Failed 7.00", labels(shown[3]))
      assert.equal("Authorized 12.50, Cleared 12.50, Refunded 2.10", labels(shown[4]))
    end)

    it("shows the merchant's decision with its callback, and no more than the latest", function()
      support.run(function()
        local receiver = support.receiver()
        assert(peer:control("POST", "config", { callback_url = receiver.url }))
        local card = card_in_use "authorization"
        assert.equal("approved", ok("simulate.auth", { card_no = card, amount = "1.00" },
          "authorization").decision)
        local shown = support.wait(function()
          local now = view()
          return now.callbacks[1].verdict == "delivered" and now
        end)
        assert.equal("Merchant asked 1.00, Authorized 1.00", labels(shown.purchases[1]))
        assert.equal("delivered", shown.purchases[1].steps[1].verdict)
        local attempt = shown.callbacks[1].attempts[1]
        assert.is_true(attempt.latency_ms >= 0)
        assert.equal('{"code":0,"message":""}', attempt.reply)
        for _ = 1, 62 do
          ok("cardholders.apply", { cardholder_unique_no = peer:unique "U",
            sumsub_share_token = "x" })
        end
        assert.equal(60, #view().cardholders)
      end)
    end)

    it("comes when something changes, without being asked again", function()
      support.run(function()
        peer:holder()
        local version, answer = view().version, nil
        support.together(function()
          answer = get("/_emulator/view?since=" .. version)
        end, function()
          cqueues.sleep(0.1)
          assert.is_nil(answer)
          peer:holder()
        end)
        assert.equal(2, #answer.json.cardholders)
        assert.not_equal(version, answer.json.version)
      end)
    end)

    it("comes when a row moves on by itself", function()
      assert(peer:control("POST", "config", { kyc_delay = 0.05 }))
      support.run(function()
        local seen = {}
        peer:holder()
        local shown = view()
        while shown.cardholders[1].status ~= "Approved" do
          seen[shown.cardholders[1].status] = true
          shown = get("/_emulator/view?since=" .. shown.version).json
        end
        assert.is_true(seen.Pending or seen.In_progress)
      end)
    end)

    it("is left out of the log and of the counts", function()
      local before = peer:control("GET", "stats").total
      view()
      assert.equal(before, peer:control("GET", "stats").total)
    end)
  end)

  describe("its buttons", function()
    it("act for a merchant without keys, by the same rules", function()
      local card = card_in_use()
      assert.is_true(ok("cards.update_status", { card_no = card, status = "Frozen" }).result)
      assert.equal("Frozen", view().cards[1].status)
      assert.equal(4005, act("cards.update_status", { card_no = card, status = "Frozen" }).code)
      assert.equal(1012, act("cards.bins", {}).code)
      assert.equal(0, act("cards.bins", {}, "authorization").code)
      assert.equal(4001, act("cards.detail", { card_no = card }, "authorization").code)
      assert.equal("Frozen", ok("cards.detail", { card_no = card }).status)
      assert.equal(1004, act("cards.apply", {}).code)
    end)

    it("do every operation of the platform, in both modes", function()
      local used = {}
      local function done(operation, fields, merchant)
        used[operation] = true
        return ok(operation, fields, merchant)
      end
      local days = { start_time = os.date("!%Y-%m-%d", os.time() - 2 * 86400),
        end_time = os.date("!%Y-%m-%d", os.time() + 2 * 86400) }
      assert.is_string(done("merchant.token", {}).access_token)
      local holder = done("cardholders.apply", { cardholder_unique_no = "U-every",
        sumsub_share_token = "x" }).cardholder_no
      local one = { cardholder_no = holder }
      assert.equal(holder, done("cardholders.list", days).list[1].cardholder_no)
      assert.equal("Approved", done("cardholders.info", one).status)
      assert.equal("P-1", done("cards.packages", {}).list[1].package_no)
      assert.equal("B-1", done("cards.bins", {}, "authorization").list[1].card_bin_no)
      local card = done("cards.apply", { cardholder_no = holder, card_unique_no = "C-every",
        card_type = "Physical", package_no = "P-2",
        address_info = require("spec.support.client").address_info }).card_no
      local its = { card_no = card, cardholder_no = holder }
      assert.equal("ToActivate", done("cards.detail", { card_no = card }).status)
      done("cards.activate", its)
      done("cards.set_pin", { card_no = card, cardholder_no = holder, pin = "135790" })
      assert.equal(card, done("cards.list", days).list[1].card_no)
      assert.is_string(done("cards.private_info", { card_no = card }))
      local token = done("pci.client_token", { card_no = card }).client_access_token
      assert.equal(card, done("pci.card_detail", { card_no = card,
        client_access_token = token }).card_no)
      done("accounts.transfer", { cardholder_no = holder, type = "In", balance = "50.00",
        transfer_unique_no = "T-every" })
      assert.equal("50.00", done("accounts.info", one).list[1].balance)
      assert.equal(1, #done("accounts.transfers", days).list)
      local function buy()
        return done("simulate.auth", { card_no = card, amount = "5.00" }).consume_no
      end
      local cleared = buy()
      done("simulate.consumption_clear", { consume_no = cleared })
      done("simulate.refund", { consume_no = cleared })
      done("simulate.consumption_fail", { consume_no = buy() })
      done("simulate.reversal", { consume_no = buy() })
      assert.equal("Success", done("consumptions.info", { consume_no = cleared }).status)
      assert.equal(5, #done("consumptions.list", days).list)
      done("cards.update_status", { card_no = card, status = "Frozen" })
      for _, name in ipairs(api.names) do
        assert(used[name], name .. " was not tried")
      end
    end)

    it("meet the faults that were ordered", function()
      assert(peer:control("POST", "faults", { operation = "cards.packages", code = 1009 }))
      assert.equal(1009, act("cards.packages", {}).code)
      assert.equal(0, act("cards.packages", {}).code)
    end)

    it("refuse what is no call", function()
      for _, body in ipairs { "", "[]", "{}",
        '{"operation":"none","merchant":"credit","fields":{}}',
        '{"operation":"cards.list","merchant":"none","fields":{}}',
        '{"operation":"cards.list","merchant":"credit","fields":1}' } do
        assert.equal(400, post("/_emulator/act", body).status, body)
      end
    end)
  end)
end)
