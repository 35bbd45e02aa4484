--- Who may call: the checks that come before an operation, in the order in which the platform is
--- taken to make them [A15].
local api = require "keysecure.api"
local refuse = require "keysecure.emulator.refuse"

local gate = {}

local KEY_STATE_CODES = { disabled = 1010, expired = 1011, merchant_unknown = 1021,
  merchant_abnormal = 1022 }

local function contains(list, value)
  for _, entry in ipairs(list) do
    if entry == value then
      return true
    end
  end
  return false
end

local function find_merchant(platform, request)
  local api_key = request.header "api-key"
  if not api_key or api_key == "" then
    return refuse(1002)
  end
  local merchant = platform.merchants:with_key(api_key)
  if not merchant then
    return refuse(1008)
  end
  return merchant
end

local function check_key(_, _, request, merchant)
  if KEY_STATE_CODES[merchant.key_state] then
    return KEY_STATE_CODES[merchant.key_state]
  elseif merchant.ip_whitelist and not contains(merchant.ip_whitelist, request.peer) then
    return 1003
  end
end

local OLDEST = api.timestamp_max_age * 1000

-- At most 60 s old, and never in the server's future [P].
local function check_timestamp(platform, _, request)
  local text = request.header "timestamp" or ""
  local age = text:find("^%d+$") and #text == 13 and platform.clock:age(tonumber(text), OLDEST)
  if age then
    platform.stats:timestamp(age)
  end
  if not age or age < 0 or age > OLDEST then
    return 1005
  end
end

local function check_token(platform, operation, request, merchant)
  if operation.auth ~= "token" then
    return nil
  end
  local token = request.header "access-token"
  if not token or token == "" then
    return 1006
  elseif not platform.merchants:token_is_good(merchant, token, platform.clock:life()) then
    return 1007
  end
end

local function check_mode(_, operation, _, merchant)
  if operation.mode ~= "both" and operation.mode ~= merchant.mode then
    return 1012
  end
end

local function check_rate(platform, _, _, merchant)
  if platform.merchants:too_frequent(merchant, platform.clock:life()) then
    return 1009
  end
end

local CHECKS = { check_key, check_rate, check_timestamp, check_token, check_mode }

--- The merchant that calls, where it may. Simulations ask for no keys and have no merchant.
---@param platform table
---@param operation table
---@param request table
---@return table|nil merchant
---@return keysecure.emulator.Refusal|nil
function gate.admit(platform, operation, request)
  if operation.auth == "none" then
    return nil, nil
  elseif request.acting then -- the page acts for a merchant, without keys
    local code = check_mode(platform, operation, request, request.acting)
    if code then
      return refuse(code)
    end
    return request.acting
  end
  local merchant, refusal = find_merchant(platform, request)
  if not merchant then
    return nil, refusal
  end
  for _, check in ipairs(CHECKS) do
    local code = check(platform, operation, request, merchant)
    if code then
      return refuse(code)
    end
  end
  return merchant
end

return gate
