--- Signatures of callbacks: HMAC-SHA256, in lower-case hex, over a canonical text of `data`.
--
-- `data` is JSON text, as it came: money must keep its digits, so a decoded table would not do. The
-- platform's serializer exists in two generations that order nested members differently: "document"
-- (fastjson 2.x) and "hash" (fastjson 1.x). `verify` takes either; where one is to be made and none
-- is named it is "document", the generation that is still maintained. `app_id` is the Api-Key and
-- `secret` the apiSecret, unless the platform says otherwise [A7].
--
-- Everything here raises on misuse (a wrong type, an unknown option, a dot for a colon) and returns
-- `nil, err` for what depends on data: kind "invalid" with field "data" when it is no JSON object
-- that can be signed, kind "crypto" with field "signature" or "timestamp" when it is not proven.

local core = require "keysecure.core"
local errors = require "keysecure.errors"
local suggest = require "keysecure.suggest"

---@alias keysecure.Order "document"|"hash"

--- Signs and verifies for one secret, which it keeps ready.
---@class keysecure.Signer
---@field private core userdata
---@field private app_id string
local Signer = {}
Signer.__index = Signer

function Signer:__tostring()
  return "keysecure.signer"
end

local signature = {}

-- The options of each function. "header" is a text that a sender may have left out.
local OPTIONS = {
  new = { app_id = "string", secret = "string" },
  canonical = { app_id = "string", timestamp = "string", order = "order" },
  sign = { app_id = "string", timestamp = "string", order = "order", secret = "string" },
  verify = { app_id = "string", timestamp = "header", secret = "string" },
}

local function fits(value, kind)
  if kind == "order" then
    return value == nil or value == "document" or value == "hash"
  end
  return type(value) == "string" or kind == "header" and value == nil
end

local EXPECTED = { order = "'document' or 'hash'", string = "a string", header = "a string" }

