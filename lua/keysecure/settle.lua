--- Writes whose answer was lost: finds out what became of them, and sends them again only where
-- they can't have happened and can't happen any more. docs/doubt.md tells it to users.
--
-- A row that is found was made, whenever one looks. A row that isn't found proves something only
-- when the lost request can no longer arrive: it may be held up anywhere on its way. What ends that
-- is its Timestamp, which the platform refuses once it is 60 s old by its own clock [P]. So a look
-- that began after that moment, and after the time that a request which was let in may still take
-- [A21], is final. `core` gives such requests a Timestamp that is old already, so that this moment
-- comes some 25 s after sending, not 75 (csrc/core/call.h).
--
-- And if all of this is wrong, the platform still refuses a number that is taken: what was sent
-- again then comes back refused, and its row is found.
local api = require "keysecure.api"
local errors = require "keysecure.errors"
local exchange = require "keysecure.exchange"
local how_of = require "keysecure.how"
local lookup = require "keysecure.lookup"
local options_of = require "keysecure.options"
local rules = require "keysecure.rules"
local suggest = require "keysecure.suggest"

local settle = {}

local AGE_MAX = api.timestamp_max_age * 1000
local FLEET = 1000 -- milliseconds that the clocks of the platform's servers may be apart
local PROCESSING = 10000 -- milliseconds until what was let in shows in lists [A21]

local FIRST_PAUSE, LAST_PAUSE = 250, 5000 -- milliseconds between looks, doubling
local RESEND_TIME = 1000 -- milliseconds without which it isn't sent again
local WAIT_TIMEOUT = 120 -- seconds
local LOOK_BACK = (api.window_days - 3) * 86400 -- seconds: one window, with a day on either side

---@class keysecure.SettlingDoubt: keysecure.Doubt
---@field kind? string     of the error that the call ended with
---@field message? string
---@field spent integer    retries paid for, to be given back
local Doubt = {}
Doubt.__index = Doubt

-- What is kept of the fields: what identifies and describes the row, and no secret.
local function plain_fields(operation, fields)
  local plain = {}
  for _, field in ipairs(operation.params) do
    if not field.secret and field.type ~= "object" then
      plain[field.name] = fields[field.name]
    end
  end
  return plain
end

local function new_doubt(client, operation, fields, options)
  return setmetatable({ client = client, operation = operation,
    fields = plain_fields(operation, fields), timezone = options.timezone, attempts = 0,
    waited = 0, lookups = 0, spent = 0 }, Doubt)
end

-- The latest it can be on the server, Unix milliseconds; nil where it has said nothing yet.
local function latest_time(client)
  local _, latest = client.core:clock_snapshot(client.now())
  return latest
end

-- Milliseconds until the lost request can't be carried out any more; nil where that isn't known.
function Doubt:dead_in()
  local earliest = self.client.core:clock_snapshot(self.client.now())
  return earliest and self.stamp and self.stamp + AGE_MAX + FLEET + PROCESSING - earliest
end

-- One look. To what it may see comes "absent": it isn't there and won't be.
function Doubt:look(deadline)
  local dead_in = self:dead_in() -- as it was before the look-up was sent
  local verdict, value = lookup.look(self, deadline)
  if verdict == "nothing" and dead_in and dead_in <= 0 then
    return "absent"
  end
  return verdict, value
end

-- Looks until the truth is known or no time is left for another look; each look but the first is
-- to be paid for where `budget` is given.
function Doubt:watch(deadline, budget)
  local client, pause = self.client, FIRST_PAUSE
  while true do
    local verdict, value = self:look(deadline)
    if verdict ~= "nothing" and verdict ~= "unsure" then
      return verdict, value
    end
    local dead_in = self:dead_in()
    local rest = dead_in and dead_in > 0 and math.min(pause, dead_in) or pause
    local moment = client.now() + rest
    if moment >= deadline or (budget and not budget:spend()) then
      return verdict, value
    end
    self.spent = self.spent + (budget and 1 or 0)
    self.waited = self.waited + rest
    if not client.host:wait(moment) then
      return "unsure", errors.new { kind = "cancelled", message = "the client was closed" }
    end
    pause = math.min(pause * 2, LAST_PAUSE)
  end
