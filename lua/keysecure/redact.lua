--- Keeps secrets out of what the platform or a network says.

local redact = {}

local function escape(text)
  return (text:gsub("%p", "%%%0"))
end

--- `message` without any of `secrets`, and without anything that could be a card number.
---@param message string
---@param secrets string[]
---@return string
function redact.text(message, secrets)
  for _, secret in ipairs(secrets) do
    if secret ~= "" then
      message = message:gsub(escape(secret), "***")
    end
  end
  return (message:gsub("%d[%d %-]*%d", function(run)
    local _, digits = run:gsub("%d", "")
    return digits >= 12 and "***" or nil
  end))
end

return redact
