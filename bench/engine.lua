--- The engine alone, driven as bare_libcurl drives libcurl: what the layers above start from.
--
--   lua bench/engine.lua URL CALLS IN_FLIGHT
--
-- prints one line {"calls":…, "seconds":…, "per_second":…}. Unlike bare_libcurl each call sets its
-- own URL, headers and time-out and hands its body and three headers to Lua, as real ones do.

local curl = require "keysecure.curl"

local url, calls, in_flight = arg[1], tonumber(arg[2]), tonumber(arg[3])
if not (url and calls and in_flight) then
  io.stderr:write("usage: engine.lua URL CALLS IN_FLIGHT\n")
  os.exit(1)
end

local headers = {
  ["Api-Key"] = "0123456789abcdef",
  ["Access-Token"] = "0123456789abcdef0123456789abcdef",
  ["Timestamp"] = "1700000000000",
  ["Content-Type"] = "application/json",
}

--- Seconds with a fraction, which standard Lua has not: the machine's uptime, to 10 ms.
local function uptime()
  local file = assert(io.open("/proc/uptime"))
  local now = file:read("*n")
  file:close()
  return now
end

local engine = curl.new { max_connections = in_flight }
local started, finished = 0, 0

local function start()
  if started < calls then
    started = started + 1
    assert(engine:start("GET", url, headers, nil, 30000))
  end
end

local function take()
  local id, status, body, reached, message = engine:next()
  while id do
    assert(status == 200, message or body)
    assert(#body > 0, reached)
    finished = finished + 1
    start()
    id, status, body, reached, message = engine:next()
  end
end

local from = uptime()
for _ = 1, in_flight do
  start()
end
while finished < calls do
  engine:step(-1)
  take()
end
local seconds = uptime() - from
print(string.format('{"calls": %d, "seconds": %.2f, "per_second": %.0f}',
  finished, seconds, finished / seconds))
engine:close()
