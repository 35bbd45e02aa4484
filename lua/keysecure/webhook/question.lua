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

-- What tells one purchase from another.
local TELLING = { "consume_no", "amount", "local_amount", "local_currency", "card_no", "type" }

--- Whether what tells purchases apart is what was signed. The signed text is `key=value&key=value`
--- without quotes: data whose consume_no is "S1&local_amount=9" have the same signature as data
--- with both members. No number, amount, currency or type of the platform's has an `&` in it.
---@param data table
---@return boolean
function question.is_plain(data)
  for i = 1, #TELLING do
    local value = data[TELLING[i]]
    if type(value) == "string" and value:find("&", 1, true) then
      return false
    end
  end
  return true
end

--- Whether the data can be those of an authorization.
---@param data table
---@return boolean
function question.is_complete(data)
  return type(data.consume_no) == "string" and data.consume_no ~= ""
    and #data.consume_no <= NUMBER_MAX and type(data.amount) == "string" and question.is_plain(data)
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
