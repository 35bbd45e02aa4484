--- Operation 1.
local operations = {}

operations["merchant.token"] = function(platform, call)
  local life = platform.clock:life()
  local lifetime = math.floor(platform.config.token_lifetime * 1000 + 0.5)
  local token = platform.merchants:issue_token(call.merchant, life, lifetime,
    platform.config.single_session)
  platform.stats:token()
  return { access_token = token, expired_time = platform.clock:now() + lifetime }
end

return operations
