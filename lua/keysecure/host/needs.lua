--- What only one host needs is asked for by name when it is missing.

--- `require`, with a message that says what to install.
---@param host string    who asks
---@param module string  the same as its rock
---@return any
local function needs(host, module)
  local ok, result = pcall(require, module)
  if ok then
    return result
  elseif tostring(result):find("module '" .. module .. "' not found", 1, true) then
    error("host '" .. host .. "' needs " .. module .. ": luarocks install " .. module, 0)
  end
  error("host '" .. host .. "' needs " .. module .. ", which does not load: "
    .. tostring(result), 0)
end

return needs
