-- examples/openresty_authorizer in a storm: random purchases at once, with all that can become of
-- them, while callbacks come twice, late, overtaken and badly signed; and workers are killed. In
-- the end its balances must be what the emulator's records say, and what was done, to the cent.
--
-- KS_STORM says how many purchases (150); 5000 take some minutes.
local authorizer = require "spec.support.authorizer"
local cjson = require "cjson"
local emulators = require "spec.support.client"
local money = require "keysecure.money"
local nginx = require "spec.support.nginx"
local redis = require "spec.support.redis"

local PURCHASES = tonumber(os.getenv "KS_STORM") or 150
local HOLDERS, AT_ONCE = 3, 12
local DELAYS = { 0.05, 0.1, 0.2, 0.5, 1, 1, 2, 2, 5, 5, 10, 10 } -- of repeated callbacks, seconds

-- What may become of a purchase ------------------------------------------------------------------

local function cents(count)
  local size = math.abs(count)
  return string.format("%s%d.%02d", count < 0 and "-" or "", math.floor(size / 100), size % 100)
end

-- Some of so many cents, but not all.
local function part(count)
  return math.random(count - 1)
end

-- Each answers the cents that are taken in the end, and those that are held.
local fates = {}

function fates.open(_, _, count)
  return 0, count
end

function fates.cleared(simulate, no, count)
  assert(simulate:consumption_clear { consume_no = no })
  return count, 0
end

function fates.cleared_otherwise(simulate, no, count)
  local taken = math.random(2 * count)
  assert(simulate:consumption_clear { consume_no = no, amount = cents(taken) })
  return taken, 0
end

function fates.cleared_in_part(simulate, no, count)
  local taken = part(count)
  assert(simulate:consumption_clear { consume_no = no, amount = cents(taken), final = false })
  if math.random(2) == 1 then
    assert(simulate:reversal { consume_no = no })
    return taken, 0
  end
  assert(simulate:consumption_clear { consume_no = no })
  return count, 0
end

function fates.failed(simulate, no)
  assert(simulate:consumption_fail { consume_no = no })
  return 0, 0
end

function fates.reversed(simulate, no)
  assert(simulate:reversal { consume_no = no })
  return 0, 0
end

function fates.reversed_in_part(simulate, no, count)
  local back = part(count)
  assert(simulate:reversal { consume_no = no, amount = cents(back) })
  if math.random(2) == 1 then
    return 0, count - back
  end
  assert(simulate:consumption_clear { consume_no = no })
  return count - back, 0
end

function fates.cleared_and_given_back(simulate, no, count)
  local back, how = part(count), math.random(2) == 1 and "refund" or "reversal"
  assert(simulate:consumption_clear { consume_no = no })
  assert(simulate[how](simulate, { consume_no = no, amount = cents(back) }))
  if math.random(2) == 1 then
    return count - back, 0
  end
  assert(simulate:refund { consume_no = no })
  return 0, 0
end

