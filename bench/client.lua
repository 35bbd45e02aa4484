--- The client, complete: checks, timestamps, token, failure logic, decoding, rows.
--
--   lua bench/client.lua ADDRESS CALLS IN_FLIGHT [generational]
--                                                     -> {"calls":…, "seconds":…, "per_second":…}
local keysecure = require "keysecure"

local address, calls, in_flight = arg[1], tonumber(arg[2]), tonumber(arg[3])
if arg[4] then
  collectgarbage(arg[4])
end
local ks = assert(keysecure.new {
  address = address, api_key = "bench", api_secret = "0123456789abcdef",
})

local function detail(card_no)
  local card = assert(ks.cards:detail { card_no = card_no })
  assert(card.status == "Activated")
end

local numbers = {}
for i = 1, calls do
  numbers[i] = "C" .. 202605220000 + i
end

detail "C202605220001" -- the token, the first connection
local from = ks.now()
if in_flight == 1 then
  for _, number in ipairs(numbers) do
    detail(number)
  end
else
  local _, failures = ks:parallel(in_flight, numbers, detail)
  assert(not failures)
end
local seconds = (ks.now() - from) / 1000
print(string.format('{"calls": %d, "seconds": %.3f, "per_second": %.0f}', calls, seconds,
  calls / seconds))
