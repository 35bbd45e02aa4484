--- The library's client against an emulator over HTTP: what the specs of the client stand on.
local api = require "keysecure.api"
local core = require "keysecure.core"
local emulator = require "keysecure.emulator"
local keysecure = require "keysecure"

local support = {}

-- An emulator and its clients -----------------------------------------------------------------

local World = {}
World.__index = World

--- The world around an emulator that somebody has started. `last`: the last number that a unique
--- text of it bears.
function support.attach(handle, last)
  return setmetatable({ emulator = handle, clients = {}, last = last or 0,
    address = handle.address, merchants = handle.merchants }, World)
end

--- Starts an emulator where nothing takes time unless asked to, and a client in each mode: `ks` and
--- `authorization`.
---@param options? table  of keysecure.emulator.start
function support.start(options)
  local given = { kyc_delay = 0, issue_delay = 0 }
  for name, value in pairs(options or {}) do
    given[name] = value
  end
  local self = support.attach(assert(emulator.start(given)))
  self.ks = self:client()
  self.authorization = self:client { mode = "authorization" }
  return self
end

function World:stop()
  for _, client in ipairs(self.clients) do
    client:close()
  end
  self.emulator:stop()
end

--- The options of a client of this emulator; a value of false leaves an option out.
function World:options(changes)
  local mode = changes and changes.mode or "credit"
  local merchant = self.merchants[changes and changes.merchant or mode]
  local options = { address = self.address, ca_file = self.emulator.ca_file, timeout = 20,
    api_key = merchant.api_key, api_secret = merchant.api_secret, mode = mode }
  for name, value in pairs(changes or {}) do
    options[name] = value
  end
  options.merchant = nil
  for name, value in pairs(options) do
    options[name] = value ~= false and value or nil
  end
  return options
end

