--- Accounts and fund transfers: what `ks.accounts` returns. They have no methods of their own.

---@class keysecure.Transfer
---@field transfer_no string
---@field transfer_unique_no string
---@field cardholder_no string
---@field type "In"|"Out"
---@field balance string           TUSDT, decimal text
---@field before_balance? string   in the answer to a transfer
---@field after_balance? string
---@field status? "Pending"|"Success"|"Fail"  in rows of `transfers`
---@field time? integer            Unix ms
local Transfer = {}

---@class keysecure.Account
---@field cardholder_no string
---@field symbol string
---@field balance string           decimal text
local Account = {}

local function describe_transfer(self)
  return string.format("transfer %s %s %s", tostring(self.transfer_no), tostring(self.type),
    tostring(self.balance))
end

local function describe_account(self)
  return string.format("account %s %s", tostring(self.symbol), tostring(self.balance))
end

return {
  transfer = { methods = Transfer, describe = describe_transfer },
  account = { methods = Account, describe = describe_account },
}