local FATES = {}
for name in pairs(fates) do
  FATES[#FATES + 1] = name
end
table.sort(FATES)

local FAULTS = { { callback = "Auth", duplicate = true }, { callback = "Auth", duplicate = true },
  { callback = "Consumption", duplicate = true }, { callback = "Consumption", reorder = true },
  { callback = "Consumption", delay = 0.3 }, { callback = "*", bad_signature = true } }

-- Buys something; which card's, the cents that are taken in the end, and those held.
local function purchase(world, cards)
  if math.random(2) == 1 then
    world:control("POST", "faults", FAULTS[math.random(#FAULTS)])
  end
  local simulate, count, which = world.authorization.simulate, 1 + math.random(3000),
    math.random(#cards)
  local made = assert(simulate:auth { card_no = cards[which].card_no, amount = cents(count) })
  if made.status ~= "Pending" then
    return which, 0, 0
  end
  return which, fates[FATES[math.random(#FATES)]](simulate, made.consume_no, count)
end

-- What the emulator says -------------------------------------------------------------------------

local function all_records(world, holder)
  local ks, numbers, records = world.authorization, {}, {}
  local window = emulators.window()
  window.cardholder_no, window.size = holder, 100
  for row in ks.consumptions:each(window) do
    numbers[#numbers + 1] = row.consume_no
  end
  local _, failures = ks:parallel(AT_ONCE, numbers, function(number)
    records[number] = assert(ks.consumptions:info { consume_no = number })
    return true
  end)
  assert.is_nil(failures)
  return records
end

-- What records take together: "available held", where `deposit` was there before.
local function balance_of(records, deposit)
  local back = {}
  for _, row in pairs(records) do
    if row.type == "Reversal" then
      back[row.consume_relate_no] = money.add(back[row.consume_relate_no] or "0.00", row.amount)
    end
  end
  local available, held = deposit, "0.00"
  for number, row in pairs(records) do
    local rest = money.subtract(row.amount, back[number] or "0.00")
    if row.type == "Refund" then
      available = money.add(available, row.amount)
    elseif row.type == "Consumption" and row.status == "Success" then
      available = money.subtract(available, money.add(rest, row.fee))
    elseif row.type == "Consumption" and row.status == "Pending" then
      held, available = money.add(held, rest), money.subtract(available, rest)
    end
  end
  return available .. " " .. held
end

-- The storm --------------------------------------------------------------------------------------

local function kill_one(server)
  local workers = server:workers()
  if workers[1] then
    os.execute("kill -9 " .. workers[math.random(#workers)])
  end
end

local function undelivered(world)
  local count = 0
  for _, delivery in ipairs(world:control("GET", "callbacks").callbacks) do
    count = count + (delivery.done and 0 or 1)
    assert.not_equal("given up", delivery.verdict)
  end
  return count
end

-- How often the handler decided each purchase, as the journal tells it.
local function decisions(server)
  local found = {}
  for line in io.lines(server.dir .. "/journal.jsonl") do
    local entry = line ~= "" and cjson.decode(line)
    local by_handler = entry and (entry.reason == "handler" or entry.kind == "late")
    if by_handler and entry.action == "Auth" and not entry.duplicate then
      found[entry.consume_no] = (found[entry.consume_no] or 0) + 1
    end
  end
  return found
end

-- Cards of new holders, each with so much to spend.
local function cards_with(world, server, deposit)
  local cards = {}
  for i = 1, HOLDERS do
    local holder
    cards[i], holder = world:card("Virtual", world.authorization)
    assert.equal(200, server:get("/accounts/" .. holder.cardholder_no, { body = deposit }).status)
  end
  return cards
end

-- Buys all that is to be bought, while workers are killed now and then; what was taken and is held
-- of each card, in cents.
local function buy(world, server, cards, kills)
  local sums, list, due = {}, {}, {}
  for i = 1, HOLDERS do
    sums[i] = { taken = 0, held = 0 }
  end
  for i = 1, PURCHASES do
    list[i] = i
  end
  for _ = 1, kills do
    due[math.random(PURCHASES)] = true
  end
  local _, failures = world.authorization:parallel(AT_ONCE, list, function(i)
    local which, taken, held = purchase(world, cards)
    sums[which].taken, sums[which].held = sums[which].taken + taken, sums[which].held + held
    if due[i] then
      kill_one(server)
    end
    return true
  end)
  assert.is_nil(failures and select(2, next(failures)))
  return sums
end

local function storm(seed, kills)
  math.randomseed(seed)
  local store = redis.start()
  local server = authorizer.start(store, 2)
  local world = emulators.start { callback_url = server.address .. "/callback",
    callback_delays = DELAYS }
  local deposit = PURCHASES * 100
  local cards = cards_with(world, server, cents(deposit))
  local sums = buy(world, server, cards, kills)
  world:no_faults()
  server:wait(function() return undelivered(world) == 0 end, "callbacks are left")
  for i, card in ipairs(cards) do
    local expected = cents(deposit - sums[i].taken - sums[i].held) .. " " .. cents(sums[i].held)
    assert.equal(expected, balance_of(all_records(world, card.cardholder_no), cents(deposit)))
    server:wait(function()
      local answer = cjson.decode(server:get("/accounts/" .. card.cardholder_no).body)
      return answer.available .. " " .. answer.held == expected
    end, "expected " .. expected)
  end
  for number, times in pairs(decisions(server)) do
    assert(times == 1, number .. " was decided " .. times .. " times")
  end
  world:stop()
  server:stop { forgive = "exited on signal 9" }
  store:stop()
end

nginx.describe("the authorizer in a storm", function()
  for seed = 1, 2 do
    it("has the emulator's balances in the end: seed " .. seed, function()
      storm(seed, 0)
    end)
  end

  it("has them though workers were killed", function()
    storm(3, math.ceil(PURCHASES / 100))
  end)
end)