-- To be called by the public functions themselves: errors point at the line that called those.
local function check(where, options, known)
  if type(options) ~= "table" then
    error(where .. ": the options must be a table, not a " .. type(options), 3)
  end
  for name in pairs(options) do
    if not known[name] then
      local names = {}
      for candidate in pairs(known) do
        names[#names + 1] = candidate
      end
      table.sort(names)
      error(where .. ": unknown option '" .. tostring(name) .. "'" .. suggest(name, names), 3)
    end
  end
  for name, kind in pairs(known) do
    if not fits(options[name], kind) then
      error(where .. ": " .. name .. " must be " .. EXPECTED[kind], 3)
    end
  end
end

local function check_text(where, name, value)
  if type(value) ~= "string" then
    error(where .. ": " .. name .. " must be a string, not a " .. type(value), 3)
  end
end

local function check_self(self, method)
  if getmetatable(self) ~= Signer then
    error("use signer:" .. method .. "(data_json, …) with a colon", 3)
  end
end

local function check_order(where, order)
  if not fits(order, "order") then
    error(where .. ": order must be " .. EXPECTED.order, 3)
  end
end

local function failure(message, field)
  local kind = (field == "data" or field == "secret") and "invalid" or "crypto"
  return nil, errors.new { kind = kind, field = field, message = message }
end

local function finish(result, message, field)
  if result then
    return result
  end
  return failure(message, field)
end

local function make(options)
  if options.secret == "" then
    return failure("it is empty, so that anybody could sign", "secret")
  end
  return setmetatable({ core = core.signer(options.secret), app_id = options.app_id }, Signer)
end

local function canonical(data_json, app_id, timestamp, order)
  return finish(core.canonical(data_json, app_id, timestamp, order or "document"))
end

local function sign(signer, data_json, timestamp, order)
  return finish(signer.core:sign(data_json, signer.app_id, timestamp, order or "document"))
end

local function verify(signer, data_json, hex, timestamp)
  local ok, message, field = signer.core:verify(data_json, hex, signer.app_id, timestamp)
  if ok then
    return true
  end
  return failure(message, field)
end

-- A header that is missing is the sender's fault, not misuse.
local function missing(hex)
  return failure("there is none", hex == nil and "signature" or "timestamp")
end

--- The raw text of a callback's `data`, which is what is signed.
---@param body string  the callback as it came
---@return string? data_json
---@return keysecure.Error? err  kind "invalid", where the body is no JSON object with `data` in it
function signature.data(body)
  check_text("signature.data", "body", body)
  local data_json, reason, position = core.member(body, "data")
  if data_json then
    return data_json
  end
  local message = reason and reason .. " at byte " .. position or "there is none"
  return failure(message, "data")
end

--- The text that is signed.
---@param data_json string  the callback's `data`, a JSON object
---@param options { app_id: string, timestamp: string, order?: keysecure.Order }
---@return string? text
---@return keysecure.Error? err
function signature.canonical(data_json, options)
  check_text("signature.canonical", "data_json", data_json)
  check("signature.canonical", options, OPTIONS.canonical)
  return canonical(data_json, options.app_id, options.timestamp, options.order)
end

--- The signature of `data`.
---@param data_json string
---@param options { app_id: string, timestamp: string, secret: string, order?: keysecure.Order }
---@return string? hex  64 lower-case digits
---@return keysecure.Error? err
function signature.sign(data_json, options)
  check_text("signature.sign", "data_json", data_json)
  check("signature.sign", options, OPTIONS.sign)
  local signer, err = make(options)
  if not signer then
    return nil, err
  end
  return sign(signer, data_json, options.timestamp, options.order)
end

--- Whether `hex` is the signature of `data` in either order. Lower-case digits only, as published.
--- A missing header is the sender's fault: `hex` and `timestamp` may be nil, which is refused.
---@param data_json string
---@param hex string?  the header Signature
---@param options { app_id: string, timestamp: string?, secret: string }
---@return true?
---@return keysecure.Error? err
function signature.verify(data_json, hex, options)
  check_text("signature.verify", "data_json", data_json)
  check_text("signature.verify", "hex", hex == nil and "" or hex)
  check("signature.verify", options, OPTIONS.verify)
  local signer, err = make(options)
  if not signer then
    return nil, err
  elseif hex == nil or options.timestamp == nil then
    return missing(hex)
  end
  return verify(signer, data_json, hex, options.timestamp)
end

--- Keeps the secret ready for many callbacks, which makes each several times faster.
---@param options { app_id: string, secret: string }
---@return keysecure.Signer?
---@return keysecure.Error? err
function signature.new(options)
  check("signature.new", options, OPTIONS.new)
  return make(options)
end

--- As `signature.canonical`.
---@param data_json string
---@param timestamp string
---@param order? keysecure.Order
---@return string? text
---@return keysecure.Error? err
function Signer:canonical(data_json, timestamp, order)
  check_self(self, "canonical")
  check_text("signer:canonical", "data_json", data_json)
  check_text("signer:canonical", "timestamp", timestamp)
  check_order("signer:canonical", order)
  return canonical(data_json, self.app_id, timestamp, order)
end

--- As `signature.sign`.
---@param data_json string
---@param timestamp string
---@param order? keysecure.Order
---@return string? hex
---@return keysecure.Error? err
function Signer:sign(data_json, timestamp, order)
  check_self(self, "sign")
  check_text("signer:sign", "data_json", data_json)
  check_text("signer:sign", "timestamp", timestamp)
  check_order("signer:sign", order)
  return sign(self, data_json, timestamp, order)
end

--- As `signature.verify`.
---@param data_json string
---@param hex string?
---@param timestamp string?
---@return true?
---@return keysecure.Error? err
function Signer:verify(data_json, hex, timestamp)
  if getmetatable(self) ~= Signer or type(data_json) ~= "string" or type(hex) ~= "string"
    or type(timestamp) ~= "string" then
    check_self(self, "verify")
    check_text("signer:verify", "data_json", data_json)
    check_text("signer:verify", "hex", hex == nil and "" or hex)
    check_text("signer:verify", "timestamp", timestamp == nil and "" or timestamp)
    return missing(hex)
  end
  return verify(self, data_json, hex, timestamp)
end

return signature
