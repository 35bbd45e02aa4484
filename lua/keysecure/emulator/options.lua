--- What can be set on an emulator: when it starts, on the command line, and through
-- `POST /_emulator/config` while it runs (all but what is marked `fixed`).
local api = require "keysecure.api"

local options = {}

--- One option.
---@class keysecure.emulator.Option
---@field name string
---@field type "boolean"|"number"|"integer"|"text"|"texts"|"numbers"
---@field default any
---@field fixed? boolean     decided when it starts
---@field enum? string[]
---@field min? number
---@field max? number
---@field optional? boolean  `false` (null in JSON) takes it away
---@field pattern? string
---@field secret? boolean
---@field help string

local FARTHEST = 3660 * 86400 -- seconds; there are moments that no Date can name

---@type keysecure.emulator.Option[]
options.global = {
  { name = "host", type = "text", default = "127.0.0.1", fixed = true,
    help = "address to listen on" },
  { name = "port", type = "integer", default = 0, min = 0, max = 65535, fixed = true,
    help = "port to listen on; 0 takes a free one" },
  { name = "tls", type = "boolean", default = false, fixed = true,
    help = "serve HTTPS with a certificate made at start" },
  { name = "ca_file", type = "text", fixed = true,
    help = "where to write the CA certificate to trust (a temporary file unless given)" },
  { name = "log", type = "text", default = "none", fixed = true,
    help = "none, stderr, or a file to append to" },
  { name = "data", type = "text", fixed = true,
    help = "SQLite file to keep everything in (memory unless given)" },
  { name = "callback_url", type = "text", optional = true, pattern = "^https?://[^%s%c]+$",
    help = "webhook of every merchant that has none of its own" },
  { name = "token_lifetime", type = "number", default = 86400, min = 0,
    help = "seconds that an access token is good for" },
  { name = "single_session", type = "boolean", default = false,
    help = "a new access token ends the merchant's older ones" },
  { name = "kyc_delay", type = "number", default = 0.2, min = 0,
    help = "seconds from Pending to In_progress, and again to the verdict; 0: at once" },
  { name = "issue_delay", type = "number", default = 0.2, min = 0,
    help = "seconds that a card stays Pending; 0: not at all" },
  { name = "clock_offset", type = "number", default = 0, min = -FARTHEST, max = FARTHEST,
    help = "seconds that the server's clock is ahead (or, negative, behind)" },
  { name = "callback_delays", type = "numbers", default = { 1, 5, 30, 60 }, min = 0,
    help = "seconds before each repeat of a callback that was not taken" },
  { name = "callback_timeout", type = "number", default = 5, min = 0.001,
    help = "seconds that a callback other than Auth may take" },
}

options.key_states = { "enabled", "disabled", "expired", "merchant_unknown", "merchant_abnormal" }

---@type keysecure.emulator.Option[]
options.merchant = {
  { name = "api_key", type = "text", fixed = true, pattern = "^[%w%-_.]+$", help = "Api-Key" },
  { name = "api_secret", type = "text", fixed = true, secret = true, help = "apiSecret" },
  { name = "mode", type = "text", fixed = true, enum = { "credit", "authorization" },
    help = "integration mode" },
  { name = "key_state", type = "text", default = "enabled", enum = options.key_states,
    help = "what became of the Api-Key" },
  { name = "pci", type = "boolean", default = true, help = "card data may be shown" },
  { name = "ip_whitelist", type = "texts", optional = true, help = "addresses that may call" },
  { name = "rate_limit", type = "integer", min = 1, optional = true,
    help = "calls per second; above it 1009" },
  { name = "callback_url", type = "text", optional = true, pattern = "^https?://[^%s%c]+$",
    help = "webhook" },
  { name = "signature_order", type = "text", default = "document", enum = { "document", "hash" },
    help = "order of nested members that the signature is made over" },
  { name = "pci_origin", type = "text", optional = true,
    help = "the one Origin that may ask for card data" },
  { name = "parent_origins", type = "texts", optional = true,
    help = "pages that may hold the iframe" },
}

-- Checking ------------------------------------------------------------------------------------

local LUA_TYPE = { boolean = "boolean", number = "number", integer = "number", text = "string",
  texts = "table", numbers = "table" }

