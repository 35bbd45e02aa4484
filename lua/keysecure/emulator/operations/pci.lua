--- Operations 14 and 15: a one-time token, and the card data it opens [A3].
local merchants = require "keysecure.emulator.merchants"
local refuse = require "keysecure.emulator.refuse"

local operations = {}

local CLIENT_TOKEN_SECONDS = 300

local function drop_expired(platform)
  local all = platform.store:rows("client_tokens")
  for i = #all, 1, -1 do
    if all[i].expires <= platform.clock:life() then
      platform.store:remove("client_tokens", all[i])
    end
  end
end

operations["pci.client_token"] = function(platform, call)
  if not call.merchant.pci then
    return refuse(1013)
  end
  local card, refusal = platform:card(call)
  if not card then
    return nil, refusal
  elseif card.status ~= "Activated" then
    return refuse(4005)
  end
  drop_expired(platform)
  local row = platform.store:insert("client_tokens", { owner = card.owner,
    token = merchants.random_token(), card_no = card.card_no,
    expires = platform.clock:life() + CLIENT_TOKEN_SECONDS * 1000 })
  return { client_access_token = row.token, expires_in = CLIENT_TOKEN_SECONDS }
end

local function contains(list, value)
  for _, entry in ipairs(list) do
    if entry == value then
      return true
    end
  end
  return false
end

-- What a browser says about where the iframe lives. Nothing published names the headers; these are
-- looked at where they are sent [A17].
local function check_origin(call)
  local origin, parent = call.header "origin", call.header "parent-origin"
  local site = call.header "sec-fetch-site"
  if parent and call.merchant.parent_origins
    and not contains(call.merchant.parent_origins, parent) then
    return 1015
  elseif origin and call.merchant.pci_origin and origin ~= call.merchant.pci_origin then
    return 1016
  elseif site and site ~= "same-origin" then
    return 1018
  end
end

-- The very same request again is a replay; the token in a new request is a used token [A17].
local function check_client_token(platform, call, row)
  if row and row.used_by and row.used_by == call.header "timestamp" then
    return 1017
  elseif not row or row.used_by or row.expires <= platform.clock:life()
    or row.card_no ~= call.values.card_no then
    return 1014
  end
end

operations["pci.card_detail"] = function(platform, call)
  if not call.merchant.pci then
    return refuse(1013)
  end
  local card, refusal = platform:card(call)
  if not card then
    return nil, refusal
  end
  local row = platform.store:find("client_tokens", "token", call.values.client_access_token)
  local code = check_origin(call) or check_client_token(platform, call, row)
  if code then
    return refuse(code)
  end
  platform.store:update("client_tokens", row, { used_by = call.header "timestamp" })
  return card
end

return operations
