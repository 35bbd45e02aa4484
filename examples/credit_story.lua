-- Credit mode: the merchant puts money into a cardholder's account, and the card spends it.
--
--     KEYSECURE_ENVIRONMENT=emulator lua examples/credit_story.lua [NUMBER]
--
-- NUMBER makes this run's own numbers unique (the time unless given). The account and
-- SUMSUB_SHARE_TOKEN are as in issue_card.lua. Purchases are rehearsed with the platform's
-- simulations, which exist everywhere but in production; what fields they take is not published,
-- and here they are given what the emulator takes.
package.path = (arg[0]:match "^.*/" or "./") .. "?.lua;" .. package.path
local keysecure = require "keysecure"
local money = require "keysecure.money"
local story = require "support.story"

-- A cardholder with an active card.
local function issue(ks, tell, run)
  tell:step "The access token: nothing to do"
  tell:note("merchant.token", "the library fetches, keeps and renews it by itself")

  tell:step "Have the cardholder's identity verified (KYC)"
  local holder = tell:call("ks.cardholders:apply", ks.cardholders:apply {
    cardholder_unique_no = "U-" .. run, sumsub_share_token = story.share_token() })
  tell:call('holder:wait "Approved"', holder:wait "Approved")

  tell:step "Choose a card package"
  local packages = tell:call("ks.cards:packages", ks.cards:packages { type = "Virtual" })
  local package = packages[1] or error("no virtual package on offer", 0)
  tell:note("packages[1]", package.package_no .. ", " .. tostring(package.package_en_name))

  tell:step "Apply for a card and wait until it is issued"
  local card = tell:call("holder:apply_card", holder:apply_card {
    package_no = package.package_no, card_type = "Virtual", card_unique_no = "C-" .. run })
  tell:call('card:wait "Activated"', card:wait "Activated")
  tell:callback("Card_update", card.card_no)
  return holder, card
end

-- 100.00 for the cardholder to spend. Money is decimal text: exact, never a Lua number.
local function fund(holder, tell, run)
  tell:step "Fund the cardholder's account"
  local transfer = tell:call("holder:transfer", holder:transfer {
    type = "In", balance = "100.00", transfer_unique_no = "T-" .. run })
  tell:note("before, after", transfer.before_balance .. ", " .. transfer.after_balance)
  local difference = money.subtract(transfer.after_balance, transfer.before_balance)
  tell:check("what arrived", difference, "100.00")
end

-- A purchase from the till to the refund.
local function purchase(ks, card, tell)
  tell:step "A shop asks: authorization of 12.50"
  local auth = tell:call("ks.simulate:auth", ks.simulate:auth {
    card_no = card.card_no, amount = "12.50", local_currency = "USD" })
  tell:callback("Consumption", auth.consume_no)

  tell:step "The shop collects: clearing"
  tell:call("ks.simulate:consumption_clear", ks.simulate:consumption_clear {
    consume_no = auth.consume_no })
  tell:callback("Consumption", auth.consume_no)
  local use = tell:call("ks.consumptions:info", ks.consumptions:info {
    consume_no = auth.consume_no })
  tell:check("the purchase", use.status, "Success")

  tell:step "The shop gives 5.00 back: refund"
  local refund = tell:call("ks.simulate:refund", ks.simulate:refund {
    consume_no = auth.consume_no, amount = "5.00" })
  tell:callback("Consumption", refund.consume_no)
  return auth, refund
end

-- What the card was used for, and what is left.
local function statement(holder, card, tell, expected)
  tell:step "The statement"
  local seen = {}
  for use in card:consumptions(story.days_around_today()) do
    tell:note("card:consumptions", tostring(use))
    seen[use.consume_no] = use
  end
  for _, consume_no in ipairs(expected) do
    tell:check("record " .. consume_no, seen[consume_no] ~= nil, true)
  end
  for _, account in ipairs(tell:call("holder:accounts", holder:accounts())) do
    tell:note("", tostring(account))
  end
end

local function tell_story(ks, tell, run)
  local holder, card = issue(ks, tell, run)
  fund(holder, tell, run)

  tell:step "Private card data: encrypted on the wire, masked when printed"
  tell:call("card:private_info", card:private_info())

  local auth, refund = purchase(ks, card, tell)
  statement(holder, card, tell, { auth.consume_no, refund.consume_no })

  tell:step "Freeze the card, then delete it"
  tell:call("card:freeze", card:freeze())
  tell:callback("Card_update", card.card_no)
  tell:call("card:delete", card:delete())
  tell:callback("Card_update", card.card_no)
  tell:call("card:refresh", card:refresh())
  tell:check("the card", card.status, "Delete")
end

local credit_story = {}

--- Tells it.
---@param ks keysecure.Client
---@param run string       makes this run's numbers unique
---@param receiver? table  of support.receiver
---@return Story
function credit_story.tell(ks, run, receiver)
  local tell = story.begin("Credit mode: the cardholder's account pays", receiver)
  tell_story(ks, tell, run)
  return tell
end

if story.is_main "credit_story" then
  story.finish(story.run(function()
    local ks = story.must(keysecure.from_env { mode = "credit" })
    return credit_story.tell(ks, story.run_name())
  end))
end

return credit_story
