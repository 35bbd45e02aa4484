--- keysecure: issue payment cards on the KeySecure merchant platform.
--
--     local keysecure = require "keysecure"
--     local ks = assert(keysecure.from_env())
--     local holder = assert(ks.cardholders:apply { cardholder_unique_no = "U-1001", … })
local client = require "keysecure.client"
local core = require "keysecure.core"
local errors = require "keysecure.errors"
local how = require "keysecure.how"
local options = require "keysecure.options"

local keysecure = { _VERSION = "0.1.0-dev" }

if core.version ~= keysecure._VERSION then
  error(string.format("keysecure %s found keysecure.core %s: install them together",
    keysecure._VERSION, tostring(core.version)))
end

--- Whether a value is an error object of this library.
keysecure.is_error = errors.is

--- How the call went that returned a row: attempts, waited, lookups, settled. Of any other value
-- there is nothing to tell but that it went as usual.
---@type fun(value: any): keysecure.How
keysecure.how = how.of

--- As Lua's own `assert`, for PUC Lua 5.1, whose own raises nothing but text. An error of this
-- library is raised as it is.
---@generic T
---@param value T
---@param err? any
---@return T
function keysecure.assert(value, err)
  if not value then
    error(err == nil and "assertion failed!" or err, 0)
  end
  return value
end

--- Makes a client. Nothing is connected before its first call.
---@param given keysecure.Options  raises for an unknown option or a wrong type
---@return keysecure.Client|nil
---@return keysecure.Error|nil err  kind "invalid", naming the option in `field`
function keysecure.new(given)
  local checked, err = options.check(given)
  if not checked then
    return nil, err
  end
  return client.new(checked)
end

--- As `new`, with the options that KEYSECURE_API_KEY, KEYSECURE_API_SECRET, KEYSECURE_ENVIRONMENT,
-- KEYSECURE_MODE, KEYSECURE_ADDRESS, KEYSECURE_CA_FILE, KEYSECURE_TIMEZONE and
-- KEYSECURE_SECRET_ENCODING give; `overrides` go before them.
---@param overrides? keysecure.Options
---@return keysecure.Client|nil
---@return keysecure.Error|nil
function keysecure.from_env(overrides)
  local given = options.from_env()
  for name, value in pairs(overrides or {}) do
    given[name] = value
  end
  return keysecure.new(given)
end

return keysecure
