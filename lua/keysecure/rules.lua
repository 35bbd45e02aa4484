--- What `api` asks of an argument, applied. Pure; the client checks with it before anything is
--- sent, the emulator again on what arrives.
local api = require "keysecure.api"
local datetime = require "keysecure.datetime"

local rules = {}

--- Why a value is refused.
---@class keysecure.Broken
---@field field string     such as "address_info.city"
---@field message string
---@field code integer     what the platform answers to it
---@field misuse? boolean  a wrong type rather than a wrong value

local LUA_TYPE = {
  text = "string", id = "string", money = "string", datetime = "string", integer = "number",
  number = "number", time = "number", object = "table", list = "table", boolean = "boolean",
}

local function broken(field, prefix, message, changes)
  local result = { field = prefix .. field.name, message = message, code = field.code or 1004 }
  for key, value in pairs(changes or {}) do
    result[key] = value
  end
  return result
end

local function type_of(field, value, prefix)
  local expected = LUA_TYPE[field.type]
  local given = type(value)
  if expected and given ~= expected then
    local hint = field.type == "money" and ' (money is decimal text such as "100.00")' or ""
    return broken(field, prefix, expected .. " expected, got " .. given .. hint, { misuse = true })
  end
  if field.type == "integer" and value ~= math.floor(value) then
    return broken(field, prefix, "a whole number expected", { misuse = true })
  end
end

-- Characters, not bytes: all but UTF-8's continuation bytes.
local function character_count(text)
  local _, count = text:gsub("[^\128-\191]", "")
  return count
end

local function has_run(digits)
  for i = 1, #digits - 2 do
    local a, b, c = digits:byte(i, i + 2)
    if b - a == c - b and math.abs(b - a) <= 1 then
      return true
    end
  end
  return false
end

local function one_of(field, value)
  for _, allowed in ipairs(field.enum) do
    if value == allowed or (field.fold and value:lower() == allowed:lower()) then
      return allowed
    end
  end
end

