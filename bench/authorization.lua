--- What one nginx worker does with authorizations: verified, decided and journalled, against the
--- same nginx that reads the body and answers a constant.
local api = require "keysecure.api"
local authorizer = require "spec.support.authorizer"
local compare = require "bench.support.compare"
local nginx = require "spec.support.nginx"
local probe = require "keysecure.webhook.probe"
local redis = require "spec.support.redis"
local webhook = require "keysecure.webhook"

local KEYS = api.environments.emulator.merchants.authorization
local ROUNDS, SECONDS, CONNECTIONS = 5, 3, 64
local REQUESTS = 90000 -- for one round: more than it can use, since each purchase is asked once
local RATE, LONG = 2000, tonumber(os.getenv "KS_BENCH_SECONDS") or 30

local HOOK = [[
local hook = assert(require("keysecure.webhook").from_env {
  store = require("keysecure.webhook.store.shdict").new "answers",
  journal = assert(require("keysecure.webhook.journal").open(
    ngx.config.prefix() .. "/journal.jsonl", DELAY)) })
hook:on("Auth", function(event)
  return require("keysecure.money").compare(event.data.amount, "50.00") <= 0
end)
return hook
]]

local HTTP = [[
  lua_socket_log_errors off;
  lua_shared_dict answers 200m;
  init_by_lua_block { require "HOOK" }
]]

-- A server with this at the location that is asked; `hook`: the module with the webhook.
local function start(location, hook, options)
  options = options or {}
  options.log_level, options.main = "warn", "env KEYSECURE_ENVIRONMENT=emulator;"
    .. (options.main or "")
  options.http = hook and HTTP:gsub("HOOK", hook) or ""
  options.server = "location = /callback { content_by_lua_block { " .. location .. " } }"
  return nginx.start(options)
end

-- Purchases ------------------------------------------------------------------------------------

local asked = 0

local function purchase()
  asked = asked + 1
  return { consume_no = "S" .. asked, card_no = "C202605220001", cardholder_no = "U0",
    type = "Consumption", amount = "12.50", local_amount = "11.80", local_currency = "EUR",
    merchant_info = { merchant_name = "COFFEE BAR", merchant_mcc = "5814", city = "BERLIN",
      country = "DE" }, status = "Pending", time = 1763880000123 }
end

-- One request a line, as wrk's script below takes them: five headers and the body.
local function write_requests(path)
  local file = assert(io.open(path, "w"))
  for _ = 1, REQUESTS do
    local headers, body = webhook.test_request({ action = "Auth", data = purchase() }, KEYS)
    file:write(headers.Timestamp, " ", headers.Signature, " ", body, "\n")
  end
  file:close()
end

local WRK = [[
local requests, at = {}, 0
function init(args)
  for line in io.lines(args[1]) do
    local timestamp, signature, body = line:match "^(%d+) (%x+) (.*)$"
    requests[#requests + 1] = wrk.format("POST", "/callback", { Timestamp = timestamp,
      Signature = signature, ["Sign-Version"] = "V1", ["Content-Type"] = "application/json",
      Timezone = "UTC+8" }, body)
  end
end
function request()
  at = at % #requests + 1
  return requests[at]
end
]]

-- Requests a second; raises where one was not answered with 200.
local function load(server)
  local requests, script = os.tmpname(), os.tmpname()
  write_requests(requests)
  local file = assert(io.open(script, "w"))
  file:write(WRK)
  file:close()
  local pipe = assert(io.popen(string.format("wrk -t1 -c%d -d%ds -s %s %s/callback -- %s 2>&1",
    CONNECTIONS, SECONDS, script, server.address, requests)))
  local said = pipe:read "*a"
  pipe:close()
  os.remove(requests)
  os.remove(script)
  assert(not said:find "Non%-2xx", said)
  return assert(tonumber(said:match "Requests/sec:%s+([%d%.]+)"), said)
end

local function quantiles(server)
  local report = assert(probe.run { url = server.address .. "/callback", api_key = KEYS.api_key,
    api_secret = KEYS.api_secret, rate = RATE, seconds = LONG, duplicates = 0, tampered = 0,
    p999 = 1e6 })
  assert(report.ok, table.concat(report.faults, "; "))
  return { p50 = report.p50, p99 = report.p99, p999 = report.p999, most = report.most }
end

-- The contestants ------------------------------------------------------------------------------

local function start_hook(delay)
  return start('require("hook"):serve()', "hook",
    { files = { ["hook.lua"] = (HOOK:gsub("DELAY", delay)) } })
end

local function contestants(store)
  return {
    { name = "a constant after the body", start = function()
      return start [[ ngx.req.read_body() ngx.print '{"code":0,"message":""}' ]]
    end },
    { name = "verified, decided, journalled", start = function()
      return start_hook "nil"
    end },
    { name = "the same, the journal's delay 50 ms", start = function()
      return start_hook "{ delay = 0.05 }"
    end },
    { name = "the example, balances in Redis", start = function()
      local client = store:client()
      client:flushall()
      client:hincrby("account:U0", "available", "1000000000000")
      client:quit()
      return authorizer.start(store, 1)
    end },
  }
end

local function with_server(contestant, fn)
  local server = contestant.start()
  local ok, result = pcall(fn, server)
  server:stop()
  assert(ok, result)
  return result
end

local function print_quantiles(name, found)
  print(string.format("  %-34s %8.1f %8.1f %8.1f %8.1f", name, found.p50, found.p99, found.p999,
    found.most))
end

return function()
  local store = redis.start()
  local list = contestants(store)
  for _, contestant in ipairs(list) do
    contestant.run = function()
      return with_server(contestant, load)
    end
  end
  local rates = compare.run(list, ROUNDS)
  compare.print("authorizations, one worker, 64 connections", "a second", rates)
  local times = {}
  print(string.format("\nmilliseconds at %d a second for %d s%16s %8s %8s %8s", RATE, LONG, "p50",
    "p99", "p99.9", "most"))
  for _, contestant in ipairs(list) do
    local found = with_server(contestant, quantiles)
    print_quantiles(contestant.name, found)
    times[contestant.name] = found
  end
  store:stop()
  return { authorizations = rates, authorization_times = times }
end
