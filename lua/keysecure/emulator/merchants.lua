--- The merchants of an emulator and their access tokens.
local needs = require "keysecure.emulator.needs"
local rand = needs "openssl.rand"
local cipher = require "keysecure.cipher"

local merchants = {}

---@class keysecure.emulator.Merchants
---@field by_name table<string, table>
local Merchants = {}
Merchants.__index = Merchants

local function hex(bytes)
  return (bytes:gsub(".", function(byte) return string.format("%02x", byte:byte()) end))
end

--- A text that nobody guesses.
---@return string
function merchants.random_token()
  return hex(rand.bytes(24))
end

--- `list` as `options.merchants` makes it.
---@param list table<string, table>
---@return keysecure.emulator.Merchants|nil
---@return any err
function merchants.new(list)
  local self = setmetatable({ by_name = list, by_key = {}, tokens = {}, calls = {} }, Merchants)
  for name, merchant in pairs(list) do
    local object, err = cipher.new(merchant.api_secret)
    if not object then
      return nil, "merchants." .. name .. ".api_secret: " .. tostring(err)
    elseif self.by_key[merchant.api_key] then
      return nil, "two merchants have the Api-Key " .. merchant.api_key
    end
    merchant.name, merchant.cipher = name, object
    self.by_key[merchant.api_key] = merchant
  end
  return self
end

---@param api_key string
---@return table|nil merchant
function Merchants:with_key(api_key)
  return self.by_key[api_key]
end

-- Tokens --------------------------------------------------------------------------------------

function Merchants:drop_tokens(unwanted)
  for token, entry in pairs(self.tokens) do
    if unwanted(entry) then
      self.tokens[token] = nil
    end
  end
end

--- A new access token. The older ones stay good unless there may be one session only [A1].
---@param merchant table
---@param life integer      the clock's life, milliseconds
---@param lifetime integer  milliseconds
---@param single boolean
---@return string
function Merchants:issue_token(merchant, life, lifetime, single)
  self:drop_tokens(function(entry)
    return entry.expires <= life or (single and entry.merchant == merchant)
  end)
  local token = merchants.random_token()
  self.tokens[token] = { merchant = merchant, expires = life + lifetime }
  return token
end

---@param merchant table
---@param token string
---@param life integer
---@return boolean
function Merchants:token_is_good(merchant, token, life)
  local entry = self.tokens[token]
  return entry ~= nil and entry.merchant == merchant and entry.expires > life
end

--- Makes every token bad.
function Merchants:expire_tokens()
  self.tokens = {}
end

-- Calls per second ----------------------------------------------------------------------------

--- Counts a call; whether it is one too many for this second.
---@param merchant table
---@param life integer
---@return boolean
function Merchants:too_frequent(merchant, life)
  if not merchant.rate_limit then
    return false
  end
  local second = math.floor(life / 1000)
  local calls = self.calls[merchant]
  if not calls or calls.second ~= second then
    calls = { second = second, count = 0 }
    self.calls[merchant] = calls
  end
  calls.count = calls.count + 1
  return calls.count > merchant.rate_limit
end

return merchants