-- Each rule: what is wrong with `value`, and the platform's code where it isn't the field's own.
local function text_rules(field, value)
  if value == "" then
    return "must not be empty"
  elseif value:find("%c") then
    return "must not hold control characters"
  elseif field.max and character_count(value) > field.max then
    return "must have at most " .. field.max .. " characters"
  elseif field.digits and not (value:find("^%d+$") and #value == field.digits) then
    return "must be exactly " .. field.digits .. " digits"
  elseif field.no_runs and has_run(value) then
    return "must not hold three identical or sequential digits"
  elseif field.enum and not one_of(field, value) then
    return "must be one of " .. table.concat(field.enum, ", ")
  elseif field.english and value:find("[\128-\255]") then
    return "must be in English letters", 2008
  elseif field.english and value:find("[^%w ,%.'#/&()%-]") then
    return "holds a symbol that is not allowed in an address", 2007
  elseif field.pattern and not value:find(field.pattern) then
    return "must be " .. field.says
  end
end

-- The platform's numbers go into paths, so nothing but letters, digits, `-` and `_` is let through.
local function id_rules(field, value)
  if not value:find("^[%w_%-]+$") then
    return "must be letters, digits, hyphens and underscores"
  elseif #value > field.max then
    return "must have at most " .. field.max .. " characters"
  end
end

local function money_rules(field, value)
  local whole, fraction = value:match("^(%d+)%.?(%d*)$")
  if not whole or value:sub(-1) == "." or #value > 32 then
    return 'must be a decimal number such as "100.00"'
  elseif field.scale and #fraction > field.scale then
    return "must have at most " .. field.scale .. " decimals"
  elseif field.positive and not value:find("[1-9]") then
    return "must be more than zero"
  end
end

local function number_rules(field, value)
  if field.min and value < field.min then
    return "must be at least " .. field.min
  elseif field.max and value > field.max then
    return "must be at most " .. field.max
  end
end

local function datetime_rules(_, value)
  if not datetime.parse(value, "UTC") then
    return "must be a date yyyy-MM-dd or yyyy-MM-dd HH:mm:ss"
  end
end

local RULES = {
  text = text_rules, id = id_rules, money = money_rules, integer = number_rules,
  datetime = datetime_rules,
}

local check_fields

-- `given` is what conditions look at: mode and card_type; `enforced`: whether what is required must
-- be there. The path is put together only for a complaint.
local function check_value(field, value, prefix, given, enforced)
  local wrong = type_of(field, value, prefix)
  if wrong then
    return wrong
  end
  local rule = RULES[field.type]
  local message, code = nil, nil
  if rule then
    message, code = rule(field, value)
  end
  if message then
    return broken(field, prefix, message, { code = code })
  end
  if field.type == "object" then
    return check_fields(field.fields, value, prefix .. field.name .. ".", given, enforced)
  end
end

local function is_required(field, given)
  local required = field.required
  return required == true
    or (required ~= nil and (required == given.mode or required == given.card_type))
end

function check_fields(fields, values, prefix, given, enforced)
  for i = 1, #fields do
    local field = fields[i]
    local value, wrong = values[field.name], nil
    if value ~= nil then
      wrong = check_value(field, value, prefix, given, enforced)
    elseif enforced and field.required and is_required(field, given) then
      wrong = broken(field, prefix, "is required", { code = 1004 })
    end
    if wrong then
      return wrong
    end
  end
end

-- The fields that one mode or the other requires, by operation.
local alternatives = {}
for name, operation in pairs(api.operations) do
  for _, field in ipairs(operation.params) do
    if api.modes[field.required] then
      alternatives[name] = alternatives[name] or {}
      table.insert(alternatives[name], field.name)
    end
  end
end

-- Where the mode isn't known, one of them must be there.
local function check_alternatives(names, values)
  for _, name in ipairs(names) do
    if values[name] ~= nil then
      return nil
    end
  end
  return { field = names[1], code = 1004,
    message = "is required (or " .. table.concat(names, ", ", 2) .. ", as the mode has it)" }
end

-- An end without a time reaches to the end of its day [A13]; the 90 days are counted as written.
local function check_window(operation, values)
  local first = datetime.parse(values.start_time, "UTC")
  local last = datetime.parse(values.end_time, "UTC")
  if datetime.parse_end(values.end_time, "UTC") <= first then
    return { field = "end_time", message = "must be after start_time", code = 1019 }
  elseif last - first > api.window_days * 86400 then
    return { field = "end_time", code = 1020, message = "must be at most " .. api.window_days
      .. " days after start_time (" .. operation.name:match("^%w+") .. ":each splits the time)" }
  end
end

local NO_CONDITIONS = {}

--- The first rule of `operation` that `values` breaks; fields that it does not describe are not
--- looked at.
---@param operation table    an entry of api.operations
---@param values table
---@param mode? "credit"|"authorization"
---@return keysecure.Broken|nil
function rules.broken(operation, values, mode)
  local given = NO_CONDITIONS
  if mode or values.card_type then
    given = { mode = mode, card_type = values.card_type }
  end
  local wrong = check_fields(operation.params, values, "", given, true)
  if wrong then
    return wrong
  elseif not mode and alternatives[operation.name] then
    wrong = check_alternatives(alternatives[operation.name], values)
  end
  if operation.window and not wrong then
    wrong = check_window(operation, values)
  end
  return wrong
end

--- As `broken`, for an operation whose fields nothing published says: only what is given is
--- checked.
---@param operation table
---@param values table
---@return keysecure.Broken|nil
function rules.broken_given(operation, values)
  return check_fields(operation.params, values, "", NO_CONDITIONS, false)
end

--- The spelling of `value` that the platform lists, where letter case doesn't matter.
---@param field table
---@param value string
---@return string
function rules.spelling(field, value)
  return field.fold and one_of(field, value) or value
end

return rules
