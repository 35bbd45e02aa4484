--- Looks up what became of a write: finds its row, or reads what it was to change, and compares
-- that with what was asked. One look at a time; when to look is keysecure.settle's business.
local api = require "keysecure.api"
local datetime = require "keysecure.datetime"
local errors = require "keysecure.errors"
local exchange = require "keysecure.exchange"
local money = require "keysecure.money"
local response = require "keysecure.response"

local lookup = {}

local DAY = 86400 -- seconds

--- What is in doubt.
---@class keysecure.Doubt
---@field client keysecure.Client
---@field operation table
---@field fields table           what was asked, without secrets
---@field timezone? string
---@field stamp? integer         Timestamp of the last request that may have arrived
---@field since? number          Unix seconds: the row is no older; else about as old as `stamp`
---@field attempts integer
---@field waited number
---@field lookups integer

---@alias keysecure.Verdict
---| "found"    # it happened: then the row, or true
---| "differs"  # another row has that number, so that it can't have happened: then an error
---| "failed"   # it was made and did not succeed: then an error
---| "nothing"  # it isn't there
---| "unsure"   # it could not be looked up, or what was seen decides nothing: then an error or nil

-- Reading ---------------------------------------------------------------------------------------

-- As long as there is time for a second one, a read that hangs must not use up all of it.
local LAST_CHANCE = 2000 -- milliseconds

-- One read, its retries included.
local function read(doubt, name, fields, deadline)
  local client, operation = doubt.client, api.operations[name]
  local left = deadline - client.now()
  if left <= 0 then
    return nil, errors.new { kind = "timeout", operation = name, message = "no time was left" }
  end
  local made, invalid = exchange.prepare(client, operation, fields)
  if not made then
    return nil, invalid
  end
  local value, err, told = exchange.perform(client, operation, fields, made, {
    timeout = (left > LAST_CHANCE and left / 2 or left) / 1000, timezone = doubt.timezone,
    on_behalf_of = doubt.operation.name,
  })
  doubt.waited = doubt.waited + told.waited
  return value, err
end

-- The server's time, Unix seconds; this machine's, as long as the server has said nothing.
local function server_time(client)
  local monotonic, wall = client.now()
  local _, latest = client.core:clock_snapshot(monotonic, wall)
  return (latest or wall) / 1000
end

-- From when on a row is looked for. A day more on either side makes up for clocks that disagree and
-- for a platform that reads the time zone otherwise.
local function first_moment(doubt, now)
  if doubt.since then
    return doubt.since - DAY
  elseif doubt.stamp then
    return doubt.stamp / 1000 - DAY
  end
  return now - (api.window_days - 1) * DAY
end

-- The row of this number in one window; nothing; or nil and an error. The platform finds it by its
-- number: more than one page comes only from a platform that doesn't.
local function find_in_window(doubt, from, to, deadline)
  local unique = doubt.operation.unique
  local number, zone = doubt.fields[unique], doubt.timezone or doubt.client.options.timezone
  local list = api.operations[doubt.operation.found_by]
  local fields = { [unique] = number, size = api.max_page_size, page = 0,
    start_time = datetime.format(from, zone), end_time = datetime.format(to, zone) }
  local first
  while true do
    local rows, err = read(doubt, list.name, fields, deadline)
    if not rows then
      return nil, err
    end
    for _, row in ipairs(rows) do
      if row[unique] == number then
        return row
      end
    end
    if #rows == 0 then
      return nil
    elseif rows[1][list.key] == first then
      return nil, errors.new { kind = "protocol", outcome = "refused", operation = list.name,
        message = "the platform gives the same rows for every page" }
    end
    first, fields.page = rows[1][list.key], fields.page + 1
  end
end

-- Newest first: that is where it most likely is.
local function find_row(doubt, deadline)
  local now = server_time(doubt.client)
  local first, to = first_moment(doubt, now), now + DAY
  while to > first do
    local from = math.max(first, to - api.window_days * DAY)
    local row, err = find_in_window(doubt, from, to, deadline)
    if row or err then
      return row, err
    end
    to = from
  end
end

-- Comparing -------------------------------------------------------------------------------------

local params_of = setmetatable({}, { __mode = "k" })

local function param(operation, name)
  local params = params_of[operation]
  if not params then
    params = {}
    for _, field in ipairs(operation.params) do
      params[field.name] = field
    end
    params_of[operation] = params
  end
  return params[name]