end

-- Errors ----------------------------------------------------------------------------------------

function Doubt:remember(err)
  self.kind, self.message = err.kind, err.message
  self.stamp = err.timestamp or latest_time(self.client)
end

function Doubt:complete(err)
  err.attempts, err.waited, err.lookups = self.attempts, self.waited, self.lookups
  return err
end

function Doubt:absent()
  return self:complete(errors.new {
    kind = self.kind or "api", name = "absent", outcome = "refused",
    operation = self.operation.name, timestamp = self.stamp,
    message = "did not happen: it isn't there, and can't arrive any more"
      .. (self.message and " (" .. self.message .. ")" or ""),
  })
end

-- `reason`: why it could not be looked up.
function Doubt:unsettled(reason)
  local message = reason and "could not be looked up: " .. reason.message
    or "isn't there yet, and may still come"
  local err = self:complete(errors.new {
    kind = reason and reason.kind or self.kind or "timeout", name = "unsettled",
    outcome = "unknown", operation = self.operation.name, timestamp = self.stamp,
    message = message .. (self.message and " (" .. self.message .. ")" or ""),
  })
  return errors.attach(err, self)
end

-- Later -----------------------------------------------------------------------------------------

-- What a verdict is for whoever asked for it.
function Doubt:tell(verdict, value)
  if verdict == "found" then
    how_of.keep(value, { attempts = self.attempts, waited = self.waited, lookups = self.lookups,
      settled = "found" })
    self.client.counted:settle "found"
    return value
  elseif verdict == "absent" then
    return nil, self:absent()
  elseif verdict == "differs" or verdict == "failed" then
    return nil, self:complete(value)
  end
  return nil, self:unsettled(value)
end

local function deadline_of(self, options, default)
  local fault = options_of.call_fault(options)
  if fault then
    fault.operation = self.operation.name
    return nil, fault
  end
  self.client.host:check()
  return self.client.now() + (options and options.timeout or default) * 1000
end

--- See Error:settle.
function Doubt:settle(options)
  local deadline, fault = deadline_of(self, options, self.client.options.timeout)
  if not deadline then
    return nil, fault
  end
  return self:tell(self:look(deadline))
end

--- See Error:wait_settled.
function Doubt:wait_settled(options)
  local deadline, fault = deadline_of(self, options, WAIT_TIMEOUT)
  if not deadline then
    return nil, fault
  end
  return self:tell(self:watch(deadline))
end

-- In the call -----------------------------------------------------------------------------------

local function is_lost(err)
  return err.outcome == "unknown" and err.kind ~= "cancelled"
end

-- Whether the platform may have refused because it was done before.
local function is_taken(operation, fields, err)
  local rule = operation.settle
  if not rule.taken or err.code ~= rule.taken then
    return false
  elseif rule.again and fields[rule.again.given] ~= nil then
    return false
  end
  return rule.taken ~= 1004 or err.field == operation.unique
end

-- The answer was lost. Returns as the call is to, or `true` behind two nils: send it again.
local function after_loss(self, err, deadline)
  self:remember(err)
  local verdict, value = self:watch(deadline, self.client.budget)
  if verdict == "found" then
    self.settled = "found"
    return value
  elseif verdict == "differs" or verdict == "failed" then
    return nil, value
  elseif verdict ~= "absent" then
    return nil, errors.attach(err, self)
  elseif deadline - self.client.now() >= RESEND_TIME and self.client.budget:spend() then
    self.spent = self.spent + 1
    return nil, nil, true
  end
  return nil, self:absent()
end

-- The number is taken, or the status had: by this very call where its answer was lost, by an
-- earlier one of the same content, or by something else.
local function after_refusal(self, err, deadline)
  local resent = self.stamp ~= nil
  local verdict, value = lookup.look(self, deadline)
  if verdict == "found" then
    self.settled = resent and "found" or "existing"
    return value
  elseif verdict == "differs" or verdict == "failed" then
    value.code = err.code
    return nil, value
  elseif resent and self.operation.unique then -- there, and not to be seen: nobody knows whose
    return nil, self:unsettled(value)
  end
  return nil, err
