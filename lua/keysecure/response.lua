--- The data of an answer becomes a value or an error. Pure.
local api = require "keysecure.api"
local cjson = require "cjson"
local errors = require "keysecure.errors"
local guarded = require "keysecure.guarded"

local json = cjson.new()
local null = cjson.null
local to_integer = math.tointeger or function(number)
  return number % 1 == 0 and number or nil -- which infinity is not
end

local response = {}

-- Numbers of up to 15 digits come through a double unharmed; any other can't be trusted.
local function exact_text(number)
  local text = string.format("%.15g", number)
  if tonumber(text) == number and not text:find("[eni]") then
    return text
  end
end

-- An object would pass for a list without rows, and what is in it for things that aren't there.
local function is_list(value)
  return type(value) == "table" and (#value > 0 or next(value) == nil)
end

local convert_fields

-- Each converter: the value as promised, or nil where it can't be that.
local CONVERT = {
  time = function(value)
    local number = tonumber(value)
    return number and to_integer(number)
  end,
  money = function(value)
    if type(value) == "number" then
      return exact_text(value)
    end
    return type(value) == "string" and value or nil
  end,
  object = function(value, field)
    return type(value) == "table" and convert_fields(field.fields, value) or nil
  end,
  list = function(value, field, rows)
    if not is_list(value) then
      return nil
    end
    for i, item in ipairs(value) do
      local row = type(item) == "table" and convert_fields(field.fields, item)
      if not row then
        return nil
      end
      value[i] = setmetatable(row, rows[field.row])
    end
    return value
  end,
}

-- The fields of an operation whose values need a look, and those alone.
local function special(fields)
  local found = {}
  for _, field in ipairs(fields) do
    if CONVERT[field.type] then
      found[#found + 1] = field
    end
  end
  return found
end

local special_of = setmetatable({}, { __mode = "k" })

function convert_fields(fields, row, rows)
  local found = special_of[fields]
  if not found then
    found = special(fields)
    special_of[fields] = found
  end
  for i = 1, #found do
    local field = found[i]
    local value = row[field.name]
    if value ~= nil then
      local converted = CONVERT[field.type](value, field, rows)
      if converted == nil and value ~= "" then
        return nil, field.name
      end
      row[field.name] = converted
    end
  end
  return row
end

local function without_nulls(value)
  for key, item in pairs(value) do
    if item == null then
      value[key] = nil
    elseif type(item) == "table" then
      without_nulls(item)
    end
  end
  return value
end

local function unreadable(operation, message, field)
  return errors.new {
    kind = "protocol", outcome = "unknown", operation = operation.name, field = field,
    message = message,
  }
end

-- The secret fields of the operations that have any.
local secrets_of = {}
for name, operation in pairs(api.operations) do
  for _, field in ipairs(operation.data) do
    if field.secret then
      secrets_of[name] = secrets_of[name] or {}
      table.insert(secrets_of[name], field.name)
    end
  end
end

-- Rows with secrets in them are handed over guarded, and only whole.
local function guard(operation, row, secrets)
  for _, name in ipairs(secrets) do
    if type(row[name]) ~= "string" then
      return nil, unreadable(operation, "is missing", name)
    end
  end
  return guarded.new(operation, row)
end

local function to_row(operation, row, rows)
  if type(row) ~= "table" then
    return nil, unreadable(operation, "data is not an object")
  end
  local converted, bad = convert_fields(operation.data, row, rows)
  if not converted then
    return nil, unreadable(operation, "is not what the platform promises", bad)
  end
  local secrets = secrets_of[operation.name]
  if secrets then
    return guard(operation, converted, secrets)
  end
  return setmetatable(converted, rows[operation.row])
end

local READ = {}

--- The answer to an application names little more than the new number: what was asked for goes with
-- it, so that the row can be worked on at once.
---@param operation table
---@param row table
---@param fields table
---@return table row
function response.carry_over(operation, row, fields)
  for _, field in ipairs(operation.params) do
    if row[field.name] == nil and field.type ~= "object" and not field.secret then
      row[field.name] = fields[field.name]
    end
  end
  return row
end

function READ.row(operation, data, context, fields)
  local row, err = to_row(operation, data, context.rows)
  if row and operation.unique then
    response.carry_over(operation, row, fields)
  end
  return row, err
end

function READ.list(operation, data, context)
  local list = type(data) == "table" and data.list
  if not is_list(list) then
    return nil, unreadable(operation, "data holds no list")
  end
  for i = 1, #list do
    local row, err = to_row(operation, list[i], context.rows)
    if not row then
      return nil, err
    end
    list[i] = row
  end
  return list
end

function READ.done(operation, data)
  if type(data) == "table" and data.result == true then
    return true
  end
  return nil, unreadable(operation, "the platform did not say that it is done", "result")
end

function READ.cipher(operation, data, context)
  if type(data) ~= "string" then
    return nil, unreadable(operation, "data is not encrypted text")
  end
  local ok, plain = context.cipher:decrypt(data)
  if not ok then
    plain.operation, plain.outcome = operation.name, "unknown"
    return nil, plain
  end
  local decoded, row = pcall(json.decode, plain)
  if not decoded then
    return nil, unreadable(operation, "the decrypted data is no JSON (is api_secret right?)")
  end
  return to_row(operation, row, context.rows)
end

local OBJECT, LIST = ("{"):byte(), ("["):byte()

-- Text and numbers on their own are no document to every version of lua-cjson.
local function decode(text)
  local first = text:byte()
  local bare = first ~= OBJECT and first ~= LIST
  local ok, value = pcall(json.decode, bare and "[" .. text .. "]" or text)
  if not ok then
    return nil
  elseif bare then
    value = value[1]
    return value ~= null and value or nil
  end
  return text:find("null", 1, true) and without_nulls(value) or value
end

--- What `operation` returns for the JSON text of its `data`.
---@param operation table
---@param data string|nil
---@param context {cipher: table, rows: table<string, table>}  rows: metatables by kind of row
---@param fields table  what was asked
---@return any value
---@return keysecure.Error|nil
function response.value(operation, data, context, fields)
  return READ[operation.returns](operation, data and decode(data), context, fields)
end

--- Completes what the core says of a failed call.
---@param operation table
---@param failure table
---@return keysecure.Error
function response.failure(operation, failure)
  failure.operation = operation.name
  local known = api.codes[failure.code]
  if known then
    failure.name = known.name
  end
  if failure.kind == "api" then
    failure.field = failure.message:match("^([%l][%l%d_%.]*) invalid parameter")
  end
  return errors.new(failure)
end

return response
