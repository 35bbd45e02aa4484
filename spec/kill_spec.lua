-- A script that issues and funds cards is killed (kill -9) at 200 random moments and started again
-- each time: nothing is there twice, and nothing is missing.
local child = require "spec.support.child"
local money = require "keysecure.money"
local support = require "spec.support.client"

local KILLS, ORDERS = 200, 1e6 -- more than it gets done, however late its killer comes
local FURTHEST = 8 -- answers that a life may see

-- The same in every Lua, and long: once is enough.
if os.getenv "KS_FLAVOUR" ~= "lua54" then
  return
end

describe("a script that is killed again and again #plain", function()
  local world, directory

  setup(function()
    world = support.start()
    local pipe = assert(io.popen("mktemp -d", "r"))
    directory = pipe:read "*l"
    pipe:close()
  end)
  teardown(function()
    world:stop()
    os.execute("rm -rf " .. directory)
  end)

  local function start(orders)
    local line = "echo $$; exec %s spec/support/kill_script.lua %s %s/done %d 2>&1"
    local pipe = assert(io.popen(line
      :format(child.interpreter(), world.address, directory, orders), "r"))
    return pipe, pipe:read "*l"
  end

  -- Lets it see so many answers, then kills it a little later, in the middle of what comes next.
  local function live(answers)
    local pipe, pid = start(ORDERS)
    local seen = 0
    while seen < answers do
      local line = assert(pipe:read "*l")
      assert(line:find "^%a+\t", line)
      seen = seen + (line:find "^attempt" and 1 or 0)
    end
    os.execute(("sleep 0.00%d; kill -9 %s"):format(math.random(0, 5), pid))
    local rest = pipe:read "*a"
    pipe:close()
    return rest
  end

  local function finish(orders)
    local pipe = start(orders)
    local output = pipe:read "*a"
    pipe:close()
    assert.matches("finished\n$", output)
  end

  local function progress()
    local file = io.open(directory .. "/done", "r")
    local count = file and file:read "*n" or 0
    if file then
      file:close()
    end
    return count
  end

  local function by(rows, field)
    local found = {}
    for _, row in ipairs(rows) do
      assert.is_nil(found[row[field]], "twice: " .. row[field])
      found[row[field]] = row
    end
    return found
  end

  it("does nothing twice and leaves nothing out", function()
    math.randomseed(os.time())
    for _ = 1, KILLS do
      live(math.random(1, FURTHEST))
    end
    local orders = progress() + 3
    finish(orders)

    local state = world:control("GET", "state")
    local holders = by(state.cardholders, "cardholder_unique_no")
    local cards, transfers = by(state.cards, "card_unique_no"),
      by(state.transfers, "transfer_unique_no")
    for order = 1, orders do
      local holder = assert(holders["U-" .. order], "no cardholder " .. order)
      assert.equal(holder.cardholder_no, assert(cards["C-" .. order]).cardholder_no)
      assert.equal(holder.cardholder_no, assert(transfers["T-" .. order]).cardholder_no)
      assert.equal(0, money.compare(holder.balance, order .. ".25"))
    end
    assert.same({ orders, orders, orders }, { #state.cardholders, #state.cards,
      #state.transfers })
    local codes = world:stats().codes -- many were killed between the deed and their knowing of it
    assert.is_true((codes["1004"] or 0) + (codes["2001"] or 0) > KILLS / 4)
  end)
end)