end

local function send(self, made, fields, deadline, settles)
  local client = self.client
  local value, err, told = exchange.perform(client, self.operation, fields, made, {
    timeout = (deadline - client.now()) / 1000, timezone = self.timezone, settles = settles })
  self.attempts, self.waited = self.attempts + told.attempts, self.waited + told.waited
  return value, err
end

-- Sends, and sees to it that what comes back is the truth.
local function pursue(self, made, fields, deadline)
  local value, err, again
  repeat
    again = false
    value, err = send(self, made, fields, deadline, true)
    if err and is_lost(err) then
      value, err, again = after_loss(self, err, deadline)
    elseif err and is_taken(self.operation, fields, err) then
      value, err = after_refusal(self, err, deadline)
    end
  until not again
  return value, err
end

-- As `pursue`, for those who settle by themselves.
local function send_once(self, made, fields, deadline)
  local value, err = send(self, made, fields, deadline, false)
  if err and is_lost(err) then
    self:remember(err)
    errors.attach(err, self)
  end
  return value, err
end

local function how(self)
  if self.attempts == 1 and self.waited == 0 and self.lookups == 0 then
    return how_of.ordinary
  end
  return { attempts = self.attempts, waited = self.waited, lookups = self.lookups,
    settled = self.settled or false }
end

--- Makes the call `operation`, which can be settled, with `fields`.
---@param client keysecure.Client
---@param operation table
---@param fields table
---@param options table  timeout, timezone, settle
---@return any|nil value
---@return keysecure.Error|nil err
function settle.run(client, operation, fields, options)
  local made, invalid = exchange.prepare(client, operation, fields)
  if not made then
    return nil, invalid
  end
  local started = client.now()
  local doubt = new_doubt(client, operation, fields, options)
  local settles = options.settle
  if settles == nil then
    settles = client.options.settle
  end
  local way = settles and pursue or send_once
  local value, err = way(doubt, made, fields,
    started + (options.timeout or client.options.timeout) * 1000)
  local told = how(doubt)
  exchange.report(client, operation, started, err, told)
  if err then
    return nil, doubt:complete(err)
  end
  client.budget:earn(doubt.spent)
  how_of.keep(value, told)
  return value
end

-- In another process ----------------------------------------------------------------------------

local function check_fields(operation, fields)
  local names, known = { "since" }, { since = true }
  for _, field in ipairs(operation.params) do
    if not field.secret and field.type ~= "object" then
      names[#names + 1], known[field.name] = field.name, true
    end
  end
  local called = operation.name:match("^%w+") .. ":settle"
  for name in pairs(fields) do
    if not known[name] then
      errors.misuse(called .. " takes no field '" .. tostring(name) .. "'" .. suggest(name, names))
    end
  end
  if fields.since ~= nil and type(fields.since) ~= "number" then
    errors.misuse(called .. " since: number (Unix seconds) expected, got " .. type(fields.since))
  end
  local broken = rules.broken_given(operation, fields)
  if broken and broken.misuse then
    errors.misuse(called .. " " .. broken.field .. ": " .. broken.message)
  elseif not broken and fields[operation.unique] == nil then
    broken = { field = operation.unique, message = "is required" }
  end
  return broken and errors.new { kind = "invalid", operation = operation.name,
    field = broken.field, message = broken.message }
end

--- See Client:settle. Whoever sent the lost request did so before now, by the server's clock.
---@param client keysecure.Client
---@param operation table
---@param fields table
---@param options table
---@return table|nil row
---@return keysecure.Error|nil err
function settle.find(client, operation, fields, options)
  local invalid = check_fields(operation, fields)
  if invalid then
    return nil, invalid
  end
  local doubt = new_doubt(client, operation, fields, options)
  doubt.since = fields.since or math.floor(select(2, client.now()) / 1000) - LOOK_BACK
  local deadline = client.now() + (options.timeout or client.options.timeout) * 1000
  local verdict, value = doubt:look(deadline)
  doubt.stamp = latest_time(client)
  return doubt:tell(verdict, value)
end

return settle
