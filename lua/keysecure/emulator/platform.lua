--- The platform: everything an emulator holds, and what several operations ask of it.
local datetime = require "keysecure.datetime"
local api = require "keysecure.api"
local callbacks = require "keysecure.emulator.callbacks"
local watch = require "keysecure.emulator.changes"
local faults = require "keysecure.emulator.faults"
local life = require "keysecure.emulator.life"
local merchants = require "keysecure.emulator.merchants"
local options = require "keysecure.emulator.options"
local purchases = require "keysecure.emulator.purchases"
local refuse = require "keysecure.emulator.refuse"
local scheduler = require "keysecure.emulator.scheduler"
local stats = require "keysecure.emulator.stats"
local store = require "keysecure.emulator.store"

local platform = {}

---@class keysecure.emulator.Platform
---@field config table                            the global options
---@field clock keysecure.emulator.Clock
---@field scheduler keysecure.emulator.Scheduler
---@field store keysecure.emulator.Store
---@field merchants keysecure.emulator.Merchants
---@field callbacks keysecure.emulator.Callbacks
---@field faults keysecure.emulator.Faults
---@field stats keysecure.emulator.Stats
---@field changes keysecure.emulator.Changes       for those who watch
---@field log keysecure.emulator.Log
---@field journal keysecure.emulator.Journal|nil  makes the store last
---@field spawn fun(fn: function)                 starts a coroutine of the event loop
local Platform = {}
Platform.__index = Platform

-- What runs in the background changes something, or it would not run; that is there to stay like
-- what was asked for.
local function noting(self, spawn)
  return function(fn)
    spawn(function()
      fn()
      self.store:commit()
      self.changes:note()
    end)
  end
end

--- A platform with these options; its clock, log and event loop come from outside.
---@param given table
---@param host { clock: table, log: table, spawn: fun(fn: function), journal: table|nil }
---@return keysecure.emulator.Platform|nil
---@return string|nil fault
function platform.new(given, host)
  local self = setmetatable({ given = given, clock = host.clock, log = host.log,
    journal = host.journal, changes = watch.new() }, Platform)
  self.spawn = noting(self, host.spawn)
  self.scheduler = scheduler.new(host.clock, self.spawn)
  local ok, fault = self:begin(host.journal and store.load(host.journal) or store.new())
  if not ok then
    return nil, fault
  end
  return self
end

local function copy(source)
  local result = {}
  for key, value in pairs(source) do
    result[key] = type(value) == "table" and copy(value) or value
  end
  return result
end

-- Rows outlive the options that they were made under, but not their merchants.
local function stranger_in(rows, all)
  for _, name in ipairs(store.tables) do
    for _, row in ipairs(rows:rows(name)) do
      if not all:with_key(row.owner) then
        return "the data are of a merchant that there isn't, with the Api-Key " .. row.owner
      end
    end
  end
end

--- Begins with these rows and the options of the start.
---@param rows keysecure.emulator.Store
---@return boolean|nil ok
---@return string|nil fault
function Platform:begin(rows)
  local given = copy(self.given)
  local list, fault = options.merchants(given.merchants)
  local all
  if list then
    all, fault = merchants.new(list, self)
  end
  fault = not all and tostring(fault) or stranger_in(rows, all)
  if fault then
    return nil, fault
  end
  self.config, self.merchants, self.store = options.defaults(given), all, rows
  self.callbacks, self.faults, self.stats = callbacks.new(self), faults.new(), stats.new()
  self:set_clock(given)
  self:settle_config()
  life.resume(self)
  purchases.resume(self)
  self.callbacks:resume()
  return true
end

--- Forgets all rows, tokens, faults and counts, comes back from wherever the time was moved to, and
--- goes back to the options of the start.
function Platform:reset()
  self.callbacks:stop()
  self.scheduler:clear()
  if self.journal then
    self.journal:wipe()
  end
  assert(self:begin(store.new(self.journal)))
end

-- The clock -----------------------------------------------------------------------------------

-- Where an earlier process left the clock, unless the options of the start say otherwise.
function Platform:set_clock(given)
  local left = self.store:value "clock" or { advanced = 0 }
  self.clock.advanced = left.advanced
  self.config.clock_offset = given.clock_offset or left.skew or self.config.clock_offset
end

local function keep_clock(self)
  self.store:set_value("clock", { advanced = self.clock.advanced,
    skew = self.config.clock_offset })
end

--- Moves the time forward; what falls due on the way happens at its moment. May yield.
---@param moment integer  by the clock's life, milliseconds
function Platform:travel(moment)
  self.callbacks:settle(self.config.callback_timeout)
  self.scheduler:travel(moment)
  self.callbacks:settle(self.config.callback_timeout)
  keep_clock(self)
end

--- Sets the clock wrong, without making anything happen.
---@param seconds number
function Platform:skew(seconds)
  self:configure { clock_offset = seconds }
  keep_clock(self)
end

-- The webhook of all merchants, where they have none of their own.
local function spread_callback_url(self, everywhere)
  for _, merchant in pairs(self.merchants.by_name) do
    if everywhere or merchant.callback_url == nil then
      merchant.callback_url = self.config.callback_url
    end
  end
end

--- Puts options into effect that are more than a value to look up.
---@param callback_url_everywhere? boolean  even where a merchant has one
function Platform:settle_config(callback_url_everywhere)
  self.clock.offset = math.floor(self.config.clock_offset * 1000 + 0.5)
  spread_callback_url(self, callback_url_everywhere)
end

local function assign(target, values)
  for name, value in pairs(values) do
    target[name] = value
  end
end

--- Changes options while the emulator runs. They must have been checked by `options.config_fault`.
---@param changes table
function Platform:configure(changes)
  local per_merchant = changes.merchants or {}
  changes.merchants = nil
  assign(self.config, changes)
  self:settle_config(changes.callback_url ~= nil)
  for name, merchant_changes in pairs(per_merchant) do
    assign(self.merchants.by_name[name], merchant_changes)
  end
end

-- What operations ask -------------------------------------------------------------------------

--- A number such as `U202605220001`: a letter, the day, and a count.
---@param letter string
---@return string
function Platform:number(letter)
  local day = datetime.format(self.clock:now() / 1000, api.default_timezone):sub(1, 10)
  return letter .. day:gsub("-", "") .. string.format("%04d", self.store:next_number())
end

--- The cardholder that a call names, as it is now.
---@param call keysecure.emulator.Call
---@return table|nil holder
---@return keysecure.emulator.Refusal|nil
function Platform:holder(call)
  local holder = self.store:find("cardholders", "cardholder_no", call.values.cardholder_no,
    call.merchant.api_key)
  if not holder then
    return refuse(2002)
  end
  return life.advance(self, "cardholders", holder)
end

--- The card that a call names, as it is now.
---@param call keysecure.emulator.Call
---@return table|nil card
---@return keysecure.emulator.Refusal|nil
function Platform:card(call)
  local card = self.store:find("cards", "card_no", call.values.card_no, call.merchant.api_key)
  if not card then
    return refuse(4001)
  end
  return life.advance(self, "cards", card)
end

--- The page of rows that a call asks for; `fields` are the arguments that narrow it.
---@param name string
---@param call keysecure.emulator.Call
---@param fields string[]
---@return table[] rows
function Platform:page(name, call, fields)
  local equals = {}
  for _, field in ipairs(fields) do
    equals[field] = call.values[field]
  end
  return self.store:page(name, call.merchant.api_key, { equals = equals, from = call.window.from,
    to = call.window.to, page = call.values.page, size = call.values.size })
end

return platform
