-- What an SQLite file keeps: everything that was answered, whatever becomes of the process.
local core = require "keysecure.core"
local emulator = require "keysecure.emulator"
local journal = require "keysecure.emulator.journal"
local json = require "keysecure.emulator.json"
local money = require "keysecure.money"
local client_support = require "spec.support.client"
local support = require "spec.support.emulator"

-- How often it is killed: under one flavour as often as it takes, under the others to see it work.
local KILLS = os.getenv "KS_FLAVOUR" == "lua54" and 52 or 6

local function temporary_file()
  local path = os.tmpname()
  os.remove(path)
  return path
end

local function remove(path)
  for _, suffix in ipairs { "", "-wal", "-shm" } do
    os.remove(path .. suffix)
  end
end

local function kill(peer)
  os.execute("kill -9 " .. peer.emulator.pid)
  peer.emulator:stop()
end

local function same_state(before, after)
  for _, name in ipairs { "cardholders", "cards", "transfers", "consumptions" } do
    assert.equal(json.encode(before[name]), json.encode(after[name]), name)
  end
end

describe("the emulator with a file", function()
  local path, peer

  before_each(function() path = temporary_file() end)
  after_each(function()
    peer:stop()
    peer = nil
    remove(path)
  end)

  local function start(changes)
    local options = { data = path }
    for name, value in pairs(changes or {}) do
      options[name] = value
    end
    local tokens, last = peer and peer.tokens, peer and peer.last
    peer = support.start(options)
    peer.tokens, peer.last = tokens or peer.tokens, last or peer.last
    return peer
  end

  it("holds after a stop and after a kill what it held before", function()
    start()
    local consume_no, card_no, holder = peer:purchase("12.50")
    peer:ok("simulate.consumption_clear", { consume_no = consume_no })
    peer:ok("simulate.refund", { consume_no = consume_no, amount = "0.50" })
    peer:card("Physical", "authorization")
    local client_token = peer:client_token(card_no)
    local plastic = peer:plastic(card_no)
    local before = peer:control("GET", "state")
    for _, ending in ipairs { peer.stop, kill } do
      ending(peer)
      start()
      same_state(before, peer:control("GET", "state"))
      assert.same(plastic, peer:plastic(card_no))
      assert.equal("88.00", peer:balance(holder)) -- by the token of the first process
      assert.equal(0, peer:control("GET", "stats").token_requests)
    end
    assert.equal(plastic.pan, peer:ok("pci.card_detail",
      { card_no = card_no, client_access_token = client_token }).pan)
    local taken = { cardholder_unique_no = before.cardholders[1].cardholder_unique_no,
      sumsub_share_token = "s" }
    assert.equal(2001, peer:call("cardholders.apply", taken).json.code)
    local fresh = peer:ok("cardholders.apply", peer:apply_values()).cardholder_no
    for _, row in ipairs(before.cardholders) do
      assert.are_not.equal(row.cardholder_no, fresh)
    end
  end)

  it("keeps whatever a text can hold", function()
    start()
    local texts = { "it's", '"quoted"', "back\\slash", "日本語 𝄞", "-- ; DROP TABLE rows", "%s%d" }
    for _, text in ipairs(texts) do
      peer:ok("cardholders.apply", { cardholder_unique_no = text, sumsub_share_token = "s" })
    end
    kill(peer)
    start()
    for i, row in ipairs(peer:control("GET", "state").cardholders) do
      assert.equal(texts[i], row.cardholder_unique_no)
    end
  end)

  it("goes on with what was under way: KYC, issuing, repeats, the clock", function()
    support.run(function()
      local taken = false
      local receiver = support.receiver(function() return taken and 200 or 500 end)
      local options = { kyc_delay = 600, callback_url = receiver.url }
      start(options)
      peer.emulator:clock { advance = 5 * 86400, skew = 2 }
      local holder = peer:holder()
      kill(peer)
      start(options)
      local where = peer:control("GET", "clock")
      assert.is_true(math.abs(where.now - core.wall() - 5 * 86400000 - 2000) < 30000)
      assert.equal(2, where.skew)
      peer.emulator:clock { advance = 601 }
      assert.equal("In_progress", peer:control("GET", "state").cardholders[1].status)
      kill(peer)
      start(options)
      peer.emulator:clock { advance = 601 }
      assert.equal("Approved", peer:control("GET", "state").cardholders[1].status)

      peer:ok("cards.apply", peer:card_values { cardholder_no = holder })
      local id = receiver.wait("Card_update", 1)[1].json.id
      support.wait(function()
        return #peer:control("GET", "callbacks").callbacks[1].attempts >= 1
      end)
      kill(peer)
      taken = true
      start(options)
      peer.emulator:clock { advance = 100 }
      local again = receiver.wait("Card_update", 2)
      assert.equal(id, again[#again].json.id)
      local delivery = peer:control("GET", "callbacks").callbacks[1]
      assert.same({ "delivered", true }, { delivery.verdict, delivery.done })
    end)
  end)

  it("goes on with monthly fees, and with an account that holds something", function()
    start()
    local holder = peer:holder()
    peer:fund(holder, "100.00")
    local card_no = peer:ok("cards.apply", { package_no = "P-3", cardholder_no = holder,
      card_type = "Virtual", card_unique_no = "monthly" }).card_no
    local data = peer:ok("simulate.auth", { card_no = card_no, amount = "50.00" })
    kill(peer)
    start()
    assert.equal("50.50", peer:control("GET", "state").cardholders[1].held)
    peer:ok("simulate.consumption_clear", { consume_no = data.consume_no, amount = "40.00" })
    peer.emulator:clock { advance = 31 * 86400 }
    local row = peer:control("GET", "state").cardholders[1]
    assert.same({ "53.60", "0.00" }, { row.balance, row.held }) -- 100 - 5 - 40.40 - 1
  end)

  it("lets a purchase fail whose decision it did not live to see", function()
    support.run(function()
      local receiver = support.receiver(function(event)
        return 200, nil, event.json.action == "Auth" and 0.5 or nil
      end)
      start { callback_url = receiver.url }
      local card_no = peer:card("Virtual", "authorization")
      support.together(function()
        pcall(peer.call, peer, "simulate.auth", { card_no = card_no, amount = "1.00" })
      end, function()
        receiver.wait("Auth", 1)
        kill(peer)
      end)
      start { callback_url = receiver.url }
      local row = peer:control("GET", "state").consumptions[1]
      assert.same({ "Fail", "the emulator ended before the decision" }, { row.status, row.remark })
      assert.is_nil(row.undecided)
      receiver.wait("Consumption", 1)
      assert.equal(1, #receiver.of "Auth")
    end)
  end)

  it("forgets everything at a reset, for good", function()
    start()
    peer:purchase()
    peer:reset()
    local holder = peer:holder()
    kill(peer)
    start()
    local state = peer:control("GET", "state")
    assert.same({ cardholders = 1, cards = 0, transfers = 0, consumptions = 0 }, state.counts)
    assert.equal(holder, state.cardholders[1].cardholder_no)
  end)

  it("can be read by its owner alone", function()
    start()
    local pipe = assert(io.popen("stat -c %a " .. path .. "*"))
    for line in pipe:lines() do
      assert.equal("600", line)
    end
    pipe:close()
  end)

  it("is refused where another has it, where it is something else, or can't be", function()
    start()
    local function refusal(options)
      options.data = options.data or path
      local handle, err = emulator.start(options)
      assert.is_nil(handle)
      return err
    end
    assert.matches("another process has it open", refusal {})
    assert.matches("unable to open", refusal { data = "/nowhere/e.db" })
    peer:holder()
    peer:stop()
    assert.matches("a merchant that there isn't, with the Api%-Key emulator%-credit",
      refusal { merchants = { credit = { api_key = "mine" } } })
    local other = temporary_file()
    local file = assert(io.open(other, "w"))
    file:write(("no database\n"):rep(100))
    file:close()
    assert.matches("not a database", refusal { data = other })
    os.remove(other)
    local environment = require("luasql.sqlite3").sqlite3()
    local connection = assert(environment:connect(other))
    connection:execute "CREATE TABLE t (a)"
    connection:close()
    assert.matches("another program's database", refusal { data = other })
    os.remove(other)
    connection = assert(environment:connect(other))
    for _, statement in ipairs { "CREATE TABLE rows (a)", "PRAGMA application_id = 1263749445",
      "PRAGMA user_version = 99" } do
      connection:execute(statement)
    end
    connection:close()
    environment:close()
    assert.matches("another version of the emulator", refusal { data = other })
    remove(other)
    start()
  end)
end)

describe("the journal", function()
  local path, open

  before_each(function()
    path = temporary_file()
    open = assert(journal.open(path))
  end)
  after_each(function()
    open:close()
    remove(path)
  end)

  -- How often it is written from now on, and with what outcome.
  local function counted(outcome, err)
    local count, flush = 0, open.flush
    function open:flush()
      count = count + 1
      if outcome == false then
        return nil, err
      end
      return flush(self)
    end
    return function() return count end
  end

  local function held()
    local rows = {}
    open:close()
    open = assert(journal.open(path))
    open:read(function(kind, row) rows[#rows + 1] = kind .. " " .. row.n end, function() end)
    return rows
  end

  local function add_and_commit(n)
    return function()
      open:add("cards", { n = n })
      assert(open:commit())
    end
  end

  it("writes once for all who come in one turn of the loop", function()
    support.run(function()
      local count = counted()
      support.together(add_and_commit "a", add_and_commit "b", add_and_commit "c")
      assert.equal(1, count())
      add_and_commit "d" ()
      assert.equal(2, count())
      assert(open:commit()) -- nothing to write
      assert.equal(2, count())
    end)
    local rows = held()
    assert.equal("cards d", rows[4]) -- the others came in no order of their own
    table.sort(rows)
    assert.same({ "cards a", "cards b", "cards c", "cards d" }, rows)
  end)

  it("tells all of them that it could not, and keeps what was to be written", function()
    support.run(function()
      counted(false, "disk full")
      local outcomes = {}
      local function attempt()
        open:add("cards", { n = #outcomes })
        local ok, err = open:commit()
        outcomes[#outcomes + 1] = tostring(ok) .. " " .. err
      end
      support.together(attempt, attempt)
      assert.same({ "nil disk full", "nil disk full" }, outcomes)
      open.flush = nil -- room again
      assert(open:commit())
    end)
    assert.equal(2, #held())
  end)

  it("forgets what was taken away, and knows no row that was wiped", function()
    local first, second = { n = "a" }, { n = "b" }
    open:add("cards", first)
    open:add("cards", second)
    assert(open:flush())
    open:drop(first)
    second.n = "c"
    open:put("cards", second)
    assert(open:flush())
    assert.same({ "cards c" }, held())
    local third = { n = "d" }
    open:add("cards", third)
    open:wipe()
    open:put("cards", third)
    assert.same({}, held())
  end)
end)

-- Load ----------------------------------------------------------------------------------------

-- What was answered, and so must be there: numbers, and each holder's last known balance.
local function new_ledger()
  return { cardholders = {}, cards = {}, transfers = {}, balances = {}, count = 0 }
end

-- Goes on until it gets no answer.
local function work(ks, ledger, name)
  local function note(kind, number)
    ledger[kind][number] = true
    ledger.count = ledger.count + 1
  end
  local holder = ks.cardholders:apply { cardholder_unique_no = name .. "-h",
    sumsub_share_token = "s" }
  if not holder then
    return false
  end
  note("cardholders", holder.cardholder_no)
  for i = 1, 3 do
    local transfer = holder:transfer { type = "In", balance = "1.25",
      transfer_unique_no = name .. "-t" .. i }
    if not transfer then
      return false
    end
    ledger.balances[holder.cardholder_no] = transfer.after_balance
    note("transfers", transfer.transfer_no)
  end
  local card = holder:apply_card { package_no = "P-1", card_type = "Virtual",
    card_unique_no = name .. "-c" }
  if card then
    note("cards", card.card_no)
  end
  return card ~= nil
end

local function numbers_of(rows, field)
  local set = {}
  for _, row in ipairs(rows) do
    set[row[field]] = row
  end
  return set
end

-- Nothing answered is lost, and nothing is there by half: a balance is the sum of its transfers.
local function check(state, ledger)
  local found = { cardholders = numbers_of(state.cardholders, "cardholder_no"),
    cards = numbers_of(state.cards, "card_no"),
    transfers = numbers_of(state.transfers, "transfer_no") }
  for kind, rows in pairs(found) do
    for number in pairs(ledger[kind]) do
      assert.is_truthy(rows[number], kind .. " " .. number .. " was answered and is lost")
    end
  end
  local sums = {}
  for _, row in ipairs(state.transfers) do
    sums[row.cardholder_no] = money.add(sums[row.cardholder_no] or "0.00", row.balance)
  end
  for number, row in pairs(found.cardholders) do
    assert.equal(sums[number] or "0.00", row.balance, number)
    assert.is_true(money.compare(row.balance, ledger.balances[number] or "0.00") >= 0, number)
  end
end

-- Four at a time, killed from outside at some moment.
local function round_of_load(world, ledger, round)
  local ks = world:client { timeout = 0.25 }
  os.execute(string.format("(sleep %.3f; kill -9 %s) &", 0.01 + 0.15 * math.random(),
    world.emulator.pid))
  ks:parallel(4, { 1, 2, 3, 4 }, function(worker)
    local i = 0
    repeat
      i = i + 1
    until not work(ks, ledger, round .. "-" .. worker .. "-" .. i)
  end)
  world:stop()
end

describe("the emulator with a file, killed under load #plain", function()
  it("has lost nothing that it answered", function()
    local path = temporary_file()
    local ledger = new_ledger()
    math.randomseed(os.time())
    local world = client_support.start { data = path }
    for round = 1, KILLS do
      round_of_load(world, ledger, round)
      world = client_support.start { data = path }
      check(world:control("GET", "state"), ledger)
    end
    world:stop()
    assert.is_true(ledger.count > 2 * KILLS, "too little was answered to mean anything")
    remove(path)
  end)
end)
