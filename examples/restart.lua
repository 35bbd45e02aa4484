-- A script that may be killed at any moment: it is run again with the same order, and goes on where
-- it was, since every number it gives is made of the order's.
--
--     KEYSECURE_ENVIRONMENT=emulator lua examples/restart.lua 4711 25.00
--
-- See docs/doubt.md.
local keysecure = require "keysecure"
local ks = assert(keysecure.from_env { mode = "credit" })
local order, amount = assert(arg[1], "usage: restart.lua ORDER [AMOUNT]"), arg[2] or "25.00"
local share = os.getenv "SUMSUB_SHARE_TOKEN" or "share-token"

-- What ended unknown is asked about until the truth is known, or two minutes are over.
local function certain(row, err)
  if not row and err.outcome == "unknown" then
    row, err = err:wait_settled()
  end
  if not row then
    io.stderr:write(tostring(err), "\n")
    os.exit(1)
  end
  return row
end

local holder = certain(ks.cardholders:apply {
  cardholder_unique_no = "U-" .. order, sumsub_share_token = share })
certain(holder:wait "Approved")
local package = certain(ks.cards:packages { type = "Virtual" })[1]
local card = certain(holder:apply_card { card_unique_no = "C-" .. order, card_type = "Virtual",
  package_no = package.package_no })
local transfer = certain(holder:transfer { transfer_unique_no = "T-" .. order, type = "In",
  balance = amount })
print(holder.cardholder_no, card.card_no, transfer.transfer_no)
