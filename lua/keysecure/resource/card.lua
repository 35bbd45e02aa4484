--- A card: what `ks.cards` returns.
local api = require "keysecure.api"
local errors = require "keysecure.errors"
local row = require "keysecure.resource.row"
local suggest = require "keysecure.suggest"
local wait = require "keysecure.resource.wait"

---@class keysecure.Card
---@field card_no string
---@field card_unique_no? string
---@field cardholder_no? string
---@field card_type? "Virtual"|"Physical"
---@field card_last_no? string
---@field organization? string
---@field status? "Pending"|"ToActivate"|"Activated"|"Fail"|"Frozen"|"Delete"
---@field time? integer  Unix ms
local Card = {}

--- Asks the platform for the current state and the fees of this card.
---@param options? {timeout: number?}
---@return keysecure.Card|nil self
---@return keysecure.Error|nil
function Card:refresh(options)
  local client = row.client(self, "card:refresh")
  local fresh, err = client:call("cards.detail", { card_no = self.card_no }, options)
  if not fresh then
    return nil, err
  end
  return row.update(self, fresh)
end

-- A physical card leaves ToActivate by its holder's act alone. Where this program has just
-- activated it, the platform may take a moment to say so.
local function final_states(self, target)
  local states = {}
  for name, state in pairs(api.final_states.card) do
    states[name] = state
  end
  states.ToActivate = self.status ~= target and "card:activate it" or nil
  return states
end

--- Waits for a status; fails at once when the card can't reach it any more by itself. That is so
-- for "Activated" where a physical card has become "ToActivate": wait for that, then `activate` it.
---@param status string      such as "Activated"
---@param options? {timeout: number?}  seconds for the whole wait (120)
---@return keysecure.Card|nil self
---@return keysecure.Error|nil
function Card:wait(status, options)
  local client = row.client(self, "card:wait")
  local known = {}
  for _, name in ipairs(api.enums.card_status) do
    known[name] = true
  end
  if not known[status] then
    errors.misuse("no card status '" .. tostring(status) .. "'"
      .. suggest(status, api.enums.card_status))
  end
  return wait(client, self, status, options,
    function(_, time_left)
      return self:refresh { timeout = math.min(client.options.timeout, time_left) }
    end, { operation = "cards.detail", states = final_states(self, status) })
end

-- Asks for a status and, once that is done, has it.
local function set_status(method, status)
  return function(self, options)
    local client = row.client(self, "card:" .. method)
    local done, err = client:call("cards.update_status",
      { card_no = self.card_no, status = status }, options)
    if not done then
      return nil, err
    end
    self.status = status
    return self
  end
end

--- Freezes the card: purchases are declined until `unfreeze`.
Card.freeze = set_status("freeze", "Frozen")
--- Takes a freeze back.
Card.unfreeze = set_status("unfreeze", "Activated")
--- Deletes the card, for good.
Card.delete = set_status("delete", "Delete")

-- The holder's number is in most rows; where it isn't, the platform knows it.
local function call_with_holder(self, method, operation, fields, options)
  local client = row.client(self, "card:" .. method)
  local complete = row.fields(self, fields, { "card_no", "cardholder_no" })
  if not complete.cardholder_no then
    local fresh, err = self:refresh(options)
    if not fresh then
      return nil, err
    end
    complete.cardholder_no = self.cardholder_no
  end
  return client:call(operation, complete, options)
end

--- Activates a physical card that is ToActivate.
---@param fields {cvv: string, card_last_no: string}  as printed on the card; cvv is encrypted here
---@param options? {timeout: number?}
---@return keysecure.Card|nil self
---@return keysecure.Error|nil
function Card:activate(fields, options)
  local done, err = call_with_holder(self, "activate", "cards.activate", fields, options)
  if not done then
    return nil, err
  end
  self.status = "Activated"
  return self
end

--- Sets the PIN of an Activated physical card.
---@param pin string  6 digits without three identical or sequential ones; encrypted here
---@param options? {timeout: number?}
---@return keysecure.Card|nil self
---@return keysecure.Error|nil
function Card:set_pin(pin, options)
  local done, err = call_with_holder(self, "set_pin", "cards.set_pin", { pin = pin }, options)
  if not done then
    return nil, err
  end
  return self
end

--- PAN, CVV and expiry, guarded: see keysecure.guarded.
---@param options? {timeout: number?}
---@return table|nil private  card_no, card_unique_no, pan, cvv, exp_month, exp_year
---@return keysecure.Error|nil
function Card:private_info(options)
  return row.client(self, "card:private_info"):call("cards.private_info",
    { card_no = self.card_no }, options)
end

--- A one-time token for the platform's hosted iframe, guarded.
---@param options? {timeout: number?}
---@return table|nil token  client_access_token, expires_in (seconds)
---@return keysecure.Error|nil
function Card:client_token(options)
  return row.client(self, "card:client_token"):call("pci.client_token",
    { card_no = self.card_no }, options)
end

--- Walks over the consumptions of this card, in a time of any length.
---@param fields {start_time: string, end_time: string}
---@param options? {timeout: number?, timezone: string?}
---@return fun(): keysecure.Consumption|nil
function Card:consumptions(fields, options)
  return row.client(self, "card:consumptions"):each("consumptions.list",
    row.fields(self, fields, { "card_no" }), options)
end

local function describe(self)
  return "card " .. tostring(self.card_no) .. (self.status and " (" .. self.status .. ")" or "")
end

return { card = { methods = Card, describe = describe } }
