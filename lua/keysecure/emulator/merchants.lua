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

--- `list` as `options.merchants` makes it; `platform`, whose store keeps the tokens.
---@param list table<string, table>
---@param platform table
---@return keysecure.emulator.Merchants|nil
---@return any err
function merchants.new(list, platform)
  local self = setmetatable({ by_name = list, by_key = {}, platform = platform, calls = {} },
    Merchants)
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

local function drop_tokens(self, unwanted)
  local store = self.platform.store
  local all = store:rows("tokens")
  for i = #all, 1, -1 do
    if unwanted(all[i]) then
      store:remove("tokens", all[i])
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
  drop_tokens(self, function(row)
    return row.expires <= life or (single and row.owner == merchant.api_key)
  end)
  return self.platform.store:insert("tokens", { owner = merchant.api_key,
    token = merchants.random_token(), expires = life + lifetime }).token
end

---@param merchant table
---@param token string
---@param life integer
---@return boolean
function Merchants:token_is_good(merchant, token, life)
  local row = self.platform.store:find("tokens", "token", token, merchant.api_key)
  return row ~= nil and row.expires > life
end

--- Makes every token bad.
function Merchants:expire_tokens()
  drop_tokens(self, function() return true end)
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
