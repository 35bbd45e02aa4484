--- Answers purchases from the balances in Redis. nginx.conf calls `callback` and `account`.
-- luacheck: globals ngx
local cjson = require "cjson"
local connection = require "connection"
local journal = require "keysecure.webhook.journal"
local ledger = require "ledger"
local store = require "keysecure.webhook.store.redis"
local webhook = require "keysecure.webhook"

local authorizer = {}

local function log(...)
  ngx.log(ngx.ERR, "authorizer: ", ...)
end

-- Approved after something else was answered: nothing may stay held for it.
local function on_late(event, made, answered)
  if made.approved and not answered.approved then
    local released, err = ledger.release(event.data)
    if not released then
      log("what was held for ", tostring(event), " can't be released: ", err or "it is not held")
    end
  end
end

local hook = assert(webhook.from_env {
  budget = 0.6,
  on_late = on_late,
  lease = 5, -- seconds after which somebody else posts what a worker had that died
  on_changed = "decide", -- an incremental authorization asks again, for more
  journal = assert(journal.open(os.getenv "JOURNAL" or "authorizations.jsonl")),
  store = store.new { connect = connection.acquire, release = connection.release },
})

hook:on("Auth", function(event)
  return ledger.reserve(event.data)
end)

-- Whatever isn't posted is told again: `nil, err` asks for it.
hook:on("Consumption", function(event)
  return ledger.post(event.data)
end)

hook:on("*", function() end)

--- The location that the platform calls.
function authorizer.callback()
  hook:serve()
end

local function say(status, value)
  ngx.status = status
  ngx.say(cjson.encode(value))
end

--- For whoever runs this: GET shows a balance, POST with an amount as the body adds to it.
function authorizer.account(holder)
  local done, err = true, nil
  if ngx.req.get_method() == "POST" then
    ngx.req.read_body()
    done, err = ledger.deposit(holder, ngx.req.get_body_data() or "")
  end
  local balance
  if done then
    balance, err = ledger.balance(holder)
  end
  if balance then
    return say(200, balance)
  end
  say(err and 400 or 404, { error = err or "no such account" })
end

return authorizer
