--- What an authorization asks, in one text: asked again with another one, it is another question.
local question = {}

local NUMBER_MAX = 128 -- bytes of a consume_no

-- Digits differ where amounts don't: 12.5, 12.50.
local function plain(amount)
  local text = tostring(amount)
  local whole, decimals = text:match("^(.-)%.(%d-)0*$")
  if not whole then
    return text
  end
  return decimals == "" and whole or whole .. "." .. decimals
end

--- Whether the data can be those of an authorization.
---@param data table
---@return boolean
function question.is_complete(data)
  return type(data.consume_no) == "string" and data.consume_no ~= ""
    and #data.consume_no <= NUMBER_MAX and type(data.amount) == "string"
end

--- Amounts, currency, card and type.
---@param data table
---@return string
function question.facts(data)
  return plain(data.amount) .. "|" .. plain(data.local_amount) .. "|"
    .. tostring(data.local_currency) .. "|" .. tostring(data.card_no) .. "|" .. tostring(data.type)
end

--- Under what it is remembered: the purchase; with `on_changed = "decide"`, the purchase and the
--- facts.
---@param hook keysecure.Webhook
---@param data table
---@param facts string
---@return string
function question.key(hook, data, facts)
  return hook.options.on_changed == "decide" and data.consume_no .. "|" .. facts or data.consume_no
end

return question
