-- Authorizations against balances: reserves at the purchase, pays at the clearing, and gives back
-- what came to nothing. Money is text and exact; the balances here are a table, yours are in a
-- database. Reversals and refunds are left out: what they mean to a balance is a rule of yours.
--
--     KEYSECURE_ENVIRONMENT=emulator lua examples/authorizer.lua [PORT]
local money = require "keysecure.money"
local server = require "keysecure.webhook.server"
local webhook = require "keysecure.webhook"

local STARTING_BALANCE = "100.00" -- of every cardholder

local balances, holds = {}, {} -- by cardholder_no; by consume_no

-- The answer of one handler at a time: what is between two of its lines nobody else sees.
local function reserve(purchase)
  local holder = purchase.cardholder_no
  local rest = money.subtract(balances[holder] or STARTING_BALANCE, purchase.amount)
  if not rest or money.compare(purchase.amount, "0") < 0 then
    return false, "no amount" -- 1e9 is a number to JSON, and none that money takes
  elseif money.compare(rest, "0") < 0 then
    return false, "insufficient funds"
  end
  balances[holder], holds[purchase.consume_no] = rest, purchase
  return true
end

-- Ends a hold: `paid` of it stays away, the rest comes back. May be called as often as one likes.
local function settle(consume_no, paid)
  local hold = holds[consume_no]
  if hold then
    local rest = money.subtract(hold.amount, paid)
    balances[hold.cardholder_no] = money.add(balances[hold.cardholder_no], rest)
    holds[consume_no] = nil
  end
end

local hook = assert(webhook.from_env {
  -- Decided after the fallback was answered: the purchase was declined, so nothing is to be held.
  on_late = function(event, _, answered)
    if not answered.approved then
      settle(event.data.consume_no, "0")
    end
  end,
})

hook:on("Auth", function(event)
  return reserve(event.data)
end)

hook:on("Consumption", function(event)
  local use = event.data
  if use.status == "Success" then
    settle(use.consume_no, use.amount) -- which may be less, or more, than was asked for
  elseif use.status == "Fail" then
    settle(use.consume_no, "0")
  end
  print(use.consume_no, use.type, use.status, use.amount, balances[use.cardholder_no])
  io.stdout:flush()
end)

local listening = assert(server.listen { hook = hook, port = tonumber(arg[1]) or 8788 })
print("listening on " .. listening.url)
io.stdout:flush()
assert(listening:run())
