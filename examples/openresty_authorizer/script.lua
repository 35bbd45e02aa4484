-- What runs inside Redis, so that nobody sees a balance half changed. Amounts are whole cents.
--
-- A purchase says what it takes from its account: nothing, a hold, or money. Whatever comes in
-- changes what the purchase is, and then the account by the difference between what the purchase
-- takes now and what it took before. So nothing is taken twice, whatever comes twice, late, or in
-- another order than it was sent.
--
-- A purchase may be asked about several times, for more each time. Each question that was approved
-- is a field of its own ("asked 1250 …"), so that each can be taken back; the largest is held.
--
-- KEYS: the account, the purchase, the purchase that this one is about (or itself)
-- ARGV: "ask" | "told" | "release", type, status, cents, fee in cents, what was asked
-- Answers 1 (done, approved) or 0 (not enough, released already) or -1 (there is no such account).
return [[
local account, purchase, related = KEYS[1], KEYS[2], KEYS[3]
local verb, kind, status = ARGV[1], ARGV[2], ARGV[3]
local cents, fee = tonumber(ARGV[4]), tonumber(ARGV[5])
local asked = 'asked ' .. ARGV[4] .. ' ' .. ARGV[6]
local KEPT = 400 * 86400 -- seconds: refunds come late

local function number(key, field)
  return tonumber(redis.call('HGET', key, field) or '0')
end

-- What is approved of a purchase, or told of it while it is open, whichever is more.
local function largest(key)
  local most = number(key, 'amount')
  for _, field in ipairs(redis.call('HKEYS', key)) do
    most = math.max(most, tonumber(string.match(field, '^asked (%d+) ') or '0'))
  end
  return most
end

local function effect(key)
  local now = redis.call('HGET', key, 'status')
  local amount, given_back = number(key, 'amount'), number(key, 'given_back')
  if redis.call('HGET', key, 'refund') then
    return 0, now == 'Success' and 0 - amount or 0
  elseif now == 'Pending' then
    return math.max(0, largest(key) - given_back), 0
  elseif now == 'Success' then
    return 0, amount - given_back + number(key, 'fee')
  end
  return 0, 0
end

local function settle(key)
  local held, taken = effect(key)
  local more_held, more_taken = held - number(key, 'held'), taken - number(key, 'taken')
  redis.call('HSET', key, 'held', held, 'taken', taken)
  redis.call('EXPIRE', key, KEPT)
  redis.call('HINCRBY', account, 'held', more_held)
  redis.call('HINCRBY', account, 'available', 0 - more_held - more_taken) -- never -0
end

local function ask()
  if redis.call('EXISTS', account) == 0 then
    return -1
  end
  local known = redis.call('HGET', purchase, 'status')
  if known and known ~= 'Pending' then
    return 0
  end
  local more = cents - (known and largest(purchase) or 0)
  if more > 0 and more > number(account, 'available') then
    return 0
  end
  redis.call('HSET', purchase, 'status', 'Pending', asked, 1)
  settle(purchase)
  return 1
end

-- Takes an approval back that came too late; what else was approved, or told, stays.
local function release()
  if redis.call('HDEL', purchase, asked) == 0 then
    return 0
  end
  if redis.call('HGET', purchase, 'status') == 'Pending' and largest(purchase) == 0 then
    redis.call('HDEL', purchase, 'status') -- as if it had never been asked
  end
  settle(purchase)
  return 1
end

-- A final word is not taken back by an earlier one that comes later.
local function is_stale()
  local known = redis.call('HGET', purchase, 'status')
  return status == 'Pending' and (known == 'Success' or known == 'Fail')
end

local function told_of_purchase()
  if not is_stale() then
    redis.call('HSET', purchase, 'status', status, 'amount', cents, 'fee', fee)
  end
  settle(purchase)
end

local function told_of_refund()
  if is_stale() then
    return
  end
  redis.call('HSET', purchase, 'status', status, 'amount', cents, 'refund', 1)
  settle(purchase)
end

-- What is reversed lessens the purchase that it is about, known or not yet; each once.
local function told_of_reversal()
  if is_stale() then
    return
  end
  local counts = status == 'Success' and cents or 0
  local more = counts - number(purchase, 'counted')
  redis.call('HSET', purchase, 'status', status, 'counted', counts)
  redis.call('EXPIRE', purchase, KEPT)
  redis.call('HINCRBY', related, 'given_back', more)
  settle(related)
end

if verb == 'ask' then
  return ask()
elseif verb == 'release' then
  return release()
elseif kind == 'Refund' then
  told_of_refund()
elseif kind == 'Reversal' then
  told_of_reversal()
else
  told_of_purchase()
end
return 1
]]
