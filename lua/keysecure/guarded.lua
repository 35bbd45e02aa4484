--- A row with secrets in it: prints masked, and gives its parts only when asked by name.
--
--     local private = assert(card:private_info())
--     print(private)          --> 411111******1111 12/2028
--     terminal:send(private.pan)
--
-- The parts live in a closure: a dump of the object, `pairs` or a JSON encoder find nothing in it.
local suggest = require "keysecure.suggest"

local guarded = {}

--- A card number with all but its first six and last four digits hidden.
---@param pan string
---@return string
function guarded.mask(pan)
  if #pan < 13 then
    return ("*"):rep(#pan)
  end
  return pan:sub(1, 6) .. ("*"):rep(#pan - 10) .. pan:sub(-4)
end

local DESCRIBE = {
  private = function(parts)
    return string.format("%s %s/%s", guarded.mask(parts.pan), parts.exp_month, parts.exp_year)
  end,
  client_token = function(parts)
    return string.format("client token for %s s", tostring(parts.expires_in))
  end,
  token = function()
    return "access token"
  end,
}

local function names_of(fields)
  local names, known = {}, {}
  for i, field in ipairs(fields) do
    names[i] = field.name
    known[field.name] = true
  end
  return names, known
end

--- Guards a row of an operation whose response has secret fields.
---@param operation table
---@param row table        not to be kept elsewhere
---@return table
function guarded.new(operation, row)
  local names, known = names_of(operation.data)
  local describe = DESCRIBE[operation.row]
  return setmetatable({}, {
    __index = function(_, name)
      if not known[name] then
        error(operation.name .. " has no part '" .. tostring(name) .. "'"
          .. suggest(name, names), 2)
      end
      return row[name]
    end,
    __newindex = function()
      error("guarded data can't be changed", 2)
    end,
    __tostring = function()
      return describe(row)
    end,
    __metatable = "guarded",
  })
end

return guarded
