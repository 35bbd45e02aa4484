--- Makes a request as the platform would send it: for the tests of those who write handlers.
--
--    local headers, body = webhook.test_request({ action = "Auth", data = {
--      consume_no = "S-1", amount = "12.50", … } }, { api_key = …, api_secret = … })
--    assert(hook:answer(headers, body) == 200)
local cjson = require "cjson"
local core = require "keysecure.core"
local errors = require "keysecure.errors"
local signature = require "keysecure.signature"
local suggest = require "keysecure.suggest"

-- Callbacks carry these as numbers [api.md 7].
local IS_MONEY = { amount = true, local_amount = true, fee = true }

local KNOWN = { api_key = "string", api_secret = "string", order = "string", timestamp = "number" }

local encode

local function sorted_keys(values)
  local keys = {}
  for key in pairs(values) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return keys
end

local function encode_object(values)
  local parts = {}
  for i, key in ipairs(sorted_keys(values)) do
    local value = values[key]
    local is_number = IS_MONEY[key] and type(value) == "string" and core.check_json(value)
    parts[i] = cjson.encode(key) .. ":" .. (is_number and value or encode(value))
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

local function encode_list(values)
  local parts = {}
  for i, value in ipairs(values) do
    parts[i] = encode(value)
  end
  return "[" .. table.concat(parts, ",") .. "]"
end

function encode(value)
  if type(value) == "table" then
    return #value > 0 and encode_list(value) or encode_object(value)
  elseif type(value) == "number" then
    return string.format(value % 1 == 0 and "%.0f" or "%.14g", value)
  end
  return cjson.encode(value)
end

local function check(event, options)
  if type(event) ~= "table" or type(event.action) ~= "string" then
    errors.misuse "test_request: an event { action = …, data = … } expected"
  elseif type(event.data) ~= "table" and type(event.data) ~= "string" then
    errors.misuse "test_request: data: a table, or JSON text, expected"
  elseif type(options) ~= "table" then
    errors.misuse "test_request: options { api_key = …, api_secret = … } expected"
  end
  for name, value in pairs(options) do
    if not KNOWN[name] then
      errors.misuse("test_request: no option '" .. tostring(name) .. "'"
        .. suggest(name, sorted_keys(KNOWN)))
    elseif type(value) ~= KNOWN[name] then
      errors.misuse("test_request: option " .. name .. ": " .. KNOWN[name] .. " expected")
    end
  end
  if not options.api_key or not options.api_secret then
    errors.misuse "test_request: api_key and api_secret are required"
  end
end

local made = 0

local function new_id()
  made = made + 1
  return string.format("test-%.0f-%d", core.wall(), made)
end

---@class keysecure.webhook.TestOptions
---@field api_key string
---@field api_secret string
---@field timestamp? integer        Unix milliseconds (now)
---@field order? keysecure.Order    of the platform's serializer ("document")

--- A signed request. Amounts given as text become numbers with those digits; `data` that is text
--- already stays as it is.
---@param event { id: string?, action: string, data: table|string }
---@param options keysecure.webhook.TestOptions
---@return table<string, string> headers
---@return string body
return function(event, options)
  check(event, options)
  local data = type(event.data) == "string" and event.data or encode_object(event.data)
  local timestamp = string.format("%.0f", options.timestamp or core.wall())
  local hex, err = signature.sign(data, { app_id = options.api_key, secret = options.api_secret,
    timestamp = timestamp, order = options.order })
  if not hex then
    errors.misuse("test_request: " .. tostring(err))
  end
  return {
    ["Content-Type"] = "application/json", Timestamp = timestamp, Signature = hex,
    ["Sign-Version"] = "V1", Timezone = "UTC+8",
  }, string.format('{"id":%s,"action":%s,"data":%s}', cjson.encode(event.id or new_id()),
    cjson.encode(event.action), data)
end
