--- How many calls the emulator takes, how long an application for a card takes, in memory and with
--- a file, and what 100,000 cards weigh. Asked by wrk, which checks that nothing is refused.
local cjson = require "cjson"
local core = require "keysecure.core"
local emulator = require "keysecure.emulator"

local SECONDS = 5
local CARDS = 100000
local API = "/open-api/v1"

local function line_of(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read "*a"
  pipe:close()
  return text
end

local function curl(address, path, headers, body)
  local words = { "curl -s --max-time 10" }
  for name, value in pairs(headers) do
    words[#words + 1] = string.format("-H '%s: %s'", name, value)
  end
  words[#words + 1] = body and "-d '" .. body .. "'" or nil
  local text = line_of(table.concat(words, " ") .. " " .. address .. API .. path)
  return assert(cjson.decode(text).data, text)
end

local function timestamp()
  return string.format("%.0f", core.wall())
end

-- A token, an approved cardholder and a card to ask about.
local function prepare(running)
  local key = running.merchants.credit.api_key
  local headers = { ["Api-Key"] = key, Timestamp = timestamp(),
    ["Content-Type"] = "application/json" }
  local token = curl(running.address, "/merchant/token", headers).access_token
  headers["Access-Token"] = token
  local holder = curl(running.address, "/cardholder/apply", headers,
    '{"cardholder_unique_no":"bench","sumsub_share_token":"s"}').cardholder_no
  local card = curl(running.address, "/card/apply", headers, string.format(
    '{"package_no":"P-1","card_type":"Virtual","cardholder_no":"%s","card_unique_no":"bench"}',
    holder)).card_no
  return { key = key, token = token, holder = holder, card = card, runs = 0 }
end

local function wrk(root, running, known, kind, connections, seconds)
  known.runs = known.runs + 1
  local text = line_of(string.format("wrk -t1 -c%d -d%ds -s %s/bench/support/wrk_calls.lua %s -- "
    .. "%s %s %s %s %s r%d 2>&1", connections, seconds, root, running.address, kind, known.key,
    known.token, timestamp(), kind == "detail" and known.card or known.holder, known.runs))
  return cjson.decode((assert(text:match "result (%b{})", text)))
end

local function resident_mb(pid)
  local file = assert(io.open("/proc/" .. pid .. "/status"))
  local text = file:read "*a"
  file:close()
  return tonumber(text:match "VmRSS:%s+(%d+)") / 1024
end

local function print_row(name, found)
  print(string.format("  %-46s %8d/s %10.2f ms %10.2f ms", name, found.per_second,
    found.median_ms, found.p99_ms))
end

local function measure(root, store, options)
  options.kyc_delay, options.issue_delay = 0, 0
  local running = assert(emulator.start(options))
  local known, results = prepare(running), {}
  for _, connections in ipairs { 64, 1 } do
    for _, kind in ipairs { "detail", "apply" } do
      local found = wrk(root, running, known, kind, connections, SECONDS)
      print_row(string.format("%s, %s, %d connections", store, kind, connections), found)
      results[kind .. "_" .. connections] = found
    end
  end
  return results, running, known
end

-- Applies for cards until there are so many, and weighs the process.
local function fill(root, running, known)
  local before, made = resident_mb(running.pid), 0
  repeat
    made = made + wrk(root, running, known, "apply", 64, SECONDS).calls
  until made >= CARDS
  return { cards = made, before_mb = before, after_mb = resident_mb(running.pid) }
end

local function reopened(path)
  local from = core.monotonic()
  local running = assert(emulator.start { data = path })
  local seconds = (core.monotonic() - from) / 1000
  running:stop()
  return seconds
end

return function(root)
  print(string.format("\nthe emulator  %41s %13s %13s", "", "median", "99 %"))
  local results = {}
  local found, running, known = measure(root, "memory", {})
  results.emulator_memory = found
  results.emulator_weight = fill(root, running, known)
  running:stop()
  print(string.format("  %d cards more: %.0f MB, %.0f MB before", results.emulator_weight.cards,
    results.emulator_weight.after_mb, results.emulator_weight.before_mb))

  local path = os.tmpname()
  os.remove(path)
  found, running = measure(root, "SQLite", { data = path })
  running:stop()
  found.cards = found.apply_64.calls + found.apply_1.calls
  found.restart_seconds = reopened(path)
  results.emulator_file = found
  print(string.format("  started again over %d cards in %.2f s", found.cards,
    found.restart_seconds))
  for _, suffix in ipairs { "", "-wal", "-shm" } do
    os.remove(path .. suffix)
  end
  return results
end
