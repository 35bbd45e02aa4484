--- The platform: everything an emulator holds, and what several operations ask of it.
local datetime = require "keysecure.datetime"
local api = require "keysecure.api"
local callbacks = require "keysecure.emulator.callbacks"
local watch = require "keysecure.emulator.changes"
local faults = require "keysecure.emulator.faults"
local life = require "keysecure.emulator.life"
local merchants = require "keysecure.emulator.merchants"
local options = require "keysecure.emulator.options"
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
---@field client_tokens table<string, table>      one-time tokens of the PCI iframe
---@field spawn fun(fn: function)                 starts a coroutine of the event loop
local Platform = {}
Platform.__index = Platform

-- What runs in the background changes something, or it would not run.
local function noting(spawn, changed)
  return function(fn)
    spawn(function()
      fn()
      changed:note()
    end)
  end
end

--- A platform with these options; its clock, log and event loop come from outside.
---@param given table
---@param host { clock: table, log: table, spawn: fun(fn: function) }
---@return keysecure.emulator.Platform|nil
---@return string|nil fault
function platform.new(given, host)
  local self = setmetatable({ given = given, clock = host.clock, log = host.log,
    changes = watch.new() }, Platform)
  self.spawn = noting(host.spawn, self.changes)
  self.scheduler = scheduler.new(host.clock, self.spawn)
  local ok, fault = self:reset()
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

--- Forgets all rows, tokens, faults and counts, and goes back to the options of the start.
---@return boolean|nil ok
---@return string|nil fault
function Platform:reset()
  local given = copy(self.given)
  local list, fault = options.merchants(given.merchants)
  local all
  if list then
    all, fault = merchants.new(list)
  end
  if not all then
    return nil, tostring(fault)
  end
  if self.callbacks then
    self.callbacks:stop()
  end
  self.scheduler:clear()
  self.config, self.merchants, self.store = options.defaults(given), all, store.new()
  self.callbacks, self.faults, self.stats = callbacks.new(self), faults.new(), stats.new()
  self.client_tokens = {}
  self:settle_config()
  return true
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
