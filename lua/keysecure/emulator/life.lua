--- What happens by itself: KYC goes to its verdict, a card comes out of issuing.
--
-- A row that is on its way carries `due`, the moment (by the clock's life) of its next step. Steps
-- are taken by whoever comes first: the scheduler, or a request that reads the row.
local charges = require "keysecure.emulator.charges"
local events = require "keysecure.emulator.events"

local life = {}

local KYC_REFUSED = "identity document could not be verified"

-- Marked inputs, for trying the paths that end badly [A16].
local function verdict_of(share_token)
  return share_token:find("^reject") and "Rejected" or "Approved"
end

local function outcome_of(card)
  if card.card_unique_no:find("^fail") then
    return "Fail"
  end
  return card.card_type == "Physical" and "ToActivate" or "Activated"
end

--- Changes a card's status and tells the merchant.
---@param platform table
---@param card table
---@param status string
---@param reason string
function life.change_card(platform, card, status, reason)
  local before = card.status
  platform.store:update("cards", card, { status = status })
  platform.callbacks:push(platform.merchants:with_key(card.owner), "Card_update",
    events.card_update(card, before, reason, platform.clock:now()), card.card_no)
end

local function step_holder(platform, holder)
  if holder.status == "Pending" then
    platform.store:update("cardholders", holder, { status = "In_progress",
      due = holder.due + platform.config.kyc_delay * 1000 })
    return
  end
  platform.store:update("cardholders", holder, { status = holder.verdict,
    fail_reason = holder.verdict == "Rejected" and KYC_REFUSED or "" })
  platform.store:clear("cardholders", holder, "due")
end

local function step_card(platform, card)
  platform.store:clear("cards", card, "due")
  life.change_card(platform, card, outcome_of(card), "issued")
  if card.status == "Fail" then
    charges.undo_opening(platform, card)
  else
    charges.begin(platform, card)
  end
end

local STEPS = { cardholders = step_holder, cards = step_card }

--- Takes every step of a row that is due, and sees to it that the next is taken.
---@param platform table
---@param name "cardholders"|"cards"
---@param row table
---@return table row
function life.advance(platform, name, row)
  local moved = false
  while row.due and row.due <= platform.clock:life() do
    STEPS[name](platform, row)
    moved = true
  end
  if row.due and moved then
    life.await(platform, name, row)
  end
  return row
end

--- Has the scheduler take a row's next step.
---@param platform table
---@param name "cardholders"|"cards"
---@param row table
function life.await(platform, name, row)
  platform.scheduler:at(row.due, function() life.advance(platform, name, row) end)
end

--- Takes up what an earlier process left on its way.
---@param platform table
function life.resume(platform)
  charges.resume(platform)
  for name in pairs(STEPS) do
    for _, row in ipairs(platform.store:rows(name)) do
      if row.due then
        life.await(platform, name, row)
      end
    end
  end
end

local function set_out(platform, name, row, delay)
  platform.store:update(name, row, { due = platform.clock:life() + delay * 1000 })
  if delay > 0 then
    life.await(platform, name, row)
  else
    life.advance(platform, name, row)
  end
end

--- Sends a cardholder through KYC, for the first time or again.
---@param platform table
---@param holder table
---@param share_token string
function life.verify(platform, holder, share_token)
  platform.store:update("cardholders", holder, { status = "Pending", fail_reason = "",
    verdict = verdict_of(share_token) })
  set_out(platform, "cardholders", holder, platform.config.kyc_delay)
end

--- Sends a Pending card through issuing.
---@param platform table
---@param card table
function life.issue(platform, card)
  charges.open(platform, card)
  set_out(platform, "cards", card, platform.config.issue_delay)
end

return life
