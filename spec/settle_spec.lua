-- Writes whose answer was lost, over real HTTP against an emulator: what the caller is told is what
-- the emulator holds, and it never holds two.
local cjson = require "cjson"
local core = require "keysecure.core"
local keysecure = require "keysecure"
local lossy = require "spec.support.lossy"
local support = require "spec.support.client"

local refused = support.refused

local TRANSFER, TRANSFERS = "/account/transfer", "/account/transfer/list"
local APPLY = "/card/apply"

-- When a lost request is dead: the platform's 60 s, and what we add to that.
local DEAD_AFTER = 90

describe("a write whose answer was lost", function()
  local world, holder

  setup(function()
    world = support.start()
    holder = world:holder()
  end)
  teardown(function()
    world:stop()
  end)
  before_each(function()
    core.shared_budget():earn(100)
  end)
  after_each(function()
    world:no_faults()
    world:configure { clock_offset = 0 }
  end)

  -- A client whose requests meet `rule`.
  local function client(rule, changes)
    local options = world:options(changes)
    options.transport = lossy.new(options, rule)
    local ks = assert(keysecure.new(options))
    world.clients[#world.clients + 1] = ks
    return ks, options.transport
  end

  -- A rule for the first request to a path: "answer" or "request".
  local function first(path, fate, also)
    return function(request, number, self)
      if request.url:sub(-#path) == path then
        if also then
          also(number, self)
        end
        return number == 1 and fate or nil
      end
    end
  end

  local function transfer(number, changes)
    local fields = { cardholder_no = holder.cardholder_no, type = "In", balance = "5.00",
      transfer_unique_no = number }
    for name, value in pairs(changes or {}) do
      fields[name] = value
    end
    return fields
  end

  local function rows(name, field, number)
    local found = {}
    for _, row in ipairs(world:control("GET", "state")[name]) do
      if row[field] == number then
        found[#found + 1] = row
      end
    end
    return found
  end

  local function transfers(number)
    return rows("transfers", "transfer_unique_no", number)
  end

  local function code_of(body)
    return cjson.decode(body).code
  end

  local function later()
    world:configure { clock_offset = DEAD_AFTER }
  end

  describe("is found", function()
    local function check(ks, value, settled)
      local told = keysecure.how(value)
      assert.equal(settled or "found", told.settled)
      assert.equal(1, told.attempts)
      assert.equal(1, told.lookups)
      assert.equal(1, ks:stats().settled[settled or "found"])
    end

    it("as the transfer that it was", function()
      local ks = client(first(TRANSFER, "answer"))
      local number = world:unique "T"
      local row = assert(ks.accounts:transfer(transfer(number, { type = "in", balance = "5" })))
      check(ks, row)
      local truth = transfers(number)
      assert.equal(1, #truth)
      assert.equal(truth[1].transfer_no, row.transfer_no)
      assert.same({ "In", "5.00", "Success" }, { row.type, row.balance, row.status })
    end)

    it("as the card that it was, with methods", function()
      local ks = client(first(APPLY, "answer"))
      local number = world:unique "C"
      local card = assert(ks.cards:apply { cardholder_no = holder.cardholder_no,
        package_no = "P-1", card_type = "Virtual", card_unique_no = number })
      check(ks, card)
      local truth = rows("cards", "card_unique_no", number)
      assert.equal(1, #truth)
      assert.equal(truth[1].card_no, card.card_no)
      assert.equal("P-1", card.package_no)
      assert.equal("Activated", assert(card:refresh()).status)
    end)

    it("as the card of a BIN that it was", function()
      local other = world:holder(world.authorization)
      local ks = client(first(APPLY, "answer"), { mode = "authorization" })
      local card = assert(ks.cards:apply { cardholder_no = other.cardholder_no,
        card_bin_no = "B-1", card_type = "Physical", card_unique_no = world:unique "C",
        address_info = support.address_info })
      check(ks, card)
      assert.equal("ToActivate", card.status)
    end)

    it("as the cardholder that it was", function()
      local ks = client(first("/cardholder/apply", "answer"))
      local number = world:unique "U"
      local row = assert(ks.cardholders:apply { cardholder_unique_no = number,
        sumsub_share_token = "share-secret" })
      check(ks, row)
      assert.equal(1, #rows("cardholders", "cardholder_unique_no", number))
      assert.is_nil(row.sumsub_share_token)
      assert.equal("Approved", row.status)
    end)

    it("as a cardholder's second application", function()
      local ks = client(first("/cardholder/apply", "answer"))
      local number = world:unique "U"
      local rejected = assert(world.ks.cardholders:apply { cardholder_unique_no = number,
        sumsub_share_token = "reject" })
      assert.equal("Rejected", assert(rejected:refresh()).status)
      local row = assert(ks.cardholders:apply { cardholder_no = rejected.cardholder_no,
        cardholder_unique_no = number, sumsub_share_token = "share" })
      check(ks, row)
      assert.equal("Approved", row.status)
    end)

    it("as the activation that it was", function()
      local card = world:card "Physical"
      local plastic = world:plastic(card)
      local ks = client(first("/card/active", "answer"))
      local mine = ks:card(card.card_no)
      assert.equal(mine, mine:activate { cvv = plastic.cvv, card_last_no = plastic.card_last_no })
      assert.equal("Activated", mine.status)
      assert.equal(1, ks:stats().settled.found)
    end)

    it("as the change of status that it was", function()
      local card = world:card()
      local ks = client(first("/card/status/update", "answer"))
      assert.is_true(assert(ks.cards:update_status { card_no = card.card_no, status = "Frozen" }))
      assert.equal("Frozen", assert(card:refresh()).status)
      assert.equal(1, ks:stats().settled.found)
      assert.equal(1, ks:stats().lookups)
    end)

    it("after a system error that came too late", function()
      world:control("POST", "faults", { operation = "accounts.transfer", code = 1001,
        after = true })
      local ks = client(function() end)
      local number = world:unique "T"
      check(ks, assert(ks.accounts:transfer(transfer(number))))
      assert.equal(1, #transfers(number))
    end)

    it("behind an answer that nobody can read", function()
      for _, fault in ipairs { { status = 502, code = 1001 }, { code = 0 } } do
        fault.operation, fault.after = "accounts.transfer", true
        world:control("POST", "faults", fault)
        local ks = client(function() end)
        local number = world:unique "T"
        local row = assert(ks.accounts:transfer(transfer(number)))
        assert.equal(transfers(number)[1].transfer_no, row.transfer_no or transfers(number)[1]
          .transfer_no)
      end
    end)

    it("where the clocks, and what they call a day, are far apart", function()
      for _, case in ipairs { { 3600 * 20, "UTC+14" }, { -3600 * 20, "UTC-12" } } do
        world:configure { clock_offset = case[1] }
        local ks = client(first(TRANSFER, "answer"), { timezone = case[2] })
        check(ks, assert(ks.accounts:transfer(transfer(world:unique "T"))))
      end
    end)

    it("among many that are lost at once", function()
      world:control("POST", "faults", { operation = "accounts.transfer", code = 1001,
        after = true, times = "always" })
      local ks, list = world:client(), {}
      for i = 1, 30 do
        list[i] = world:unique "T"
      end
      local results, failures = ks:parallel(10, list, function(number)
        return ks.accounts:transfer(transfer(number))
      end)
      assert.is_nil(failures, failures and tostring(select(2, next(failures))))
      for i, number in ipairs(list) do
        assert.equal(number, results[i].transfer_unique_no)
        assert.equal(1, #transfers(number))
      end
      assert.equal(30, ks:stats().settled.found)
    end)

    it("when it comes while it is being looked for", function()
      local number = world:unique "T"
      local body
      local ks = client(function(request, count, self)
        if request.url:sub(-#TRANSFER) == TRANSFER then
          return "request"
        elseif request.url:sub(-#TRANSFERS) == TRANSFERS and count == 3 then
          body = self:deliver()
        end
      end)
      local row = assert(ks.accounts:transfer(transfer(number)))
      assert.equal(0, code_of(body))
      assert.equal(3, keysecure.how(row).lookups)
      assert.is_true(keysecure.how(row).waited >= 750)
      assert.equal(1, #transfers(number))
    end)

    it("among many, where the platform does not look by number", function()
      local number = world:unique "T"
      local many = {}
      for i = 1, 104 do
        many[i] = i
      end
      local ks = client(function(request, count, self)
        if request.url:sub(-#TRANSFER) == TRANSFER then
          return count == 1 and "answer" or nil
        elseif self.counts[TRANSFERS] == 1 then -- newer rows come before it in the list
          world.ks:parallel(8, many, function()
            return world.ks.accounts:transfer(transfer(world:unique "T"))
          end)
        end
        request.body = request.body:gsub('"transfer_unique_no":"[^"]*",?', ""):gsub(",}", "}")
      end)
      local row = assert(ks.accounts:transfer(transfer(number)))
      assert.equal(number, row.transfer_unique_no)
      assert.equal(2, ks.options.transport.counts[TRANSFERS])
    end)
  end)

  describe("that can't be found #timing", function()
    it("stays unknown, and is not sent again, as long as it may still arrive", function()
      local ks, link = client(first(TRANSFER, "request"))
      local number = world:unique "T"
      local err = refused({ outcome = "unknown", kind = "transport", attempts = 1,
        message = "the connection was reset" },
        ks.accounts:transfer(transfer(number), { timeout = 1.2 }))
      assert.equal(1, link.counts[TRANSFER])
      assert.is_true(err.lookups >= 2)
      refused({ outcome = "unknown", name = "unsettled" }, err:settle())
      assert.equal(0, code_of(link:deliver())) -- and there it is
      local row = assert(err:settle())
      assert.equal("found", keysecure.how(row).settled)
      assert.equal(transfers(number)[1].transfer_no, row.transfer_no)
    end)

    it("is sent again once it can't arrive any more, and is there once", function()
      local number = world:unique "T"
      local ks, link = client(first(TRANSFER, "request", function(count)
        if count == 1 then
          later()
        end
      end))
      local row = assert(ks.accounts:transfer(transfer(number)))
      assert.equal(2, keysecure.how(row).attempts)
      assert.is_false(keysecure.how(row).settled)
      assert.equal(2, link.counts[TRANSFER])
      assert.equal(1005, code_of(link:deliver())) -- the proof
      assert.equal(1, #transfers(number))
    end)

    it("is told as absent where there is no time to send it again", function()
      local number = world:unique "T"
      local ks, link = client(first(TRANSFER, "request", later))
      local err = refused({ outcome = "refused", name = "absent", kind = "transport",
        attempts = 1 }, ks.accounts:transfer(transfer(number), { timeout = 0.9 }))
      assert.matches("the connection was reset", err.message)
      assert.equal(1, link.counts[TRANSFER])
      assert.equal(1005, code_of(link:deliver()))
      assert.equal(0, #transfers(number))
    end)

    it("is told as absent later on", function()
      local ks, link = client(first(TRANSFER, "request"))
      local err = refused({ outcome = "unknown" },
        ks.accounts:transfer(transfer(world:unique "T"), { timeout = 0.5 }))
      later()
      local truth = refused({ outcome = "refused", name = "absent" }, err:wait_settled())
      assert.equal(1005, code_of(link:deliver()))
      refused({ outcome = "refused", name = "absent" }, truth:settle())
    end)

    it("is waited for until it is decided", function()
      local ks = client(first(TRANSFER, "request"))
      local err = refused({ outcome = "unknown" },
        ks.accounts:transfer(transfer(world:unique "T"), { timeout = 0.5 }))
      local again = refused({ outcome = "unknown", name = "unsettled" },
        err:wait_settled { timeout = 0.6 })
      assert.is_true(again.lookups > err.lookups)
      later()
      refused({ outcome = "refused", name = "absent" }, again:wait_settled { timeout = 20 })
    end)

    it("is not sent again where the retry budget is used up, and looked for once", function()
      local ks, link = client(first(TRANSFER, "request"))
      assert(ks.cards:packages())
      while core.shared_budget():spend() do end
      local err = refused({ outcome = "unknown" },
        ks.accounts:transfer(transfer(world:unique "T"), { timeout = 5 }))
      assert.equal(1, err.lookups)
      assert.equal(1, link.counts[TRANSFERS])
    end)

    it("is not sent again either where the budget is just enough to see that it is dead", function()
      local ks, link = client(first(TRANSFER, "request", later))
      assert(ks.cards:packages())
      while core.shared_budget():spend() do end
      core.shared_budget():earn(1)
      refused({ outcome = "refused", name = "absent", lookups = 2 },
        ks.accounts:transfer(transfer(world:unique "T"), { timeout = 5 }))
      assert.equal(1, link.counts[TRANSFER])
    end)

    it("gives back what looking for it has cost, once it was done after all", function()
      local before = core.shared_budget():left()
      local ks = client(first(TRANSFER, "request", function(count)
        return count == 1 and later()
      end))
      assert(ks.accounts:transfer(transfer(world:unique "T")))
      assert.equal(before, core.shared_budget():left())
    end)

    it("is there once even where the platform let the dead arrive", function()
      -- The server's clock goes back behind our proof, and the first request comes in before the
      -- second, which is refused: the number is taken.
      local number = world:unique "T"
      local body
      local ks, link = client(first(TRANSFER, "request", function(count, self)
        if count == 1 then
          later()
        elseif count == 2 then
          world:configure { clock_offset = 0 }
          body = self:deliver()
          world:configure { clock_offset = DEAD_AFTER }
        end
      end))
      local row = assert(ks.accounts:transfer(transfer(number)))
      assert.equal(0, code_of(body))
      assert.equal("found", keysecure.how(row).settled)
      assert.equal(2, link.counts[TRANSFER])
      assert.equal(1, #transfers(number))
      assert.equal(transfers(number)[1].transfer_no, row.transfer_no)
    end)

    it("and is taken when sent again, but nowhere to be seen, stays unknown", function()
      local number = world:unique "T"
      local ks = client(function(request, count, self)
        if request.url:sub(-#TRANSFER) == TRANSFER then
          if count == 1 then
            later()
            return "request"
          end
          world:configure { clock_offset = 0 }
          self:deliver()
          world:configure { clock_offset = DEAD_AFTER }
          world:fault("accounts.transfers", 1012, "always")
        end
      end)
      local err = refused({ outcome = "unknown", name = "unsettled" },
        ks.accounts:transfer(transfer(number)))
      world:no_faults()
      assert.equal(transfers(number)[1].transfer_no, assert(err:settle()).transfer_no)
    end)

    it("of a cardholder who was rejected before stays unknown", function()
      local ks = client(first("/cardholder/apply", "request", later))
      local number = world:unique "U"
      local rejected = assert(world.ks.cardholders:apply { cardholder_unique_no = number,
        sumsub_share_token = "reject" })
      refused({ outcome = "unknown" }, ks.cardholders:apply({
        cardholder_no = rejected.cardholder_no, cardholder_unique_no = number,
        sumsub_share_token = "share" }, { timeout = 0.9 }))
    end)

    it("as a change of status is made once more when the first one is dead", function()
      local card = world:card()
      local ks, link = client(first("/card/status/update", "request", function(count)
        return count == 1 and later()
      end))
      assert.is_true(assert(ks.cards:update_status { card_no = card.card_no, status = "Frozen" }))
      assert.equal(2, link.counts["/card/status/update"])
      assert.equal("Frozen", assert(card:refresh()).status)
    end)
  end)

  describe("and which can't be looked up #timing", function()
    it("stays unknown, within its time", function()
      local ks = client(first(TRANSFER, "answer"))
      assert(ks.cards:packages())
      world:control("POST", "faults", { operation = "accounts.transfers", delay = 30,
        times = "always" })
      local started = core.now()
      local number = world:unique "T"
      local err = refused({ outcome = "unknown", kind = "transport" },
        ks.accounts:transfer(transfer(number), { timeout = 1.5 }))
      assert.is_true(core.now() - started < 15000)
      world:no_faults()
      assert.equal(transfers(number)[1].transfer_no, assert(err:settle()).transfer_no)
    end)

    it("stays unknown where looking it up is refused", function()
      local ks = client(first(TRANSFER, "answer"))
      assert(ks.cards:packages())
      world:fault("accounts.transfers", 1013, "always")
      local err = refused({ outcome = "unknown", kind = "transport" },
        ks.accounts:transfer(transfer(world:unique "T"), { timeout = 0.6 }))
      local again = refused({ outcome = "unknown", name = "unsettled", kind = "api" },
        err:settle())
      assert.matches("could not be looked up", again.message)
      world:no_faults()
      assert(again:settle())
    end)

    it("stays unknown where the platform gives the same rows for every page", function()
      local ks = client(function(request, count)
        if request.url:sub(-#TRANSFER) == TRANSFER then
          return count == 1 and "request" or nil
        end
        request.body = request.body:gsub('"transfer_unique_no":"[^"]*",?', ""):gsub(",}", "}")
          :gsub('"page":%d+', '"page":0')
      end)
      world:fund(holder)
      local err = refused({ outcome = "unknown" },
        ks.accounts:transfer(transfer(world:unique "T"), { timeout = 0.6 }))
      assert.matches("same rows", select(2, err:settle()).message)
    end)

    it("is of no use to look up: a PIN, a simulation", function()
      local card = world:activated_physical()
      local ks = client(function(request)
        return request.url:find "/card/pin/set" and "answer" or "request"
      end)
      local err = refused({ outcome = "unknown", attempts = 1 }, ks.cards:set_pin {
        card_no = card.card_no, cardholder_no = card.cardholder_no, pin = "862947" })
      assert.is_nil(err.lookups)
      assert.same({ nil, err }, { err:settle() })
      assert.same({ nil, err }, { err:wait_settled() })
      refused({ outcome = "unknown", attempts = 1 },
        ks.simulate:auth { card_no = card.card_no, amount = "1.00" })
    end)

    it("is not looked up by a client that was closed", function()
      local ks, link
      ks, link = client(first(TRANSFER, "request", function()
        ks:spawn(function()
          ks:sleep(0.1)
          ks:close()
        end)
      end))
      refused({ outcome = "unknown" }, ks.accounts:transfer(transfer(world:unique "T")))
      assert.is_true(link.counts[TRANSFERS] <= 2)
    end)
  end)

  describe("and which is not to be settled", function()
    it("by a call or a client is left to its caller", function()
      for _, of_client in ipairs { true, false } do
        local options = world:options()
        options.settle = of_client
        options.transport = lossy.new(options, first(TRANSFER, "answer"))
        local ks, link = assert(keysecure.new(options)), options.transport
        local number = world:unique "T"
        local err = refused({ outcome = "unknown", attempts = 1, lookups = 0 },
          ks.accounts:transfer(transfer(number), of_client and { settle = false } or nil))
        assert.is_nil(link.counts[TRANSFERS])
        local row = assert(err:settle())
        assert.equal(transfers(number)[1].transfer_no, row.transfer_no)
        ks:close()
      end
    end)
  end)

  describe("and whose number has another row", function()
    local function lose(operation, path, fields, expected)
      local ks = client(first(path, "answer"))
      expected.name, expected.outcome, expected.kind = "unique_number_taken", "refused", "api"
      expected.operation = operation
      return refused(expected, ks:call(operation, fields, { timeout = 5 }))
    end

    it("says in what it differs", function()
      local other = world:holder()
      local number = world:unique "T"
      assert(world.ks.accounts:transfer(transfer(number)))
      for field, value in pairs { balance = "5.01", type = "Out",
        cardholder_no = other.cardholder_no } do
        world:fund(other)
        lose("accounts.transfer", TRANSFER, transfer(number, { [field] = value }),
          { field = field })
      end
      assert.equal(1, #transfers(number))
    end)

    it("says so of cards as well", function()
      local other = world:holder()
      local fields = { cardholder_no = holder.cardholder_no, package_no = "P-1",
        card_type = "Virtual", card_unique_no = world:unique "C" }
      assert(world.ks.cards:apply(fields))
      for field, value in pairs { cardholder_no = other.cardholder_no, package_no = "P-3" } do
        local changed = setmetatable({}, { __index = fields })
        for name in pairs(fields) do
          changed[name] = name == field and value or fields[name]
        end
        lose("cards.apply", APPLY, changed, { field = field })
      end
      lose("cards.apply", APPLY, { cardholder_no = holder.cardholder_no, package_no = "P-2",
        card_type = "Physical", card_unique_no = fields.card_unique_no,
        address_info = support.address_info }, { field = "card_type" })
      assert.equal(1, #rows("cards", "card_unique_no", fields.card_unique_no))
    end)

    it("says so of BINs, as far as they can be told apart", function()
      local other = world:holder(world.authorization)
      local fields = { cardholder_no = other.cardholder_no, card_bin_no = "B-1",
        card_type = "Virtual", card_unique_no = world:unique "C" }
      assert(world.authorization.cards:apply(fields))
      fields.card_bin_no = "B-2"
      refused({ code = 1004, name = "unique_number_taken", field = "card_bin_no" },
        world.authorization.cards:apply(fields))
    end)
  end)

  it("is told of as what it was", function()
    local events = {}
    local ks = client(first(TRANSFER, "answer"), { on_event = function(event)
      events[#events + 1] = event
    end })
    assert(ks.accounts:transfer(transfer(world:unique "T")))
    local seen = {}
    for i, event in ipairs(events) do
      seen[i] = table.concat({ event.event, event.operation, event.outcome,
        tostring(event.on_behalf_of), tostring(event.settled) }, " ")
    end
    assert.same({
      "attempt merchant.token done accounts.transfer nil",
      "attempt accounts.transfer unknown nil nil",
      "attempt accounts.transfers done accounts.transfer nil",
      "call accounts.transfer done nil found",
    }, seen)
    local stats = ks:stats()
    assert.same({ 1, 2, 1, 1 }, { stats.calls, stats.attempts, stats.lookups,
      stats.settled.found })
  end)

  it("leaves no secret behind", function()
    local ks = client(first("/cardholder/apply", "request"))
    local err = refused({ outcome = "unknown" }, ks.cardholders:apply({
      cardholder_unique_no = world:unique "U", sumsub_share_token = "share-of-a-person" },
      { timeout = 0.4 }))
    assert.is_nil(tostring(err):find("share-of", 1, true))
    for _, value in pairs(err) do
      assert.is_nil(tostring(value):find("share-of", 1, true))
    end
    -- Nor where the error keeps what it needs to look again.
    local name, kept = debug.getupvalue(err.settle, 1)
    assert.equal("settlers", name)
    for _, value in pairs(kept[err].fields) do
      assert.is_nil(value:find("share-of", 1, true))
    end
  end)
end)

describe("a number that is taken", function()
  local world, ks, holder

  setup(function()
    world = support.start()
    ks = world.ks
    holder = world:holder()
  end)
  teardown(function()
    world:stop()
  end)
  after_each(function()
    world:no_faults()
  end)

  it("by a row of the same content gives that row", function()
    local fields = { type = "In", balance = "5.00", transfer_unique_no = world:unique "T" }
    local row = assert(holder:transfer(fields))
    fields.type, fields.balance = "IN", "5"
    local again = assert(holder:transfer(fields))
    assert.equal(row.transfer_no, again.transfer_no)
    assert.same({ attempts = 1, waited = 0, lookups = 1, settled = "existing" },
      keysecure.how(again))
    assert.equal(1, #world:control("GET", "state").transfers)
    fields = { package_no = "P-1", card_type = "Virtual", card_unique_no = world:unique "C" }
    assert.equal(assert(holder:apply_card(fields)).card_no,
      assert(holder:apply_card(fields)).card_no)
    fields = { cardholder_unique_no = holder.cardholder_unique_no, sumsub_share_token = "share" }
    again = assert(ks.cardholders:apply(fields))
    assert.equal(holder.cardholder_no, again.cardholder_no)
    assert.equal("existing", keysecure.how(again).settled)
    assert.is_true(ks:stats().settled.existing >= 3)
  end)

  it("by a row of another content is an error, with the platform's code", function()
    local fields = { type = "In", balance = "5.00", transfer_unique_no = world:unique "T" }
    assert(holder:transfer(fields))
    fields.balance = "6.00"
    local err = refused({ code = 1004, name = "unique_number_taken", field = "balance",
      attempts = 1, lookups = 1 }, holder:transfer(fields))
    assert.same({ nil, err }, { err:settle() })
  end)

  it("or a status that a card has already, is success too", function()
    local card = world:card(nil, nil, holder)
    assert(card:freeze())
    local before = ks:stats().settled.existing
    assert.equal(card, card:freeze())
    assert.equal(before + 1, ks:stats().settled.existing)
    assert(card:delete())
    refused({ code = 4005, name = "card_status_not_allowed" }, card:freeze())
    world:fault("cards.detail", 1013)
    refused({ code = 4005 }, card:delete())
    assert.equal(card, card:delete())
    -- What an activation is refused for may be its CVV.
    local plastic = world:activated_physical()
    refused({ code = 4005 }, plastic:activate { cvv = "000", card_last_no = "0000" })
  end)

  it("by a row that can't be seen is the refusal that it is", function()
    world:fault("cardholders.apply", 2001)
    refused({ code = 2001, name = "cardholder_exists" }, ks.cardholders:apply {
      cardholder_unique_no = world:unique "U", sumsub_share_token = "share" })
    world:fault("cardholders.list", 1013)
    refused({ code = 2001, name = "cardholder_exists" }, ks.cardholders:apply {
      cardholder_unique_no = holder.cardholder_unique_no, sumsub_share_token = "share" })
  end)

  it("is the refusal that it is where nothing is to be settled", function()
    refused({ code = 2001, name = "cardholder_exists" }, ks.cardholders:apply({
      cardholder_unique_no = holder.cardholder_unique_no, sumsub_share_token = "share" },
      { settle = false }))
  end)

  -- A client of a platform that knows the transfer T-1 as `row` says, and refuses to make it anew.
  local function with_transfer(row)
    local function answering(body)
      return { status = 200, headers = {}, body = body }
    end
    return world:client { transport = { perform = function(_, request)
      if request.url:find("/merchant/token", 1, true) then
        return answering '{"code":0,"data":{"access_token":"token-1","expired_time":1900000000000}}'
      elseif request.url:find "/list$" then
        return answering('{"code":0,"data":{"list":[{"transfer_no":"T1","cardholder_no":"U1",'
          .. '"transfer_unique_no":"T-1","type":"In",' .. row .. "}]}}")
      end
      return answering '{"code":1004,"msg":"transfer_unique_no invalid parameter"}'
    end } }
  end

  local ASKED = { cardholder_no = "U1", type = "In", balance = "5.00",
    transfer_unique_no = "T-1" }

  it("by a transfer that failed is an error", function()
    refused({ code = 1004, name = "recorded_as_failed", field = "status" },
      with_transfer('"balance":"5","status":"Fail"').accounts:transfer(ASKED))
  end)

  it("by a transfer whose amount can't be read is nothing to judge by", function()
    for _, balance in ipairs { "5.00 TUSDT", "+5.00", "5E0" } do
      local odd = with_transfer('"balance":"' .. balance .. '","status":"Success"')
      refused({ code = 1004, name = "invalid_parameter" }, odd.accounts:transfer(ASKED))
      local err = refused({ kind = "protocol", name = "unsettled", outcome = "unknown" },
        odd.accounts:settle { transfer_unique_no = "T-1", balance = "5.00" })
      assert.matches("balance", err.message, 1, true)
    end
  end)
end)

describe("settle of a new process", function()
  local world, ks, holder, row

  setup(function()
    world = support.start()
    ks = world.ks
    holder = world:holder()
    row = assert(holder:transfer { type = "In", balance = "5.00", transfer_unique_no = "T-1" })
  end)
  teardown(function()
    world:stop()
  end)
  after_each(function()
    world:configure { clock_offset = 0 }
  end)

  it("finds what is there", function()
    local found = assert(ks.accounts:settle { transfer_unique_no = "T-1" })
    assert.equal(row.transfer_no, found.transfer_no)
    assert.same({ attempts = 0, waited = 0, lookups = 1, settled = "found" },
      keysecure.how(found))
    assert.equal(row.transfer_no, assert(ks.accounts:settle { transfer_unique_no = "T-1",
      balance = "5", type = "in", cardholder_no = holder.cardholder_no }).transfer_no)
    local card = world:card(nil, nil, holder)
    assert.equal(card.card_no, assert(ks.cards:settle {
      card_unique_no = card.card_unique_no }).card_no)
    assert.equal(holder.cardholder_no, assert(ks.cardholders:settle {
      cardholder_unique_no = holder.cardholder_unique_no }).cardholder_no)
  end)

  it("says where that is not what was meant", function()
    refused({ name = "unique_number_taken", field = "balance", outcome = "refused" },
      ks.accounts:settle { transfer_unique_no = "T-1", balance = "5.10" })
  end)

  it("does not take what isn't there for absent before nothing can come any more", function()
    local err = refused({ name = "unsettled", outcome = "unknown", kind = "timeout" },
      ks.accounts:settle { transfer_unique_no = "T-2" })
    world:configure { clock_offset = 63 }
    assert(ks.cards:packages())
    refused({ name = "unsettled", outcome = "unknown" }, err:settle())
    world:configure { clock_offset = 90 }
    assert(ks.cards:packages())
    refused({ name = "absent", outcome = "refused" }, err:settle())
  end)

  it("looks back as far as it is told to", function()
    local old = world:client()
    world:configure { clock_offset = -200 * 86400 }
    local past = assert(old.accounts:transfer { cardholder_no = holder.cardholder_no,
      type = "In", balance = "1.00", transfer_unique_no = "T-old" })
    world:configure { clock_offset = 0 }
    assert(ks.cards:packages()) -- which sets its clock
    local counted = world:counted(function()
      refused({ name = "unsettled" }, ks.accounts:settle { transfer_unique_no = "T-old" })
    end)
    assert.equal(1, counted.of["accounts.transfers"])
    counted = world:counted(function()
      local found = assert(ks.accounts:settle { transfer_unique_no = "T-old",
        since = os.time() - 201 * 86400 })
      assert.equal(past.transfer_no, found.transfer_no)
    end)
    assert.equal(3, counted.of["accounts.transfers"])
  end)

  it("refuses what makes no sense", function()
    refused({ kind = "invalid", field = "transfer_unique_no", operation = "accounts.transfer" },
      ks.accounts:settle {})
    refused({ kind = "invalid", field = "balance" },
      ks.accounts:settle { transfer_unique_no = "T-1", balance = "much" })
    assert.matches("accounts:settle takes no field 'transfer_unik_no'.*transfer_unique_no",
      support.raised(ks.accounts.settle, ks.accounts, { transfer_unik_no = "T-1" }))
    assert.matches("since: number", support.raised(ks.accounts.settle, ks.accounts,
      { transfer_unique_no = "T-1", since = "2026-01-01" }))
    assert.matches("balance: string expected", support.raised(ks.accounts.settle, ks.accounts,
      { transfer_unique_no = "T-1", balance = 5 }))
    assert.matches("nothing that could be settled: 'cards.set_pin'",
      support.raised(ks.settle, ks, "cards.set_pin", {}))
    assert.matches("with a colon", support.raised(ks.accounts.settle, {
      transfer_unique_no = "T-1" }))
    refused({ kind = "invalid", operation = "accounts.transfer" },
      world.authorization.accounts:settle { transfer_unique_no = "T-1" })
  end)
end)
