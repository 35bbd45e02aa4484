-- From nothing to a funded card: the shortest whole story.
--
--     KEYSECURE_ENVIRONMENT=emulator lua examples/issue_card.lua
--
-- The account is in KEYSECURE_API_KEY and KEYSECURE_API_SECRET; against the emulator none is
-- needed. SUMSUB_SHARE_TOKEN is the applicant's identity, shared by Sumsub; the emulator takes any.
-- Every run needs a number of its own: the time of day, or the one you give.
local keysecure = require "keysecure"
local ks = assert(keysecure.from_env { mode = "credit" })
local run = arg[1] or os.date "!%Y%m%d%H%M%S"
local share = os.getenv "SUMSUB_SHARE_TOKEN" or "share-token"

local holder = assert(ks.cardholders:apply {
  cardholder_unique_no = "U-" .. run, sumsub_share_token = share })
assert(holder:wait "Approved")

local package = assert(assert(ks.cards:packages { type = "Virtual" })[1], "no package on offer")
local card = assert(holder:apply_card {
  package_no = package.package_no, card_type = "Virtual", card_unique_no = "C-" .. run })
assert(card:wait "Activated")
assert(holder:transfer { type = "In", balance = "100.00", transfer_unique_no = "T-" .. run })

local private = assert(card:private_info())
print(card, private) --> card C202605220002 (Activated)  411111******1111 12/2028
