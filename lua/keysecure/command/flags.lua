--- The flags of an operation, made of its parameters in `api`, and the fields made of the flags.
--
-- `card_no` is --card-no; the members of an object follow a dot: --address-info.city. A secret has
-- no flag of its own but --cvv-file: see keysecure.command.secrets.
local secrets = require "keysecure.command.secrets"

local flags = {}

-- Where argparse keeps a flag's value: apart from the names that the command line needs itself.
local function slot(path)
  return "field " .. path
end

local function flag_of(path)
  return "--" .. path:gsub("_", "-")
end

local REQUIRED_IN = { credit = "required in credit mode",
  authorization = "required in authorization mode", Physical = "required for a Physical card" }

local PLACEHOLDERS = { money = "100.00", datetime = "yyyy-MM-dd", integer = "N", number = "N" }

local function help_of(field)
  local parts = {}
  local function say(condition, text)
    parts[#parts + 1] = condition and text or nil
  end
  say(field.type == "datetime", "yyyy-MM-dd or 'yyyy-MM-dd HH:mm:ss'")
  say(field.enum, "one of " .. table.concat(field.enum or {}, ", "))
  say(field.digits, "exactly " .. tostring(field.digits) .. " digits")
  say(field.says, tostring(field.says))
  say(field.scale, "at most " .. tostring(field.scale) .. " decimals")
  say(field.default, "default " .. tostring(field.default))
  say(REQUIRED_IN[field.required], REQUIRED_IN[field.required])
  return table.concat(parts, "; ")
end

local function add_secret(command, field)
  local flag, variable = flag_of(field.name), secrets.variable(field.name)
  command:option(flag .. "-file", "file with the secret in its first line; - is standard input,"
    .. " and without a file it is taken from " .. variable .. " or asked for"):argname "FILE"
    :target(slot(field.name))
  command:option(flag):hidden(true):target(slot("plain " .. field.name))
end

local function add_flags(command, fields, prefix)
  for _, field in ipairs(fields) do
    local path = prefix .. field.name
    if field.fields then
      add_flags(command, field.fields, path .. ".")
    elseif field.secret then
      add_secret(command, field)
    else
      local option = command:option(flag_of(path), help_of(field))
        :argname(PLACEHOLDERS[field.type] or "TEXT"):target(slot(path))
      if field.required == true and prefix == "" then
        option:count "1"
      end
    end
  end
end

--- Adds the flags of an operation to its sub-command.
---@param command table    of argparse
---@param operation table  an entry of api.operations
function flags.describe(command, operation)
  add_flags(command, operation.params, "")
  if operation.open then
    command:option("--field", "any other field, as text"):argname "NAME=VALUE":count "*"
      :target "open"
  end
end

local NUMERIC = { integer = true, number = true }

local BOOLEANS = { ["true"] = true, ["false"] = false }

local function value_of(field, text, path)
  if field.type == "boolean" then
    if BOOLEANS[text] == nil then
      return nil, flag_of(path) .. ": true or false expected, got '" .. text .. "'"
    end
    return BOOLEANS[text]
  elseif not NUMERIC[field.type] then
    return text
  end
  local number = tonumber(text)
  if not number then
    return nil, flag_of(path) .. ": a number expected, got '" .. text .. "'"
  end
  return number
end

local function read_secret(field, arguments)
  if arguments[slot("plain " .. field.name)] then
    return nil, string.format("%s would be seen by every user of this machine; give it by %s-file"
      .. " FILE (- is standard input) or %s", flag_of(field.name), flag_of(field.name),
      secrets.variable(field.name))
  end
  local path = arguments[slot(field.name)]
  if path or field.required then
    return secrets.read(field.name, path)
  end
end

local read_fields

local function read_object(field, arguments, path)
  local values, fault = read_fields(field.fields, arguments, path .. ".")
  if fault then
    return nil, fault
  end
  return next(values) and values or nil
end

local function read_field(field, arguments, path)
  if field.fields then
    return read_object(field, arguments, path)
  elseif field.secret then
    return read_secret(field, arguments)
  end
  local text = arguments[slot(path)]
  if text ~= nil then
    return value_of(field, text, path)
  end
end

function read_fields(fields, arguments, prefix)
  local values = {}
  for _, field in ipairs(fields) do
    local value, fault = read_field(field, arguments, prefix .. field.name)
    if fault then
      return nil, fault
    end
    values[field.name] = value
  end
  return values
end

local function read_open(values, pairs_given)
  for _, pair in ipairs(pairs_given or {}) do
    local name, value = pair:match "^([%w_]+)=(.*)$"
    if not name then
      return "--field: NAME=VALUE expected, got '" .. pair .. "'"
    end
    values[name] = value
  end
end

--- The fields of a call.
---@param operation table
---@param arguments table  what argparse made of the command line
---@return table|nil fields
---@return string|nil fault
function flags.read(operation, arguments)
  local values, fault = read_fields(operation.params, arguments, "")
  if values then
    fault = read_open(values, arguments.open)
  end
  if fault then
    return nil, fault
  end
  return values
end

return flags
