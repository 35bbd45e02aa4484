--- A consumption record: what `ks.consumptions` returns.
local row = require "keysecure.resource.row"

---@class keysecure.Consumption
---@field consume_no string
---@field consume_relate_no? string  of the record that a reversal or refund is about
---@field card_no string
---@field cardholder_no? string
---@field type "Open_card"|"Consumption"|"Atm"|"Manage_fee"|"Reversal"|"Refund"
---@field amount string              decimal text
---@field status "Pending"|"Success"|"Fail"
---@field time integer               Unix ms
local Consumption = {}

--- Asks the platform for all that it knows of this record.
---@param options? {timeout: number?}
---@return keysecure.Consumption|nil self
---@return keysecure.Error|nil
function Consumption:refresh(options)
  local client = row.client(self, "consumption:refresh")
  local fresh, err = client:call("consumptions.info", { consume_no = self.consume_no }, options)
  if not fresh then
    return nil, err
  end
  return row.update(self, fresh)
end

local function describe(self)
  return string.format("consumption %s %s %s (%s)", tostring(self.consume_no), tostring(self.type),
    tostring(self.amount), tostring(self.status))
end

return { consumption = { methods = Consumption, describe = describe } }