end

-- What the platform does not tell can't be compared: the number alone must do. An amount that can't
-- be read is nil and an error: it may well be the one that was asked.
local function differ(field, asked, told)
  if asked == nil or told == nil or told == "" then
    return false
  elseif field.type == "money" then
    local order = money.compare(asked, told)
    if not order then
      return nil, errors.new { kind = "protocol", outcome = "unknown", field = field.name,
        message = "the row's " .. field.name .. " is no decimal number" }
    end
    return order ~= 0
  elseif field.fold then
    return asked:lower() ~= tostring(told):lower()
  end
  return asked ~= told
end

-- Whether the card is of another package or BIN than was asked, as far as names tell; or nil and an
-- error. The card is read only where an offer has to be compared.
local function offer_differs(doubt, name, offer, row, deadline)
  local detail_key = api.operations[offer.detail].params[1].name
  local detail, err = read(doubt, offer.detail, { [detail_key] = row[detail_key] }, deadline)
  if not detail then
    return nil, err
  end
  local offers
  offers, err = read(doubt, offer.list, { [name] = doubt.fields[name] }, deadline)
  if not offers then
    return nil, err
  end
  for _, offered in ipairs(offers) do
    if offered[name] == doubt.fields[name] then
      for theirs, ours in pairs(offer.same) do
        if offered[theirs] and detail[ours] and offered[theirs] ~= detail[ours] then
          return true
        end
      end
      return false
    end
  end
  return false -- not on offer any more: nothing to compare with
end

-- The parameter in which the row is not what was asked; or nil, and an error where that could not
-- be found out.
local function difference(doubt, row, deadline)
  local settle = doubt.operation.settle
  for _, name in ipairs(settle.same) do
    local differs, err = differ(param(doubt.operation, name), doubt.fields[name], row[name])
    if differs or err then
      return differs and name or nil, err
    end
  end
  for name, offer in pairs(settle.offers or {}) do
    if doubt.fields[name] ~= nil then
      local differs, err = offer_differs(doubt, name, offer, row, deadline)
      if differs or err then
        return differs and name or nil, err
      end
    end
  end
end

local function refusal(doubt, name, field, message)
  return errors.new { kind = "api", name = name, outcome = "refused", field = field,
    operation = doubt.operation.name, message = message }
end

-- Judging ---------------------------------------------------------------------------------------

local function judge_row(doubt, row, deadline)
  local operation = doubt.operation
  local field, err = difference(doubt, row, deadline)
  if err then
    return "unsure", err
  elseif field then
    return "differs", refusal(doubt, "unique_number_taken", field, "is not that of the row whose "
      .. operation.unique .. " this is")
  elseif operation.settle.failed and row.status == operation.settle.failed then
    return "failed", refusal(doubt, "recorded_as_failed", "status", "the platform's record says "
      .. tostring(row.status))
  end
  return "found", response.carry_over(operation, row, doubt.fields)
end

-- A row that was there before, whose status tells what became of it.
local function judge_again(doubt, again, deadline)
  local row, err = read(doubt, again.read, { [again.given] = doubt.fields[again.given] }, deadline)
  if not row or row.status == again.undone then
    return "unsure", err
  end
  return "found", response.carry_over(doubt.operation, row, doubt.fields)
end

local function judge_status(doubt, settle, deadline)
  local key = api.operations[settle.read].params[1].name
  local row, err = read(doubt, settle.read, { [key] = doubt.fields[key] }, deadline)
  if not row then
    return "unsure", err
  elseif row.status == (settle.status or doubt.fields[settle.status_of]) then
    return "found", true
  end
  return "nothing"
end

--- One look.
---@param doubt keysecure.Doubt
---@param deadline number  monotonic ms
---@return keysecure.Verdict
---@return any value
function lookup.look(doubt, deadline)
  local settle = doubt.operation.settle
  doubt.lookups = doubt.lookups + 1
  if settle.read then
    return judge_status(doubt, settle, deadline)
  elseif settle.again and doubt.fields[settle.again.given] then
    return judge_again(doubt, settle.again, deadline)
  end
  local row, err = find_row(doubt, deadline)
  if row then
    return judge_row(doubt, row, deadline)
  elseif err then
    return "unsure", err
  end
  return "nothing"
end

return lookup
