--- The object that `keysecure.new` returns.
local api = require "keysecure.api"
local cipher = require "keysecure.cipher"
local core = require "keysecure.core"
local errors = require "keysecure.errors"
local exchange = require "keysecure.exchange"
local options_of = require "keysecure.options"
local pager = require "keysecure.pager"
local resource = require "keysecure.resource"
local script = require "keysecure.host.script"
local shared_token = require "keysecure.shared_token"
local suggest = require "keysecure.suggest"

---@class keysecure.Client
---@field cardholders table  apply, list, info, each
---@field cards table        apply, list, detail, private_info, activate, update_status, set_pin, …
---@field accounts table     transfer, info, transfers, each_transfer
---@field consumptions table info, list, each
---@field pci table          client_token, card_detail
---@field simulate table     auth, consumption_clear, consumption_fail, reversal, refund
local Client = {}

local client = {}

local function clock_of(options)
  local clock = options.clock
  if not clock then
    return core.now
  end
  return function()
    return core.now(), clock() * 1000
  end
end

-- Raises where a method was called with a dot.
local function check_self(self, called)
  if type(self) ~= "table" or rawget(self, "core") == nil then
    errors.misuse("use ks:" .. called .. ", with a colon")
  end
end

local function check_fields(name, fields)
  if fields ~= nil and type(fields) ~= "table" then
    errors.misuse(name .. ": a table of fields expected, got " .. type(fields))
  end
end

local NONE = {}

local LISTS = {}
for name, operation in pairs(api.operations) do
  LISTS[#LISTS + 1] = operation.paged and name or nil
end

--- Calls an operation by its name, such as "cards.detail"; `ks.cards:detail(…)` is the same.
---@param name string
---@param fields? table
---@param options? {timeout: number?, timezone: string?}  for this call alone
---@return any|nil value
---@return keysecure.Error|nil err
function Client:call(name, fields, options)
  check_self(self, "call(…)")
  local operation = api.operations[name]
  if not operation then
    errors.misuse("no operation '" .. tostring(name) .. "'" .. suggest(name, api.names))
  end
  check_fields(name, fields)
  local refusal = options_of.call_fault(options) or exchange.refusal(self, operation)
  if refusal then
    refusal.operation = name
    return nil, refusal
  end
  return exchange.run(self, operation, fields or NONE, options or NONE)
end

--- Walks all rows of a list operation: see keysecure.pager. Raises an error object where a page
-- can't be had.
---@param name string
---@param fields? table
---@param options? {timeout: number?, timezone: string?}
---@return fun(): table|nil
function Client:each(name, fields, options)
  check_self(self, "each(…)")
  local operation = api.operations[name]
  if not operation or not operation.paged then
    errors.misuse("no list operation '" .. tostring(name) .. "'" .. suggest(name, LISTS))
  end
  check_fields(name, fields)
  local fault = options_of.call_fault(options)
  if fault then
    fault.operation = name
    error(fault, 0)
  end
  local timezone = options and options.timezone or self.options.timezone
  return pager.each(operation, fields or NONE, timezone, function(page)
    return self:call(name, page, options)
  end)
end

--- Runs `fn(item, index)` for each item, at most `limit` at a time, and returns their results in
--- order, then a table of what failed by index, or nil.
---@param limit integer
---@param items any[]
---@param fn fun(item: any, index: integer): any, any
---@return any[] results
---@return table<integer, any>|nil failures
function Client:parallel(limit, items, fn)
  check_self(self, "parallel(…)")
  if type(limit) ~= "number" or limit < 1 or limit ~= limit then
    errors.misuse("parallel: a limit of at least 1 expected")
  elseif type(items) ~= "table" or type(fn) ~= "function" then
    errors.misuse("parallel: expected (limit, items, function)")
  end
  return self.host:parallel(limit, items, fn)
end

--- Seconds, which may be fractions, without keeping calls in flight from going on.
---@param seconds number
function Client:sleep(seconds)
  check_self(self, "sleep(…)")
  if type(seconds) ~= "number" then
    errors.misuse("sleep: a number of seconds expected, got " .. type(seconds))
  end
  self.host:wait((self.now()) + seconds * 1000)
end

local function row_of(self, kind, field, number)
  if type(number) ~= "string" then
    errors.misuse(kind .. ": a number as text expected, got " .. type(number))
  end
  return setmetatable({ [field] = number }, self.rows[kind])
end

--- A card by its number, to call methods on without asking for it first.
---@param card_no string
---@return keysecure.Card
function Client:card(card_no)
  check_self(self, "card(…)")
  return row_of(self, "card", "card_no", card_no)
end

--- A cardholder by its number, to call methods on without asking for it first.
---@param cardholder_no string
---@return keysecure.Cardholder
function Client:cardholder(cardholder_no)
  check_self(self, "cardholder(…)")
  return row_of(self, "cardholder", "cardholder_no", cardholder_no)
end

--- Closes connections; calls in flight end as cancelled.
function Client:close()
  check_self(self, "close()")
  if self.transport.close then
    self.transport:close()
  end
end

local function describe(self)
  return "keysecure client of " .. self.options.address
end

-- A misspelt member is told at once, not as a call of nil.
setmetatable(Client, {
  __index = function(_, name)
    local names = { "cardholders", "cards", "accounts", "consumptions", "pci", "simulate" }
    for member in pairs(Client) do
      names[#names + 1] = member
    end
    error("a client has no '" .. tostring(name) .. "'" .. suggest(name, names), 2)
  end,
})

local function choose_transport(options, host)
  if options.transport then
    return options.transport
  end
  return require("keysecure.transport.curl").new(options, host)
end

--- Builds a client of checked options (keysecure.options).
---@param options table
---@return keysecure.Client|nil
---@return keysecure.Error|nil
function client.new(options)
  local made, err = cipher.new(options.api_secret, { encoding = options.secret_encoding })
  if not made then
    err.field = "api_secret"
    return nil, err
  end
  local now = clock_of(options)
  local host = script.new(now)
  local transport = choose_transport(options, host)
  local self = {
    core = core.client {
      address = options.address .. api.base, api_key = options.api_key,
      language = options.language, secret = options.token_store and options.api_secret,
    },
    cipher = made, now = now, host = host, transport = transport, options = options,
  }
  options.api_key, options.api_secret = nil, nil
  if options.token_store then
    self.shared_token = shared_token.new(self, options.token_store)
  end
  self.rows = resource.rows(self)
  for name, collection in pairs(resource.collections(self)) do
    self[name] = collection
  end
  return setmetatable(self, { __index = Client, __tostring = describe })
end

return client
