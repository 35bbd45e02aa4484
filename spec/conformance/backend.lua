--- Who is asked: an emulator started for it, or a platform somewhere with credentials of its own.
local core = require "keysecure.core"
local support = require "spec.support.emulator"

local backend = {}

local Backend = {}
Backend.__index = Backend

-- On the platform's clock, which nobody here knows exactly, a Timestamp must not be in the future.
local MARGIN = 1500 -- milliseconds

--- An emulator, of its own or one that is running. `options` as of keysecure.emulator.start.
---@param options? table
function backend.emulator(options)
  local peer = support.start(options)
  return setmetatable({ peer = peer, name = "emulator", modes = { credit = true,
    authorization = true }, owned = true, cache = {} }, Backend)
end

--- A platform at an address, with one merchant's credentials.
---@param address string
---@param merchant { mode: string, api_key: string, api_secret: string }
function backend.remote(address, merchant)
  local peer = support.connect(address, { [merchant.mode] = merchant }, MARGIN)
  return setmetatable({ peer = peer, name = address, modes = { [merchant.mode] = true },
    cache = {} }, Backend)
end

function Backend:stop()
  if self.owned then
    self.peer:stop()
  end
end

-- Calls that come too fast for the platform come again.
local function patiently(call)
  for _ = 1, 5 do
    local answer = call()
    if answer.json.code ~= 1009 then
      return answer
    end
    core.sleep(1000)
  end
  return call()
end

function Backend:call(name, values, options)
  return patiently(function() return self.peer:call(name, values, options) end)
end

--- A text that nothing had before, here or in an earlier run.
function Backend:unique(prefix)
  self.run = self.run or string.format("%.0f", core.wall())
  return self.peer:unique(prefix .. "-" .. self.run)
end

--- A window with the present in it.
function Backend.recent()
  return support.today {}
end

-- What has to be there: made where this backend can, and nil where it can't ----------------------

local function data_of(self, name, values)
  local answer = self:call(name, values)
  return answer.json.code == 0 and answer.json.data or nil
end

-- Marked inputs [A16] lead the emulator's cardholders and cards to where they are wanted. A real
-- platform verifies people: it is asked about those that were given to the run.
local SHARE = { Approved = "share", Rejected = "reject" }

local function settle(self, kyc, issue)
  self.peer:control("POST", "config", { kyc_delay = kyc, issue_delay = issue })
end

local KYC_DELAY = 600 -- seconds, to be met in the middle of

function Backend:holder_in(state)
  if not self.owned then
    local holder_no = os.getenv "KS_CARDHOLDER_NO"
    return state == "Approved" and holder_no
      and data_of(self, "cardholders.info", { cardholder_no = holder_no }) or nil
  end
  local values = { cardholder_unique_no = self:unique "holder",
    sumsub_share_token = SHARE[state] or "share" }
  settle(self, SHARE[state] and 0 or KYC_DELAY, 0)
  local holder = data_of(self, "cardholders.apply", values)
  if state == "In_progress" then
    self.peer.emulator:clock { advance = KYC_DELAY + 1 }
  end
  settle(self, 0, 0)
  return holder
end

function Backend:card_values(changes)
  local values = { package_no = "P-1", card_type = "Virtual", card_unique_no = self:unique "card" }
  if not self.owned then
    values.package_no = os.getenv "KS_PACKAGE_NO"
  end
  for name, value in pairs(changes or {}) do
    values[name] = value
  end
  return values
end

local function emulated_card(self, state)
  local holder = self:holder_in "Approved"
  local physical = state == "ToActivate"
  settle(self, 0, state == "Pending" and 86400 or 0)
  local card = data_of(self, "cards.apply", self:card_values {
    cardholder_no = holder.cardholder_no, package_no = physical and "P-2" or "P-1",
    card_type = physical and "Physical" or "Virtual", address_info = support.address_info,
    card_unique_no = self:unique(state == "Fail" and "fail" or "card") })
  settle(self, 0, 0)
  if state == "Frozen" or state == "Delete" then
    data_of(self, "cards.update_status", { card_no = card.card_no, status = state })
  end
  local plastic = self.peer:plastic(card.card_no)
  return { card_no = card.card_no, card_unique_no = card.card_unique_no,
    cardholder_no = holder.cardholder_no, cvv = plastic.cvv, card_last_no = plastic.card_last_no }
end

--- A card in a state, with cvv and card_last_no where they are known.
function Backend:card_in(state)
  if self.owned then
    return emulated_card(self, state)
  end
  local card_no = os.getenv("KS_CARD_NO_" .. state:upper())
  return card_no and data_of(self, "cards.detail", { card_no = card_no }) or nil
end

return backend
