--- The object that `keysecure.new` returns.
local api = require "keysecure.api"
local cipher = require "keysecure.cipher"
local core = require "keysecure.core"
local errors = require "keysecure.errors"
local exchange = require "keysecure.exchange"
local options_of = require "keysecure.options"
local pager = require "keysecure.pager"
local resource = require "keysecure.resource"
local settle = require "keysecure.settle"
local shared_token = require "keysecure.shared_token"
local stats = require "keysecure.stats"
local suggest = require "keysecure.suggest"

---@class keysecure.Client
---@field cardholders table  apply, list, info, each, settle
---@field cards table        apply, list, detail, private_info, activate, update_status, set_pin, …
---@field accounts table     transfer, info, transfers, each_transfer, settle
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

local LISTS, SETTLED = {}, {}
for name, operation in pairs(api.operations) do
  LISTS[#LISTS + 1] = operation.paged and name or nil
  SETTLED[#SETTLED + 1] = operation.unique and name or nil
end

local function operation_of(name)
  return api.operations[name]
    or errors.misuse("no operation '" .. tostring(name) .. "'" .. suggest(name, api.names))
end

--- Calls an operation by its name, such as "cards.detail"; `ks.cards:detail(…)` is the same.
---@param name string
---@param fields? table
---@param options? {timeout: number?, timezone: string?, settle: boolean?}  for this call alone
---@return any|nil value
---@return keysecure.Error|nil err
function Client:call(name, fields, options)
  check_self(self, "call(…)")
  local operation = operation_of(name)
  check_fields(name, fields)
  local fault = options_of.call_fault(options)
  self.host:check()
  local refusal = fault or exchange.refusal(self, operation)
  if refusal then
    refusal.operation = name
    return nil, refusal
  end
  local run = operation.settle and settle.run or exchange.run
  return run(self, operation, fields or NONE, options or NONE)
end

--- Finds a row by the number that you gave it, such as after a crash that left it in doubt whether
-- it was made: `ks.accounts:settle { transfer_unique_no = "T-1" }` is the same. Other fields of the
-- operation may be given; the row must have them so. `since`: the earliest moment at which it can
-- have been made, Unix seconds; 87 days ago where you don't say.
---@param name string  "cardholders.apply", "cards.apply" or "accounts.transfer"
---@param fields table
---@param options? {timeout: number?, timezone: string?}
---@return table|nil row
---@return keysecure.Error|nil err  outcome "unknown" and name "unsettled": it isn't there and may
---  still come, see `err:wait_settled`
function Client:settle(name, fields, options)
  check_self(self, "settle(…)")
  local operation = api.operations[name]
  if not operation or not operation.unique then
    errors.misuse("nothing that could be settled: '" .. tostring(name) .. "'"
      .. suggest(name, SETTLED))
  end
  check_fields(name, fields)
  self.host:check()
  local refusal = options_of.call_fault(options) or exchange.refusal(self, operation)
  if refusal then
    refusal.operation = name
    return nil, refusal
  end
  return settle.find(self, operation, fields or NONE, options or NONE)
end

-- What an operation takes, without `done`.
local function split_done(options)
  local rest = {}
  for name, value in pairs(options) do
    rest[name] = value
  end
  rest.done = nil
  if type(options.done) ~= "function" then
    errors.misuse("call option done: function expected, got " .. type(options.done))
  end
  return options.done, rest
end

-- The caller may use its table again before a call that doesn't wait is through with it, or has
-- begun: cqueues lets coroutines begin in its own time.
local function copy_of(fields)
  local copy = {}
  for name, value in pairs(fields) do
    copy[name] = type(value) == "table" and copy_of(value) or value
  end
  return copy
end

--- As `call`, without waiting: `options.done(value, err)` is called from a later `step`. This is
-- what `ks.cards:detail({…}, { done = fn })` does. A mistake in the arguments is raised here.
---@param name string
---@param fields? table
---@param options {done: fun(value: any, err: keysecure.Error|nil), timeout: number?}
function Client:begin(name, fields, options)
  check_self(self, "begin(…)")
  local operation = operation_of(name)
  local done, rest = split_done(options)
  check_fields(name, fields)
  exchange.prepare(self, operation, fields or NONE)
  self.host:spawn(self.call, done, self, name, copy_of(fields or NONE), rest)
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
  self.host:check()
  return self.host:parallel(limit, items, fn)
end

--- Runs `fn(…)` as a coroutine in which calls read as if they blocked, until it waits for the first
--- time. `done` is called from a later `step` with what it returned, or with nil and what it
--- raised; without `done`, that `step` raises it.
---@param fn fun(...): ...
---@param done? fun(...)
---@param ... any  arguments of fn
function Client:spawn(fn, done, ...)
  check_self(self, "spawn(…)")
  if type(fn) ~= "function" or (done ~= nil and type(done) ~= "function") then
    errors.misuse("spawn: expected (function, function or nil, …)")
  end
  self.host:spawn(fn, done, ...)
end

--- Seconds, which may be fractions, without keeping calls in flight from going on. Raises an error
--- object, kind "cancelled", where the client is closed or has been.
---@param seconds number
function Client:sleep(seconds)
  check_self(self, "sleep(…)")
  if type(seconds) ~= "number" then
    errors.misuse("sleep: a number of seconds expected, got " .. type(seconds))
  end
  self.host:check()
  if not self.host:wait((self.now()) + seconds * 1000) then
    error(errors.new { kind = "cancelled", message = "the client was closed" }, 0)
  end
end

--- Does what there is to do without waiting: once a frame, or whenever `pollfd` is readable or
--- `timeout` has passed.
---@param budget? number  seconds it may take; what is left then is done by the next step
function Client:step(budget)
  check_self(self, "step(…)")
  if budget ~= nil and type(budget) ~= "number" then
    errors.misuse("step: a number of seconds expected, got " .. type(budget))
  end
  self.host:step(budget)
end

--- The descriptor to poll for reading between steps. Ask again after a fork.
---@return integer|nil descriptor  nil: there is none, on this system or after `close`
function Client:pollfd()
  check_self(self, "pollfd()")
  return self.host:pollfd()
end

--- What to poll the descriptor for: "r", always.
---@return string
function Client:events()
  check_self(self, "events()")
  return self.host:events()
end

--- Seconds until `step` is wanted whatever the descriptor says.
---@return number|nil  nil: not before it is readable
function Client:timeout()
  check_self(self, "timeout()")
  return self.host:timeout()
end

--- How many spawned functions, and calls with `done`, have not ended yet.
---@return integer
function Client:pending()
  check_self(self, "pending()")
  return self.host:pending()
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

--- What this client has counted so far: see keysecure.stats; and `retry_budget`, what is left of
--- the budget that all clients share.
---@return table
function Client:stats()
  check_self(self, "stats()")
  local counts = self.counted:snapshot()
  counts.retry_budget = self.budget:left()
  return counts
end

--- Answers the platform's callbacks with this client's keys: see keysecure.webhook.
---@param options? keysecure.webhook.Options
---@return keysecure.Webhook
function Client:webhook(options)
  check_self(self, "webhook(…)")
  return require("keysecure.webhook").of_client(self, options)
end

--- Closes connections; calls in flight and pauses end as cancelled, and everybody who waits has
--- heard of it before this returns. What a `done` raises then is raised at the end.
function Client:close()
  check_self(self, "close()")
  self.host:release()
  if self.transport.close then
    self.transport:close()
  end
  self.host:close()
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

local function choose_host(options, now)
  local host = options.host
  return (type(host) == "table" and host or require("keysecure.host." .. host)).new(now)
end

local function choose_transport(options, host)
  local transport = options.transport
  if type(transport) == "table" then
    return transport
  end
  return require("keysecure.transport." .. transport).new(options, host)
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
  local host = choose_host(options, now)
  local transport = choose_transport(options, host)
  local budget = core.shared_budget()
  local carries = options.transport == "curl"
  local self = {
    core = core.client {
      carried = carries,
      address = options.address .. api.base, api_key = options.api_key,
      language = options.language, secret = options.token_store and options.api_secret,
      budget = budget,
    },
    verifier = core.verifier(options.api_key, options.api_secret),
    budget = budget, counted = stats.new(),
    cipher = made, now = now, host = host, transport = transport, options = options,
    carries = carries, spare = {},
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
