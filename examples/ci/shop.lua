-- The program under test: gives each customer a card with some money on it.
local shop = {}

-- A platform that can't be reached is worth another try later; a refusal is not, and what may have
-- happened is looked up first.
local function failure(err)
  return { message = tostring(err), again = err.outcome == "not_sent",
    unknown = err.outcome == "unknown" }
end

--- Issues a card to a customer.
---@param ks keysecure.Client
---@param customer { number: string, share_token: string, amount: string }
---@return keysecure.Card|nil card
---@return { message: string, again: boolean, unknown: boolean }|nil failure
function shop.issue(ks, customer)
  local holder, err = ks.cardholders:apply {
    cardholder_unique_no = "U-" .. customer.number, sumsub_share_token = customer.share_token }
  local approved = holder
  if holder then
    approved, err = holder:wait("Approved", { timeout = 10 })
  end
  local card
  if approved then
    card, err = holder:apply_card { package_no = "P-1", card_type = "Virtual",
      card_unique_no = "C-" .. customer.number }
  end
  local transfer
  if card then
    transfer, err = holder:transfer { type = "In", balance = customer.amount,
      transfer_unique_no = "T-" .. customer.number }
  end
  if not transfer then
    return nil, failure(err)
  end
  return card
end

return shop
