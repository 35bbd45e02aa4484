--- The options of a client: what there is, what each must be, and where the environment says it.
local api = require "keysecure.api"
local datetime = require "keysecure.datetime"
local errors = require "keysecure.errors"
local suggest = require "keysecure.suggest"
local token_store = require "keysecure.token_store"

local options = {}

---@class keysecure.Options
---@field environment? "production"|"sandbox"|"emulator"  where the platform is
---@field address? string        an address of your own, such as "https://gateway.example"
---@field api_key string
---@field api_secret string      never kept in readable form
---@field secret_encoding? "utf8"|"base64"|"hex"  how api_secret spells the AES key [A6]
---@field mode? "credit"|"authorization"  lets operations of the other mode be refused here
---@field timeout? number        seconds for one call, all attempts and waits included (30)
---@field connect_timeout? number  seconds for one connection (10)
---@field timezone? string       of start_time and end_time ("UTC+8")
---@field language? "en_US"|"zh_CN"  of the platform's messages
---@field ca_file? string        certificates to trust instead of the system's
---@field pinned_key? string     "sha256//…" of the server's public key; any other is refused
---@field proxy? string          address of a proxy; "" for none, nothing for the environment's
---@field max_response? integer  bytes of one answer (8 MiB)
---@field max_connections? integer  open at once, idle ones included; what is over waits (256)
---@field http2? boolean         offer HTTP/2 over TLS (true)
---@field transport? "curl"|"resty"|table  libcurl; OpenResty's cosockets; or your own, see
---  keysecure.transport.curl for the contract
---@field keepalive_timeout? number  seconds that an idle connection is kept (60; resty)
---@field keepalive_pool? integer  idle connections that each worker keeps (64; resty)
---@field token_store? keysecure.TokenStore  shares the access token with other processes
---@field host? "script"|"tick"|"cqueues"|"luv"|"openresty"|table  how calls wait ("script"; with
---  transport "resty" "openresty"): docs/hosts.md
---@field clock? fun(): number   Unix seconds, in place of this machine's clock
---@field settle? boolean        find out what became of a write whose answer was lost (true)
---@field on_event? fun(event: table)  told of requests and of calls' ends; may raise in vain

-- Each option: its type; `env`: the environment variable that may say it; `method`: a table with
-- this function will do as well.
local KNOWN = {
  environment = { type = "string", env = "KEYSECURE_ENVIRONMENT" },
  address = { type = "string", env = "KEYSECURE_ADDRESS" },
  api_key = { type = "string", env = "KEYSECURE_API_KEY" },
  api_secret = { type = "string", env = "KEYSECURE_API_SECRET" },
  secret_encoding = { type = "string", env = "KEYSECURE_SECRET_ENCODING" },
  mode = { type = "string", env = "KEYSECURE_MODE" },
  timeout = { type = "number", default = 30 },
  connect_timeout = { type = "number", default = 10 },
  timezone = { type = "string", default = api.default_timezone, env = "KEYSECURE_TIMEZONE" },
  language = { type = "string" },
  ca_file = { type = "string", env = "KEYSECURE_CA_FILE" },
  pinned_key = { type = "string" },
  proxy = { type = "string" },
  max_response = { type = "number", default = 8 * 1024 * 1024 },
  max_connections = { type = "number", default = 256 },
  http2 = { type = "boolean", default = true },
  transport = { type = "string", method = "perform", default = "curl" },
  token_store = { type = "table" },
  host = { type = "string", method = "new", default = "script" },
  keepalive_timeout = { type = "number", default = 60 },
  keepalive_pool = { type = "number", default = 64 },
  settle = { type = "boolean", default = true },
  clock = { type = "function" },
  on_event = { type = "function" },
}

