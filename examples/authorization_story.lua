-- Authorization mode: the money stays with the merchant, who is asked at each purchase and has
-- 800 ms to say yes.
--
--     keysecure emulator --callback-url http://127.0.0.1:8788/ &
--     KEYSECURE_ENVIRONMENT=emulator lua examples/authorization_story.lua [NUMBER]
--
-- Who says yes is callback_receiver.lua, started by this script on port 8788 (or
-- KEYSECURE_CALLBACK_PORT): its rule allows up to 50.00. In the sandbox the merchant's callback URL
-- has to lead to that port. NUMBER and the account are as in credit_story.lua.
package.path = (arg[0]:match "^.*/" or "./") .. "?.lua;" .. package.path
local keysecure = require "keysecure"
local receivers = require "support.receiver"
local story = require "support.story"

local function first_virtual(bins)
  for _, bin in ipairs(bins) do
    if bin.support_virtual then
      return bin
    end
  end
  error("no BIN for virtual cards on offer", 0)
end

-- A cardholder with an active card, made from a BIN: there is no package and no account.
local function issue(ks, tell, run)
  tell:step "Choose a BIN, the first digits of the card's number"
  local bins = tell:call("ks.cards:bins", ks.cards:bins())
  local bin = first_virtual(bins)
  tell:note("", string.format("%s, %s of %s", bin.card_bin_no, bin.card_bin, bin.organization))

  tell:step "Have the cardholder's identity verified (KYC)"
  local holder = tell:call("ks.cardholders:apply", ks.cardholders:apply {
    cardholder_unique_no = "U-" .. run, sumsub_share_token = story.share_token() })
  tell:call('holder:wait "Approved"', holder:wait "Approved")

  tell:step "Apply for a card and wait until it is issued"
  local card = tell:call("holder:apply_card", holder:apply_card {
    card_bin_no = bin.card_bin_no, card_type = "Virtual", card_unique_no = "C-" .. run })
  tell:call('card:wait "Activated"', card:wait "Activated")
  tell:callback("Card_update", card.card_no)
  return card
end

-- A purchase: the platform asks the receiver (Auth) and answers when that has decided; then it
-- tells what became of the purchase (Consumption).
local function purchase(ks, card, tell, amount, expected)
  local auth = tell:call("ks.simulate:auth", ks.simulate:auth {
    card_no = card.card_no, amount = amount, local_currency = "USD" })
  tell:callback("Auth", auth.consume_no)
  tell:callback("Consumption", auth.consume_no)
  local use = tell:call("ks.consumptions:info", ks.consumptions:info {
    consume_no = auth.consume_no })
  tell:check("the purchase", use.status, expected)
  return auth
end

local function tell_story(ks, tell, run)
  local card = issue(ks, tell, run)

  tell:step "A purchase of 12.50: the receiver's rule allows it"
  local small = purchase(ks, card, tell, "12.50", "Pending")

  tell:step "The shop collects: clearing"
  tell:call("ks.simulate:consumption_clear", ks.simulate:consumption_clear {
    consume_no = small.consume_no })
  tell:callback("Consumption", small.consume_no)

  tell:step "A purchase of 80.00: the receiver declines"
  purchase(ks, card, tell, "80.00", "Fail")

  tell:step "The statement"
  local count = 0
  for use in card:consumptions(story.days_around_today()) do
    tell:note("card:consumptions", tostring(use))
    count = count + 1
  end
  tell:check("the number of records", count, 2)
end

local authorization_story = {}

--- Tells it.
---@param ks keysecure.Client  in authorization mode
---@param run string           makes this run's numbers unique
---@param receiver table       of support.receiver
---@return Story
function authorization_story.tell(ks, run, receiver)
  local tell = story.begin("Authorization mode: the merchant is asked", receiver)
  tell_story(ks, tell, run)
  return tell
end

if story.is_main "authorization_story" then
  story.finish(story.run(function()
    local ks = story.must(keysecure.from_env { mode = "authorization" })
    local port = tonumber(os.getenv "KEYSECURE_CALLBACK_PORT") or 8788
    local receiver = receivers.start(port, { KEYSECURE_MODE = "authorization" })
    return authorization_story.tell(ks, story.run_name(), receiver)
  end))
end

return authorization_story