local function contains(list, value)
  for _, entry in ipairs(list) do
    if entry == value then
      return true
    end
  end
  return false
end

local function number_fault(option, value)
  if value ~= value or value == math.huge or value == -math.huge then
    return "must be finite"
  elseif option.type == "integer" and value % 1 ~= 0 then
    return "must be a whole number"
  elseif option.min and value < option.min then
    return "must be at least " .. option.min
  elseif option.max and value > option.max then
    return "must be at most " .. option.max
  end
end

local function list_fault(option, list)
  local kind = option.type == "texts" and "string" or "number"
  for _, entry in ipairs(list) do
    if type(entry) ~= kind then
      return "must be a list of " .. kind .. "s"
    end
    local fault = kind == "number" and number_fault(option, entry)
    if fault then
      return "each " .. fault
    end
  end
end

local function text_fault(option, value)
  if option.enum and not contains(option.enum, value) then
    return "must be one of " .. table.concat(option.enum, ", ")
  elseif option.pattern and not value:find(option.pattern) then
    return "has not the right form"
  end
end

local FAULTS = { number = number_fault, integer = number_fault, text = text_fault,
  texts = list_fault, numbers = list_fault, boolean = function() end }

local function fault_of(option, value)
  if value == false and option.optional then
    return nil
  elseif type(value) ~= LUA_TYPE[option.type] then
    return LUA_TYPE[option.type] .. " expected, got " .. type(value)
  end
  return FAULTS[option.type](option, value)
end

local function find(list, name)
  for _, option in ipairs(list) do
    if option.name == name then
      return option
    end
  end
end

--- Why `given` can't be set; nil when it can.
---@param list keysecure.emulator.Option[]
---@param given table
---@param live? boolean  the emulator runs: what is fixed is refused
---@return string|nil fault
function options.fault(list, given, live)
  for name, value in pairs(given) do
    local option = find(list, name)
    if not option then
      return "no such option: " .. tostring(name)
    elseif live and option.fixed then
      return name .. " is decided when the emulator starts"
    end
    local fault = fault_of(option, value)
    if fault then
      return name .. " " .. fault
    end
  end
end

local function merchants_fault(given, known, live)
  for name, merchant in pairs(given) do
    if type(merchant) ~= "table" then
      return "merchants." .. tostring(name) .. ": table expected"
    elseif live and not known[name] then
      return "no such merchant: " .. tostring(name)
    end
    local fault = options.fault(options.merchant, merchant, live)
    if fault then
      return "merchants." .. name .. ": " .. fault
    end
  end
end

--- As `fault`, for the global options with `merchants` (by name) among them.
---@param given table
---@param known table     the merchants there are, by name
---@param live? boolean
---@return string|nil fault
function options.config_fault(given, known, live)
  local global = {}
  for name, value in pairs(given) do
    global[name] = value
  end
  global.merchants = nil
  if given.merchants ~= nil and type(given.merchants) ~= "table" then
    return "merchants: table expected"
  end
  return options.fault(options.global, global, live)
    or merchants_fault(given.merchants or {}, known, live)
end

-- Filling in ----------------------------------------------------------------------------------

local function filled(list, given)
  local result = {}
  for _, option in ipairs(list) do
    local value = given[option.name]
    if value == nil then
      value = option.default
    end
    result[option.name] = value
  end
  return result
end

--- The global options with their defaults.
---@param given table
---@return table
function options.defaults(given)
  return filled(options.global, given)
end

--- The merchants of an emulator: the two well-known ones, changed and joined by those given.
---@param given? table<string, table>
---@return table<string, table>|nil merchants
---@return string|nil fault
function options.merchants(given)
  local result = {}
  for name, known in pairs(api.environments.emulator.merchants) do
    result[name] = { api_key = known.api_key, api_secret = known.api_secret, mode = name }
  end
  for name, merchant in pairs(given or {}) do
    result[name] = result[name] or {}
    for key, value in pairs(merchant) do
      result[name][key] = value
    end
  end
  for name, merchant in pairs(result) do
    if not (merchant.api_key and merchant.api_secret and merchant.mode) then
      return nil, "merchants." .. name .. " needs api_key, api_secret and mode"
    end
    result[name] = filled(options.merchant, merchant)
  end
  return result
end

return options