local NAMES = {}
for name in pairs(KNOWN) do
  NAMES[#NAMES + 1] = name
end
table.sort(NAMES)

--- What the environment variables say.
---@return table
function options.from_env()
  local given = {}
  for name, known in pairs(KNOWN) do
    local value = known.env and os.getenv(known.env)
    if value and value ~= "" then
      given[name] = value
    end
  end
  return given
end

local function check_type(name, known, value)
  if known.method and type(value) == "table" then
    if type(value[known.method]) ~= "function" then
      errors.misuse("option " .. name .. ": a table with a function '" .. known.method
        .. "' expected")
    end
  elseif type(value) ~= known.type then
    errors.misuse("option " .. name .. ": " .. known.type .. " expected, got " .. type(value))
  end
end

-- Raises for misuse; copies with the defaults filled in.
local function checked(given)
  local result = {}
  for name, value in pairs(given) do
    local known = KNOWN[name]
    if not known then
      errors.misuse("no option '" .. tostring(name) .. "'" .. suggest(name, NAMES))
    end
    check_type(name, known, value)
    result[name] = value
  end
  local lacking = result.token_store and token_store.fault(result.token_store)
  if lacking then
    errors.misuse("option token_store: " .. lacking)
  end
  if result.transport == "resty" and result.host == nil then
    result.host = "openresty"
  end
  for name, known in pairs(KNOWN) do
    if result[name] == nil then
      result[name] = known.default
    end
  end
  return result
end

local LOOPBACK = { ["localhost"] = true, ["[::1]"] = true }

local function is_loopback(host)
  return LOOPBACK[host] or host:find("^127%.%d+%.%d+%.%d+$") ~= nil
end

local function address_fault(address)
  local scheme, host, rest = address:match("^(https?)://(%[[%x:]+%])(.*)$")
  if not scheme then
    scheme, host, rest = address:match("^(https?)://([%w%.%-]+)(.*)$")
  end
  if not scheme or not (rest == "" or rest:find("^:%d+$") or rest:find("^:?%d*/[%w%._~/%-]*$")) then
    return "must be https://host[:port][/path]"
  elseif scheme == "http" and not is_loopback(host) then
    return "must be https: plain http is for this machine alone"
  elseif #address > 512 then
    return "must have at most 512 characters"
  end
end

local function one_of(names, value)
  for _, name in ipairs(names) do
    if name == value then
      return nil
    end
  end
  return "must be one of " .. table.concat(names, ", ")
end

-- What is wrong with an option's value, in the order in which it is told.
local RULES = {
  { "environment", function(value)
    return one_of({ "production", "sandbox", "emulator" }, value)
  end },
  { "mode", function(value)
    return one_of({ "credit", "authorization" }, value)
  end },
  { "address", address_fault },
  { "api_key", function(value)
    return not value:find("^[\33-\126]+$") and "must be printable ASCII without spaces"
      or #value > 512 and "must have at most 512 characters" or nil
  end },
  { "secret_encoding", function(value)
    return one_of({ "utf8", "base64", "hex" }, value)
  end },
  { "timezone", function(value)
    return not datetime.zone_offset(value) and 'must be such as "UTC+8"' or nil
  end },
  { "host", function(value)
    return type(value) == "string"
      and one_of({ "script", "tick", "cqueues", "luv", "openresty" }, value) or nil
  end },
  { "transport", function(value)
    return type(value) == "string" and one_of({ "curl", "resty" }, value) or nil
  end },
  { "language", function(value)
    return one_of(api.languages, value)
  end },
}
RULES[#RULES + 1] = { "max_connections", function(value)
  return not (value >= 1 and value <= 65535 and value % 1 == 0) and "must be from 1 to 65535" or nil
end }
for _, name in ipairs { "timeout", "connect_timeout", "max_response", "keepalive_timeout",
  "keepalive_pool" } do
  RULES[#RULES + 1] = { name, function(value)
    return not (value > 0 and value < 1e9) and "must be more than zero" or nil
  end }
end

-- The environment says the address; the emulator's keys are known to all.
local function complete(result)
  local environment = api.environments[result.environment]
  if not environment then
    return
  end
  result.address = result.address or environment.address
  if environment.merchants and not result.api_key then
    result.mode = result.mode or "credit"
    local merchant = environment.merchants[result.mode] or {}
    result.api_key, result.api_secret = merchant.api_key, merchant.api_secret
  end
end

-- What does not go with transport "resty", and what to say of it.
local NOT_WITH_RESTY = {
  ca_file = 'with transport "resty" nginx.conf says whom to trust: lua_ssl_trusted_certificate',
  pinned_key = 'transport "resty" can\'t look at the server\'s key; transport "curl" can',
}

local function combination_fault(result)
  if result.transport ~= "resty" then
    return nil
  elseif result.host ~= "openresty" then
    return "host", 'transport "resty" waits as nginx does: host must be "openresty"'
  end
  for name, message in pairs(NOT_WITH_RESTY) do
    if result[name] then
      return name, message
    end
  end
end

-- The option to name, what to say of it, and the one that must be there.
local REQUIRED = {
  { "environment", "is required: production, sandbox or emulator (KEYSECURE_ENVIRONMENT); or an"
    .. " address of your own", "address" },
  { "api_key", "is required (KEYSECURE_API_KEY)" },
  { "api_secret", "is required (KEYSECURE_API_SECRET)" },
}

local function invalid(name, message)
  return errors.new { kind = "invalid", field = name, message = message }
end

local function fault_of(name, value)
  for _, rule in ipairs(RULES) do
    if rule[1] == name then
      return rule[2](value)
    end
  end
end

local CALL_OPTIONS = { "timeout", "timezone", "settle" }

local IS_CALL_OPTION = {}
for _, name in ipairs(CALL_OPTIONS) do
  IS_CALL_OPTION[name] = true
end

--- Checks the options of a single call or wait; raises for an unknown option or a wrong type.
---@param given? {timeout: number?, timezone: string?, settle: boolean?}
---@return keysecure.Error|nil
function options.call_fault(given)
  if given == nil then
    return nil
  elseif type(given) ~= "table" then
    errors.misuse("a table of call options expected, got " .. type(given))
  end
  for name, value in pairs(given) do
    if name == "done" then
      errors.misuse "call option done: only of ks.cards:detail and the like; use ks:spawn(fn, done)"
    elseif not IS_CALL_OPTION[name] then
      errors.misuse("a call takes no option '" .. tostring(name) .. "'"
        .. suggest(name, CALL_OPTIONS))
    elseif type(value) ~= KNOWN[name].type then
      errors.misuse("call option " .. name .. ": " .. KNOWN[name].type .. " expected, got "
        .. type(value))
    end
    local fault = fault_of(name, value)
    if fault then
      return invalid(name, fault)
    end
  end
end

--- Checks `given`; raises for an unknown option or a wrong type.
---@param given keysecure.Options
---@return table|nil result  a copy, complete
---@return keysecure.Error|nil
function options.check(given)
  if type(given) ~= "table" then
    errors.misuse("a table of options expected, got " .. type(given))
  end
  local result = checked(given)
  complete(result)
  for _, rule in ipairs(RULES) do
    local name, fault = rule[1], nil
    if result[name] ~= nil then
      fault = rule[2](result[name])
    end
    if fault then
      return nil, invalid(name, fault)
    end
  end
  local name, fault = combination_fault(result)
  if name then
    return nil, invalid(name, fault)
  end
  for _, entry in ipairs(REQUIRED) do
    if not result[entry[3] or entry[1]] then
      return nil, invalid(entry[1], entry[2])
    end
  end
  result.address = result.address:gsub("/+$", "")
  return result
end

return options
