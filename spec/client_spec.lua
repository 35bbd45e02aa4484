-- The client as its user sees it: rows, waiting, misuse, modes, environments, transports, events.
-- All that needs a server is asked of an emulator over HTTP.
local api = require "keysecure.api"
local core = require "keysecure.core"
local keysecure = require "keysecure"
local support = require "spec.support.client"

local raised, refused = support.raised, support.refused

describe("the client", function()
  local world, ks

  setup(function()
    world = support.start()
    ks = world.ks
  end)
  teardown(function()
    world:stop()
  end)
  after_each(function()
    world:no_faults()
    world:configure { kyc_delay = 0, issue_delay = 0, merchants = { credit = { pci = true } } }
  end)

  describe("row of a cardholder", function()
    it("applies for cards", function()
      local holder = world:holder()
      local card = assert(holder:apply_card { package_no = "P-1", card_type = "Virtual",
        card_unique_no = world:unique "card" })
      assert.equal(holder.cardholder_no, card.cardholder_no)
      assert.equal("Activated", assert(card:refresh()).status)
      refused({ kind = "invalid", field = "card_type" },
        holder:apply_card { package_no = "P-1", card_unique_no = "x" })
    end)

    it("moves money and shows accounts", function()
      local holder = world:holder()
      local row = assert(holder:transfer { type = "In", balance = "5.00",
        transfer_unique_no = world:unique "transfer" })
      assert.equal("5.00", row.after_balance)
      assert.equal("5.00", assert(holder:accounts())[1].balance)
      assert.equal("5.00", assert(holder:refresh()).total_balance)
    end)

    it("walks over what is its own", function()
      local consume_no, card, holder = world:purchase "3.00"
      world:purchase()
      local window = support.window()
      local seen = {}
      for row in holder:cards(window) do
        seen[#seen + 1] = row.card_no
      end
      for row in holder:consumptions(window) do
        seen[#seen + 1] = row.consume_no
      end
      for row in holder:transfers(window) do
        seen[#seen + 1] = row.balance
      end
      assert.same({ card.card_no, consume_no, "100.00" }, seen)
    end)

    it("is made of a number alone, too", function()
      local holder = world:holder()
      local other = ks:cardholder(holder.cardholder_no)
      assert.equal("cardholder " .. holder.cardholder_no, tostring(other))
      assert.equal(other, other:refresh())
      assert.equal(holder.cardholder_unique_no, other.cardholder_unique_no)
      assert.equal("cardholder " .. holder.cardholder_no .. " (Approved)", tostring(other))
      refused({ code = 2002 }, ks:cardholder("U1"):refresh())
    end)
  end)

  describe("row of a card", function()
    it("freezes, unfreezes and deletes, and knows its status", function()
      local card = world:card()
      for _, step in ipairs { { "freeze", "Frozen" }, { "unfreeze", "Activated" },
        { "delete", "Delete" } } do
        assert.equal(card, card[step[1]](card))
        assert.equal(step[2], card.status)
        assert.equal(step[2], assert(ks.cards:detail { card_no = card.card_no }).status)
      end
      refused({ code = 4005, operation = "cards.update_status" }, card:freeze())
      assert.equal("Delete", card.status)
    end)

    it("activates and takes a PIN, asking for its holder where it must", function()
      local card = world:card "Physical"
      local plastic = world:plastic(card)
      local bare = ks:card(card.card_no)
      local counted = world:counted(function()
        assert.equal(bare, bare:activate { cvv = plastic.cvv,
          card_last_no = plastic.card_last_no })
      end)
      assert.equal(1, counted.of["cards.detail"])
      assert.equal("Activated", bare.status)
      counted = world:counted(function()
        assert.equal(bare, bare:set_pin "862947")
      end)
      assert.equal(1, counted.total)
      refused({ code = 4005, operation = "cards.activate" },
        card:activate { cvv = plastic.cvv, card_last_no = plastic.card_last_no })
      refused({ kind = "invalid", field = "pin" }, bare:set_pin "123456")
      refused({ code = 4001 }, ks:card("C1"):set_pin "862947")
    end)

    it("gives its private data and a token for the iframe, guarded", function()
      local card = world:card()
      local private, token = assert(card:private_info()), assert(card:client_token())
      assert.equal(world:plastic(card).cvv, private.cvv)
      for _, guarded in ipairs { private, token } do
        assert.is_nil(next(guarded))
        assert.matches("has no part 'pans'", raised(function()
          return guarded.pans
        end), 1, true)
        assert.has_error(function() guarded.pan = "x" end)
      end
      assert.equal(private.pan, assert(ks.pci:card_detail { card_no = card.card_no,
        client_access_token = token.client_access_token }).pan)
    end)

    it("walks over its consumptions, whose rows refresh", function()
      local consume_no, card = world:purchase "3.00"
      local count = 0
      for row in card:consumptions(support.window()) do
        count = count + 1
        assert.equal(consume_no, row.consume_no)
        assert.equal("Pending", row.status)
        assert(ks.simulate:consumption_clear { consume_no = consume_no })
        assert.equal(row, row:refresh())
        assert.equal("Success", row.status)
      end
      assert.equal(1, count)
    end)

    it("keeps what it has where a refresh fails", function()
      local card = world:card()
      world:fault("cards.detail", 4001)
      refused({ code = 4001 }, card:refresh())
      assert.equal("Activated", card.status)
    end)
  end)

  describe("waiting", function()
    local function apply(unique, share_token)
      return assert(ks.cardholders:apply { cardholder_unique_no = world:unique(unique),
        sumsub_share_token = share_token or "share" })
    end

    it("ends when the status is there, having asked at growing pauses #timing", function()
      world:configure { kyc_delay = 0.35 }
      local holder = apply "holder"
      local started = core.now()
      local counted = world:counted(function()
        assert.equal(holder, holder:wait "Approved")
      end)
      local passed = core.now() - started
      assert.equal("Approved", holder.status)
      assert.is_true(passed >= 690 and passed < 2500, passed)
      -- At 0, 0.2, 0.5, 0.95 s.
      assert.is_true(counted.total >= 3 and counted.total <= 4, counted.total)
    end)

    it("asks once where the status is there already", function()
      local holder = world:holder()
      assert.equal(1, world:counted(function()
        assert(holder:wait "Approved")
      end).total)
    end)

    it("fails at once on a final status, and tells why", function()
      local holder = apply("holder", "reject-1")
      local err = refused({ kind = "api", name = "final_status", field = "status",
        operation = "cardholders.info", outcome = "refused" }, holder:wait "Approved")
      assert.equal("is Rejected and will not become Approved: identity document could not be "
        .. "verified", err.message)
      local card = assert(world:holder():apply_card { package_no = "P-1", card_type = "Virtual",
        card_unique_no = world:unique "fail" })
      err = refused({ name = "final_status", operation = "cards.detail" }, card:wait "Activated")
      assert.matches("is Fail and will not become Activated", err.message, 1, true)
      assert.equal(card, card:wait "Fail")
      card = world:card()
      assert(card:delete())
      refused({ name = "final_status" }, card:wait "Frozen")
    end)

    it("for Activated ends at ToActivate: only an act of the holder leads on", function()
      local card = world:card "Physical"
      local err
      assert.equal(1, world:counted(function()
        err = refused({ name = "final_status" }, card:wait "Activated")
      end).total)
      assert.matches("is ToActivate and will not become Activated: card:activate it",
        err.message, 1, true)
      assert.equal(card, card:wait "ToActivate")
      local plastic = world:plastic(card)
      assert(card:activate { cvv = plastic.cvv, card_last_no = plastic.card_last_no })
      assert.equal(card, card:wait "Activated")
    end)

    it("goes on at ToActivate where this program has just activated the card", function()
      local card = world:card "Physical"
      card.status = "Activated" -- as `activate` leaves it, with a platform that takes its time
      local err = refused({ kind = "timeout" }, card:wait("Activated", { timeout = 1.5 }))
      assert.matches("is still ToActivate, not Activated", err.message, 1, true)
    end)

    it("ends at its time-out, with what it waits for untouched #timing", function()
      world:configure { kyc_delay = 60 }
      local holder = apply "holder"
      local started = core.now()
      local err = refused({ kind = "timeout", outcome = "refused",
        operation = "cardholders.info" }, holder:wait("Approved", { timeout = 0.5 }))
      assert.is_true(core.now() - started < 1500)
      assert.matches("is still Pending, not Approved, after 0.5 s", err.message, 1, true)
    end)

    it("looks for the reason of a rejection in the time that is left", function()
      local limits = {}
      local function answering(data)
        return { status = 200, headers = {}, body = '{"code":0,"data":' .. data .. "}" }
      end
      local slow = world:client { transport = { perform = function(_, request)
        local name = request.url:match "[^/]+$"
        limits[name] = request.timeout
        if name == "token" then
          return answering '{"access_token":"token-1","expired_time":1900000000000}'
        elseif name == "list" then
          return answering '{"list":[{"cardholder_no":"U1","fail_reason":"blurred"}]}'
        end
        core.sleep(300)
        return answering '{"cardholder_no":"U1","status":"Rejected","time":1790000000000}'
      end } }
      local err = refused({ name = "final_status" },
        slow:cardholder("U1"):wait("Approved", { timeout = 10 }))
      assert.matches("blurred", err.message, 1, true)
      assert.is_true(limits.list <= limits.info - 0.3, limits.list)
    end)

    it("ends with the call that fails", function()
      local card = world:card()
      world:fault("cards.detail", 4001)
      refused({ code = 4001 }, card:wait "Activated")
    end)

    it("knows the statuses and its options", function()
      local card, holder = ks:card "C1", ks:cardholder "U1"
      assert.matches("no card status 'Active'", raised(card.wait, card, "Active"), 1, true)
      assert.matches("did you mean 'Activated'", raised(card.wait, card, "Activate"), 1, true)
      assert.matches("no cardholder status 'Activated'", raised(holder.wait, holder, "Activated"),
        1, true)
      assert.matches("did you mean 'timeout'",
        raised(card.wait, card, "Frozen", { time_out = 1 }), 1, true)
      refused({ kind = "invalid", field = "timeout", outcome = "not_sent" },
        card:wait("Frozen", { timeout = 0 }))
    end)
  end)

  describe("misuse", function()
    it("is told where it happened, with the name that was meant", function()
      local CASES = {
        { "a client has no 'crads'; did you mean 'cards'?", function() return ks.crads end },
        { "a client has no 'paralel'; did you mean 'parallel'?",
          function() return ks.paralel end },
        { "ks.cards has no 'aply'; did you mean 'apply'?", function() return ks.cards.aply end },
        { "ks.accounts has no 'wire'", function() return ks.accounts.wire end },
        { "no operation 'cards.aply'; did you mean 'cards.apply'?",
          function() ks:call "cards.aply" end },
        { "no list operation 'cards.detail'", function() ks:each "cards.detail" end },
        { "cards.detail takes no field 'card_nr'; did you mean 'card_no'?",
          function() local _ = ks.cards:detail { card_nr = "C1" } end },
        { "a call takes no option 'timezon'; did you mean 'timezone'?",
          function() local _ = ks.cards:packages({}, { timezon = "UTC" }) end },
        { "call option timeout: number expected, got string",
          function() local _ = ks.cards:packages({}, { timeout = "3" }) end },
        { "a table of call options expected, got number",
          function() local _ = ks.cards:packages({}, 3) end },
        { "no option 'apikey'; did you mean 'api_key'?",
          function() local _ = keysecure.new { apikey = "x" } end },
        { "card: a number as text expected, got nil", function() ks:card() end },
        { "a table of fields expected, got string", function()
          local _ = ks:cardholder("U1"):apply_card "P-1"
        end },
        { "cards.list: a walk begins at the first page", function()
          local fields = support.window()
          fields.page = 1
          ks.cards:each(fields)
        end },
        { "simulate.auth: Cannot serialise function", function()
          local _ = ks.simulate:auth { card_no = "C1", amount = "1.00", x = print }
        end },
      }
      for _, case in ipairs(CASES) do
        local message = raised(case[2])
        assert.matches(case[1], message, 1, true)
        assert.matches("^.*spec/client_spec.lua:%d+: ", message)
      end
    end)

    it("of a dot for a colon is told with the right way", function()
      local card, holder = ks:card "C1", ks:cardholder "U1"
      local CASES = {
        { "use ks.cards:apply{…}, with a colon", ks.cards.apply, { card_no = "C1" } },
        { "use ks.cards:each{…}, with a colon", ks.cards.each, {} },
        { "use ks:call(…), with a colon", ks.call, "cards.detail" },
        { "use ks:each(…), with a colon", ks.each, "cards.list" },
        { "use ks:parallel(…), with a colon", ks.parallel, 4 },
        { "use ks:sleep(…), with a colon", ks.sleep, 1 },
        { "use ks:card(…), with a colon", ks.card, "C1" },
        { "use ks:cardholder(…), with a colon", ks.cardholder, "U1" },
        { "use ks:close(), with a colon", ks.close },
        { "use card:wait(…), with a colon", card.wait, "Activated" },
        { "use card:freeze(…), with a colon", card.freeze },
        { "use card:private_info(…), with a colon", card.private_info },
        { "use holder:apply_card(…), with a colon", holder.apply_card, { card_type = "x" } },
        { "use holder:cards(…), with a colon", holder.cards, {} },
      }
      assert.equal(0, world:counted(function()
        for _, case in ipairs(CASES) do
          assert.matches(case[1], raised(case[2], case[3]), 1, true)
        end
      end).total)
      -- A group's method of another group is no way around it.
      assert.matches("with a colon", raised(ks.cards.list, ks.cardholders, {}), 1, true)
    end)
  end)

  describe("mode", function()
    it("lets what the other mode has be refused here", function()
      for _, name in ipairs(api.names) do
        local operation = api.operations[name]
        local other = operation.mode == "credit" and world.authorization
          or operation.mode == "authorization" and ks
        if other then
          assert.equal(0, world:counted(function()
            local err = refused({ kind = "invalid", outcome = "not_sent", operation = name },
              other:call(name, support.least(operation)))
            assert.matches("exists in " .. operation.mode .. " mode only", err.message, 1, true)
          end).total)
        end
      end
    end)

    it("that the client doesn't know is told by the platform, with 1012", function()
      local CLIENTS = {
        credit = world:client { mode = false, merchant = "authorization" },
        authorization = world:client { mode = false, merchant = "credit" },
      }
      for _, name in ipairs(api.names) do
        local operation = api.operations[name]
        if CLIENTS[operation.mode] then
          refused({ code = 1012, operation = name },
            CLIENTS[operation.mode]:call(name, support.least(operation)))
        end
      end
    end)
  end)

  describe("production", function()
    it("has no simulations, whichever way it was named", function()
      local sent = 0
      local transport = { perform = function()
        sent = sent + 1
        return nil, { reason = "connect", reached = "nothing", message = "no" }
      end }
      for _, changes in ipairs { { environment = "production", address = false },
        { address = api.environments.production.address },
        { environment = "production" } } do
        changes.transport = transport
        local production = world:client(changes)
        for _, name in ipairs(api.names) do
          if api.operations[name].mode == "sandbox" then
            local err = refused({ kind = "invalid", outcome = "not_sent", operation = name },
              production:call(name, support.least(api.operations[name])))
            assert.matches("outside production", err.message, 1, true)
          end
        end
      end
      assert.equal(0, sent)
    end)
  end)

  describe("from the environment", function()
    local getenv = os.getenv
    after_each(function()
      os.getenv = getenv -- luacheck: ignore 122
    end)

    local function with_env(values)
      os.getenv = function(name) -- luacheck: ignore 122
        return values[name]
      end
    end

    it("works with what it says, and with what is given beside it", function()
      with_env { KEYSECURE_ADDRESS = world.address, KEYSECURE_MODE = "credit",
        KEYSECURE_API_KEY = world.merchants.credit.api_key,
        KEYSECURE_API_SECRET = world.merchants.credit.api_secret }
      local from = assert(keysecure.from_env())
      assert.equal(3, #assert(from.cards:packages()))
      from:close()
      from = assert(keysecure.from_env { mode = "authorization",
        api_key = world.merchants.authorization.api_key,
        api_secret = world.merchants.authorization.api_secret })
      assert.equal(2, #assert(from.cards:bins()))
      from:close()
    end)

    it("says what is missing", function()
      with_env {}
      refused({ kind = "invalid", field = "environment" }, keysecure.from_env())
      with_env { KEYSECURE_ENVIRONMENT = "sandbox", KEYSECURE_API_KEY = "k" }
      refused({ kind = "invalid", field = "api_secret" }, keysecure.from_env())
      with_env { KEYSECURE_ENVIRONMENT = "sandbox", KEYSECURE_API_KEY = "k",
        KEYSECURE_API_SECRET = "short" }
      refused({ kind = "invalid", field = "api_secret" }, keysecure.from_env())
      with_env { KEYSECURE_ENVIRONMENT = "emulator" }
      assert(keysecure.from_env()):close()
    end)
  end)

  describe("among others", function()
    it("has a token of its own, and lives when another is closed", function()
      local first, second = world:client(), world:client()
      assert.equal(2, world:counted(function()
        assert(first.cards:packages())
        assert(second.cards:packages())
        assert(first.cards:packages())
      end).token_requests)
      first:close()
      assert(second.cards:packages())
      local _, failures = second:parallel(2, { 1, 2 }, function()
        return world.authorization.cards:bins() -- blocks, but works
      end)
      assert.is_nil(failures)
    end)

    it("tells calls after its close as cancelled, and may be closed twice", function()
      local client = world:client()
      assert(client.cards:packages())
      client:close()
      client:close()
      refused({ kind = "cancelled", outcome = "not_sent", operation = "cards.packages" },
        client.cards:packages())
      refused({ kind = "cancelled", outcome = "not_sent" },
        client.cards:update_status { card_no = "C1", status = "Frozen" })
    end)

    it("ends what is in flight when it is closed #timing", function()
      local client = world:client()
      assert(client.cards:packages())
      world:control("POST", "faults",
        { operation = "cards.update_status", delay = 5, times = "always" })
      local started = core.now()
      local _, failures = client:parallel(3, { 1, 2, 3 }, function(i)
        if i == 3 then
          client:sleep(0.1)
          client:close()
          return true
        end
        return client.cards:update_status { card_no = "C1", status = "Frozen" }
      end)
      assert.is_true(core.now() - started < 2000)
      assert.is_nil(failures[3])
      for i = 1, 2 do
        refused({ kind = "cancelled", outcome = "unknown" }, nil, failures[i])
      end
    end)
  end)

  describe("time-out", function()
    it("of the call or the client is for the whole call #timing", function()
      world:control("POST", "faults", { operation = "*", delay = 3, times = "always" })
      for _, case in ipairs {
        { ks, { timeout = 0.2 } }, { world:client { timeout = 0.2 }, nil, "not_sent" },
      } do
        local started = core.now()
        refused({ kind = "timeout", outcome = case[3] or "unknown" },
          case[1].cards:update_status({ card_no = "C1", status = "Frozen" }, case[2]))
        refused({ kind = "timeout" }, case[1].cards:packages({}, case[2]))
        assert.is_true(core.now() - started < 1500)
      end
      for _, timeout in ipairs { 0, -1, 0 / 0, math.huge } do
        refused({ kind = "invalid", field = "timeout", operation = "cards.packages" },
          ks.cards:packages({}, { timeout = timeout }))
      end
    end)
  end)
end)
