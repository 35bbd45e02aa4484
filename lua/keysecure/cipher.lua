--- Encryption of single fields and of private card data: AES/ECB/PKCS5 with Base64 around it.
--
-- The key is the merchant's `apiSecret`. How its text becomes bytes is not published; the bytes of
-- the text itself are assumed [A6], Base64 and hexadecimal can be asked for.

local core = require "keysecure.core"
local errors = require "keysecure.errors"
local suggest = require "keysecure.suggest"

local ENCODINGS = { "utf8", "base64", "hex" }

---@class keysecure.Cipher
---@field private core userdata
local Cipher = {}
Cipher.__index = Cipher

function Cipher:__tostring()
  return "keysecure.cipher"
end

local cipher = {}

local function read_encoding(options)
  if options == nil then
    return "utf8"
  elseif type(options) ~= "table" then
    error("cipher.new: the options must be a table, not a " .. type(options), 3)
  end
  for name in pairs(options) do
    if name ~= "encoding" then
      error("cipher.new: unknown option '" .. tostring(name) .. "'"
        .. suggest(name, { "encoding" }), 3)
    end
  end
  local encoding = options.encoding or "utf8"
  for _, known in ipairs(ENCODINGS) do
    if encoding == known then
      return encoding
    end
  end
  error("cipher.new: the encoding must be 'utf8', 'base64' or 'hex'", 3)
end

-- What the secret would be in each encoding, for the one who has to find the right one [A6].
local function readings(secret)
  local list = {}
  for i, encoding in ipairs(ENCODINGS) do
    local found, size = core.cipher(secret, encoding)
    size = found and "a key" or size and size .. " bytes" or "not possible"
    list[i] = encoding .. ": " .. size
  end
  return table.concat(list, ", ")
end

--- Makes a cipher of the merchant's secret. `options.encoding` says how the secret's text becomes
--- the bytes of the key: "utf8" (its bytes as they are, the default [A6]), "base64" or "hex".
--- Raises on misuse. Returns `nil, err` (kind "invalid", field "api_secret") when the key would not
--- have the 16, 24 or 32 bytes of AES; `err` names the three readings and never the secret.
---@param secret string
---@param options? { encoding?: "utf8"|"base64"|"hex" }
---@return keysecure.Cipher?
---@return keysecure.Error? err
function cipher.new(secret, options)
  if type(secret) ~= "string" then
    error("cipher.new: the secret must be a string, not a " .. type(secret), 2)
  end
  local encoding = read_encoding(options)
  local handle = core.cipher(secret, encoding)
  if handle then
    return setmetatable({ core = handle }, Cipher)
  end
  return nil, errors.new {
    kind = "invalid",
    field = "api_secret",
    message = "read as " .. encoding .. " the secret is no AES key of 16, 24 or 32 bytes ("
      .. readings(secret) .. ")",
  }
end

local function check(self, method, name, text)
  if getmetatable(self) ~= Cipher then
    error("use cipher:" .. method .. "(" .. name .. ") with a colon", 3)
  elseif type(text) ~= "string" then
    error("cipher:" .. method .. ": the " .. name .. " must be a string, not a " .. type(text), 3)
  end
end

local function refusal(message)
  return errors.new { kind = "crypto", message = message }
end

--- Encrypts a text of at most 1 MiB. Raises on misuse; a longer text is `nil, err` (kind "crypto").
---@param text string
---@return string? base64
---@return keysecure.Error? err
function Cipher:encrypt(text)
  check(self, "encrypt", "text", text)
  local base64, message = self.core:encrypt(text)
  if base64 then
    return base64
  end
  return nil, refusal(message)
end

--- Decrypts what the platform encrypted. Leads with a boolean, so that no mix-up can take a text
--- for an error or print one. Raises on misuse. `nil, err` (kind "crypto") when it is not strict
--- Base64, not whole blocks, or does not open: a wrong key and a damaged text look the same.
---@param base64 string
---@return true?
---@return string|keysecure.Error text_or_err
function Cipher:decrypt(base64)
  check(self, "decrypt", "base64", base64)
  local text, message = self.core:decrypt(base64)
  if text then
    return true, text
  end
  return nil, refusal(message)
end

return cipher