--- Another client. `changes`: options, and `merchant`, whose keys to take where not the mode's.
function World:client(changes)
  local client = assert(keysecure.new(self:options(changes)))
  self.clients[#self.clients + 1] = client
  return client
end

--- The client that may call this operation.
function World:of(operation)
  return operation.mode == "authorization" and self.authorization or self.ks
end

function World:control(...)
  return assert(self.emulator:control(...))
end

function World:configure(changes)
  self:control("POST", "config", changes)
end

--- Answers `code` to the next call of an operation, or to all of them; with a full budget for what
--- comes of it, since all clients of this process share one.
function World:fault(operation, code, times)
  self.ks.budget:earn(100)
  self:control("POST", "faults", { operation = operation, code = code, times = times })
end

function World:no_faults()
  self:control("DELETE", "faults")
end

function World:stats()
  return self:control("GET", "stats")
end

--- What the emulator counted while `fn` ran: requests, requests for a token, Timestamps in its
--- future, and requests by operation.
function World:counted(fn)
  local before = self:stats()
  fn()
  local after = self:stats()
  local of = setmetatable({}, { __index = function(_, name)
    return (after.requests[name] or 0) - (before.requests[name] or 0)
  end })
  return { total = after.total - before.total, of = of,
    token_requests = after.token_requests - before.token_requests,
    future_timestamps = after.future_timestamps - before.future_timestamps }
end

--- A text that nothing had before.
function World:unique(prefix)
  self.last = self.last + 1
  return (prefix or "n") .. "-" .. self.last
end

-- Rows to work with ---------------------------------------------------------------------------

function World:holder(ks)
  local holder = assert((ks or self.ks).cardholders:apply {
    cardholder_unique_no = self:unique "holder", sumsub_share_token = "share" })
  return assert(holder:refresh())
end

support.address_info = {
  first_name = "Ada", last_name = "Lovelace", phone_code = "44", phone = "2071234567",
  postal_code = "SW1Y 4JH", country = "GB", state = "London", city = "London",
  address_line1 = "12 St. James's Square", address_line2 = "Flat 2",
}

--- A new card, Activated (Virtual) or ToActivate (Physical), and its holder.
function World:card(kind, ks, holder)
  ks = ks or self.ks
  holder = holder or self:holder(ks)
  local fields = { card_type = kind or "Virtual", card_unique_no = self:unique "card",
    address_info = kind == "Physical" and support.address_info or nil }
  if ks.options.mode == "authorization" then
    fields.card_bin_no = "B-1"
  else
    fields.package_no = kind == "Physical" and "P-2" or "P-1"
  end
  local card = assert(holder:apply_card(fields))
  return assert(card:refresh()), holder
end

--- What is printed on a card.
function World:plastic(card)
  return self:control("GET", "card/" .. card.card_no)
end

--- A physical card that its holder has activated.
function World:activated_physical()
  local card, holder = self:card "Physical"
  local plastic = self:plastic(card)
  assert(card:activate { cvv = plastic.cvv, card_last_no = plastic.card_last_no })
  return card, holder
end

function World:fund(holder, amount)
  return assert(holder:transfer { type = "In", balance = amount or "100.00",
    transfer_unique_no = self:unique "transfer" })
end

--- A purchase that was approved, its card and its holder.
function World:purchase(amount)
  local card, holder = self:card()
  self:fund(holder)
  local purchase = assert(self.ks.simulate:auth { card_no = card.card_no,
    amount = amount or "12.50" })
  return purchase.consume_no, card, holder
end

-- A time around now, as fields of a list.
function support.window(days_before, days_after)
  local now = math.floor(select(2, core.now()) / 1000)
  return { start_time = os.date("!%Y-%m-%d", now - (days_before or 2) * 86400),
    end_time = os.date("!%Y-%m-%d", now + (days_after or 2) * 86400) }
end

-- What an operation takes -----------------------------------------------------------------------

local SAMPLE_TEXT = { type = "In", card_type = "Virtual", status = "Frozen", balance = "1.00",
  amount = "1.00", cvv = "190", pin = "135790", card_last_no = "1111", page = 0, size = 10,
  start_time = "2026-01-01", end_time = "2026-01-02", local_currency = "EUR",
  local_amount = "0.90", apple_pay = true, final = true,
  merchant_info = { merchant_name = "Shop" } }

local function sample_of(operation, field)
  if field.type == "object" and field.name == "address_info" then
    return support.address_info
  elseif operation.name == "cards.packages" and field.name == "type" then
    return "Virtual"
  elseif operation.name == "simulate.auth" and field.name == "type" then
    return "Consumption"
  end
  return SAMPLE_TEXT[field.name] or "x-1"
end

--- Every field of an operation that its mode lets be given, each with a value that keeps the rules.
function support.sample(operation)
  local fields = {}
  local mode = operation.mode == "authorization" and "authorization" or "credit"
  for _, field in ipairs(operation.params) do
    if not api.modes[field.required] or field.required == mode then
      fields[field.name] = sample_of(operation, field)
    end
  end
  return fields
end

--- Calls that break nothing but are answered by a fault: an operation with its least fields.
function support.least(operation)
  local fields = support.sample(operation)
  for _, field in ipairs(operation.params) do
    if field.required == nil or field.type == "object" then
      fields[field.name] = nil
    end
  end
  return fields
end

-- Looking at answers ----------------------------------------------------------------------------

local function is_integer(value)
  return type(value) == "number" and value % 1 == 0
    and (math.type == nil or math.type(value) == "integer")
end

local looks = {}

local LOOK = {
  text = function(value) return type(value) == "string" end,
  id = function(value) return type(value) == "string" and value:find("^[%w_%-]*$") end,
  money = function(value) return type(value) == "string" and value:find("^%-?%d+%.?%d*$") end,
  time = function(value)
    return is_integer(value) and value > 1.4e12 and value < 3e12
      and not tostring(value):find("[^%d]")
  end,
  number = function(value) return type(value) == "number" end,
  boolean = function(value) return type(value) == "boolean" end,
  any = function(value) return value ~= nil end,
  object = function(value, field, path)
    looks.fields(field.fields, value, path)
    return true
  end,
  list = function(value, field, path)
    for i, row in ipairs(value) do
      looks.fields(field.fields, row, path .. "[" .. i .. "]")
    end
    return true
  end,
}

-- Every field that is promised must be there, and be what it is promised to be.
function looks.fields(fields, row, path)
  for _, field in ipairs(fields) do
    local value, here = row[field.name], path .. "." .. field.name
    if value == nil then
      error(here .. " is missing", 0)
    elseif not LOOK[field.type](value, field, here) then
      error(here .. " is no " .. field.type .. ": " .. tostring(value), 0)
    end
  end
end

--- Raises where `row` isn't what `api` says `name` answers; `but` names the fields that may miss.
function support.check_row(name, row, but)
  local fields = {}
  for _, field in ipairs(api.operations[name].data) do
    if not (but and but[field.name] and row[field.name] == nil) then
      fields[#fields + 1] = field
    end
  end
  looks.fields(fields, row, name)
end

--- Checks that a call was refused: `support.refused({ code = 4005, field = … }, call(…))`.
function support.refused(expected, value, err)
  if value ~= nil or not keysecure.is_error(err) then
    error("expected a refusal, got " .. tostring(value) .. ", " .. tostring(err), 2)
  end
  if expected.code then
    expected.kind = expected.kind or "api"
    expected.name = expected.name or (api.codes[expected.code] or {}).name
    expected.outcome = expected.outcome or "refused"
  end
  for name, wanted in pairs(expected) do
    if err[name] ~= wanted then
      error(string.format("%s: expected %s, got %s (%s)", name, tostring(wanted),
        tostring(err[name]), tostring(err)), 2)
    end
  end
  return err
end

--- The message that `fn(...)` raises.
function support.raised(fn, ...)
  local ok, message = pcall(fn, ...)
  if ok then
    error("nothing was raised", 2)
  end
  return message
end

return support
