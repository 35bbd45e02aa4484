--- One callback verified, one card datum decrypted: microseconds, under the Lua that runs this.
--
--   lua bench/crypto_here.lua        -> one line of JSON, microseconds by name
local cipher = require "keysecure.cipher"
local cjson = require "cjson"
local core = require "keysecure.core"
local digest = require "openssl.hmac"
local signature = require "keysecure.signature"

local DATA = '{"consume_no":"X202605220001","card_no":"C202605220001","cardholder_no":'
  .. '"U202605220001","type":"Consumption","amount":12.50,"local_amount":11.80,'
  .. '"local_currency":"EUR","merchant_info":{"merchant_name":"COFFEE BAR","merchant_mcc":"5814",'
  .. '"city":"BERLIN","country":"DE"},"status":"Pending","time":1763880000123}'
local TIMESTAMP, SECRET, APP = "1763880000500", "0123456789abcdef0123456789abcdef", "bench"

local function microseconds(count, fn)
  for _ = 1, count / 10 do
    fn()
  end
  local from = core.monotonic()
  for _ = 1, count do
    fn()
  end
  return (core.monotonic() - from) * 1000 / count
end

local signer = signature.new { app_id = APP, secret = SECRET }
local canonical = signature.canonical(DATA, { app_id = APP, timestamp = TIMESTAMP })
local hex = signer:sign(DATA, TIMESTAMP)

-- What people write by hand; it is wrong for 12.50, whose digits a float forgets.
local function by_hand()
  local data = cjson.decode(DATA)
  data.appId, data.timestamp = APP, TIMESTAMP
  local names, parts = {}, {}
  for name in pairs(data) do
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do
    local value = data[name]
    if type(value) == "table" then
      value = cjson.encode(value)
    end
    parts[i] = name .. "=" .. tostring(value)
  end
  local mac = digest.new(SECRET, "sha256"):final(table.concat(parts, "&"))
  return (mac:gsub(".", function(byte)
    return string.format("%02x", byte:byte())
  end)) == hex
end

local key = cipher.new(SECRET)
local private = key:encrypt('{"card_no":"C202605220001","card_unique_no":"C-1001","cvv":"123",'
  .. '"pan":"4111111111111111","exp_year":"2028","exp_month":"12"}')

-- As a webhook does: the whole body, checked and decoded.
local verifier = core.verifier(APP, SECRET)
local body = '{"id":"0123456789abcdef","action":"Auth","data":' .. DATA .. "}"

assert(signer:verify(DATA, hex, TIMESTAMP))
assert(verifier:read(body, hex, TIMESTAMP).amount == "12.50")
print(cjson.encode {
  verify = microseconds(300000, function()
    return signer:verify(DATA, hex, TIMESTAMP)
  end),
  read = microseconds(200000, function()
    return verifier:read(body, hex, TIMESTAMP)
  end),
  verify_by_hand = microseconds(50000, by_hand),
  decrypt = microseconds(300000, function()
    return key:decrypt(private)
  end),
  canonical_bytes = #canonical,
})
