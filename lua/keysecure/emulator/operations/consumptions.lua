--- Operations 12 and 13.
local refuse = require "keysecure.emulator.refuse"

local operations = {}

operations["consumptions.info"] = function(platform, call)
  local row = platform.store:find("consumptions", "consume_no", call.values.consume_no,
    call.merchant.api_key)
  if not row then
    return refuse(4002)
  end
  return row
end

operations["consumptions.list"] = function(platform, call)
  return platform:page("consumptions", call, { "cardholder_no", "consume_no", "card_no" })
end

return operations
