--- Balances of cardholders, in Redis: what can be spent (`available`) and what is held for
--- purchases that have not been cleared. All amounts go in and out as decimal text.
-- luacheck: read globals ngx
local connection = require "connection"
local money = require "keysecure.money"
local script = require "script"

local ledger = {}

local function account_key(holder)
  return "account:" .. holder
end

local function purchase_key(number)
  return "purchase:" .. number
end

-- Whole cents, what is less than one rounded up; nil where it is no amount that can be held.
local function cents(amount)
  local whole, fraction = tostring(amount):match "^(%d+)%.?(%d*)$"
  if not whole or #whole > 12 then
    return nil
  end
  local count = money.add(money.multiply(whole, "100"), (fraction .. "00"):sub(1, 2))
  return fraction:sub(3):find "[1-9]" and money.add(count, "1") or count
end

local function decimal(count)
  return (money.multiply(tostring(count), "0.01", 2))
end

-- Runs `fn(client, …)` with a connection; what it answers, or nil and why where Redis fails.
local function with_redis(fn, ...)
  local client, err = connection.acquire()
  if not client then
    return nil, "no Redis: " .. tostring(err)
  end
  local result
  result, err = fn(client, ...)
  connection.release(client, result == nil)
  if not result then
    return nil, "Redis: " .. tostring(err)
  end
  return result
end

-- Redis knows the script by its sum once it has seen it.
local SUM = ngx.sha1_bin(script):gsub(".", function(byte)
  return string.format("%02x", byte:byte())
end)

local function evaluate(client, ...)
  local answer, err = client:evalsha(SUM, ...)
  if answer == false and err:find("NOSCRIPT", 1, true) then
    return client:eval(script, ...)
  end
  return answer, err
end

local function run(verb, data, amount, fee)
  return with_redis(evaluate, 3, account_key(data.cardholder_no), purchase_key(data.consume_no),
    purchase_key(data.consume_relate_no or data.consume_no), verb, data.type or "",
    data.status or "", amount, fee or "0",
    table.concat({ data.amount, data.local_amount or "", data.local_currency or "",
      data.type or "" }, "|"))
end

local function is_complete(data)
  return type(data.cardholder_no) == "string" and type(data.consume_no) == "string"
end

local REFUSALS = { [0] = "insufficient balance", [-1] = "no such account" }

--- Holds the amount of a purchase, or what it is more than before. The same purchase again is held
--- once.
---@param data table  of an Auth
---@return boolean|nil approved  nil: Redis can't be asked
---@return string|nil why        not
function ledger.reserve(data)
  local amount = cents(data.amount)
  if not amount or not is_complete(data) then
    return false, "no amount that can be held"
  end
  local answer, err = run("ask", data, amount)
  if not answer then
    return nil, err
  end
  return answer == 1, REFUSALS[answer]
end

--- Lets go of what is held for a question that the platform was not told yes to; what an earlier
--- one holds for the same purchase stays.
---@param data table  of an Auth
---@return boolean|nil released
---@return string|nil err
function ledger.release(data)
  local amount = cents(data.amount)
  if not amount then
    return false, "no amount that can be held"
  end
  local answer, err = run("release", data, amount)
  return answer and answer == 1, err
end

--- Takes in what the platform tells of a purchase, a reversal or a refund: a clearing, of whatever
--- amount, turns the hold into money taken; a failure frees it.
---@param data table  of a Consumption
---@return boolean|nil done
---@return string|nil err
function ledger.post(data)
  local amount, fee = cents(data.amount), cents(data.fee or "0")
  if not amount or not fee or not is_complete(data) then
    return nil, "a consumption without numbers or amounts"
  end
  local answer, err = run("told", data, amount, fee)
  return answer and true, err
end

--- Adds to what can be spent; opens the account where there is none.
---@param holder string
---@param amount string
---@return boolean|nil done
---@return string|nil err
function ledger.deposit(holder, amount)
  local count = cents(amount)
  if not count then
    return nil, "no amount"
  end
  local balance, err = with_redis(function(client)
    return client:hincrby(account_key(holder), "available", count)
  end)
  return balance and true, err
end

--- What a cardholder has; nil without an error where there is no such account.
---@param holder string
---@return {available: string, held: string}|nil
---@return string|nil err
function ledger.balance(holder)
  local found, err = with_redis(function(client)
    return client:hmget(account_key(holder), "available", "held")
  end)
  if not found or found[1] == ngx.null then
    return nil, err
  end
  return { available = decimal(found[1]), held = decimal(found[2] ~= ngx.null and found[2] or "0") }
end

return ledger
