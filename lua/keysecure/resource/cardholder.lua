--- A cardholder: what `ks.cardholders` returns.
local api = require "keysecure.api"
local datetime = require "keysecure.datetime"
local errors = require "keysecure.errors"
local row = require "keysecure.resource.row"
local suggest = require "keysecure.suggest"
local wait = require "keysecure.resource.wait"

---@class keysecure.Cardholder
---@field cardholder_no string
---@field cardholder_unique_no? string
---@field email? string
---@field status? "Pending"|"In_progress"|"Approved"|"Rejected"
---@field fail_reason? string     in rows of `list` and `each`
---@field total_balance? string   USD, decimal text; after `refresh`
---@field time? integer           Unix ms
---@field card_list? keysecure.Card[]  after `refresh`
local Cardholder = {}

--- Asks the platform for the current state of this cardholder.
---@param options? {timeout: number?}
---@return keysecure.Cardholder|nil self
---@return keysecure.Error|nil
function Cardholder:refresh(options)
  local client = row.client(self, "holder:refresh")
  local fresh, err = client:call("cardholders.info", { cardholder_no = self.cardholder_no },
    options)
  if not fresh then
    return nil, err
  end
  return row.update(self, fresh)
end

-- Why a cardholder was rejected: only the list says so. Best effort, for the message.
local function find_reason(self, client, time_left)
  local applied = self.time and math.floor(self.time / 1000)
  if not applied or time_left <= 0 then
    return
  end
  local zone, day = client.options.timezone, 86400
  local rows = client:call("cardholders.list", {
    cardholder_no = self.cardholder_no, start_time = datetime.format(applied - day, zone),
    end_time = datetime.format(applied + 89 * day, zone),
  }, { timeout = time_left })
  self.fail_reason = rows and rows[1] and rows[1].fail_reason
end

--- Waits for a KYC status; fails at once when the cardholder is Rejected.
---@param status string      such as "Approved"
---@param options? {timeout: number?}  seconds for the whole wait (120)
---@return keysecure.Cardholder|nil self
---@return keysecure.Error|nil
function Cardholder:wait(status, options)
  local client = row.client(self, "holder:wait")
  local known = {}
  for _, name in ipairs(api.enums.cardholder_status) do
    known[name] = true
  end
  if not known[status] then
    errors.misuse("no cardholder status '" .. tostring(status) .. "'"
      .. suggest(status, api.enums.cardholder_status))
  end
  return wait(client, self, status, options,
    function(_, time_left)
      local patience, started = math.min(client.options.timeout, time_left), client.now()
      local fresh, err = self:refresh { timeout = patience }
      if fresh and api.final_states.cardholder[fresh.status] then
        find_reason(self, client, patience - (client.now() - started) / 1000)
      end
      return fresh, err
    end, { operation = "cardholders.info", states = api.final_states.cardholder })
end

--- Applies for a card of this cardholder: see the operation cards.apply.
---@param fields table
---@param options? {timeout: number?}
---@return keysecure.Card|nil
---@return keysecure.Error|nil
function Cardholder:apply_card(fields, options)
  return row.client(self, "holder:apply_card"):call("cards.apply",
    row.fields(self, fields, { "cardholder_no" }), options)
end

--- Moves TUSDT to this cardholder (`type = "In"`) or back ("Out"): see accounts.transfer.
---@param fields table
---@param options? {timeout: number?}
---@return table|nil transfer
---@return keysecure.Error|nil
function Cardholder:transfer(fields, options)
  return row.client(self, "holder:transfer"):call("accounts.transfer",
    row.fields(self, fields, { "cardholder_no" }), options)
end

--- The accounts of this cardholder.
---@param options? {timeout: number?}
---@return table[]|nil
---@return keysecure.Error|nil
function Cardholder:accounts(options)
  return row.client(self, "holder:accounts"):call("accounts.info",
    { cardholder_no = self.cardholder_no }, options)
end

-- Walks over what belongs to this cardholder, in a time of any length.
local function walk(method, operation)
  return function(self, fields, options)
    return row.client(self, "holder:" .. method):each(operation,
      row.fields(self, fields, { "cardholder_no" }), options)
  end
end

Cardholder.cards = walk("cards", "cards.list")
Cardholder.consumptions = walk("consumptions", "consumptions.list")
Cardholder.transfers = walk("transfers", "accounts.transfers")

local function describe(self)
  return "cardholder " .. tostring(self.cardholder_no)
    .. (self.status and " (" .. self.status .. ")" or "")
end

return { cardholder = { methods = Cardholder, describe = describe } }
