--- An operation and its fields become a method, a path and a body. Pure: nothing is sent here.
local api = require "keysecure.api"
local cjson = require "cjson"
local errors = require "keysecure.errors"
local rules = require "keysecure.rules"
local suggest = require "keysecure.suggest"

local json = cjson.new()

local request = {}

-- Bytes: what is sent, address and headers included, may have 1 MiB (csrc/core/call.h).
local BODY_MAX = 1000 * 1000

-- What follows from an operation alone, worked out once.
local function plan_of(operation)
  local plan = { known = {}, names = {}, body = {}, secrets = {}, before = operation.path }
  for i, field in ipairs(operation.params) do
    plan.known[field.name] = true
    plan.names[i] = field.name
    if field.secret then
      plan.secrets[#plan.secrets + 1] = field.name
    end
    local from, to = operation.path:find("{" .. field.name .. "}", 1, true)
    if from then
      plan.in_path = field.name
      plan.before, plan.after = operation.path:sub(1, from - 1), operation.path:sub(to + 1)
    elseif field.header then
      plan.header = field
    else
      plan.body[#plan.body + 1] = field
    end
  end
  return plan
end

local plans = {}
for name, operation in pairs(api.operations) do
  plans[name] = plan_of(operation)
end

local function check_names(operation, plan, fields)
  if operation.open then
    return
  end
  for name in pairs(fields) do
    if not plan.known[name] then
      errors.misuse(operation.name .. " takes no field '" .. tostring(name) .. "'"
        .. suggest(name, plan.names))
    end
  end
end

local function check_values(operation, fields, mode)
  local broken
  if operation.open then
    broken = rules.broken_given(operation, fields)
  else
    broken = rules.broken(operation, fields, mode)
  end
  if not broken then
    return nil
  elseif broken.misuse then
    errors.misuse(operation.name .. " " .. broken.field .. ": " .. broken.message)
  end
  return errors.new {
    kind = "invalid", operation = operation.name, field = broken.field, message = broken.message,
  }
end

local function wire_value(field, value, cipher)
  if field.encrypted then
    return cipher:encrypt(value)
  end
  return rules.spelling(field, value)
end

local function body_of(operation, plan, fields, cipher)
  local body = {}
  if operation.open then
    for name, value in pairs(fields) do
      body[name] = value
    end
  end
  for _, field in ipairs(plan.body) do
    local value = fields[field.name]
    if value ~= nil then
      body[field.name] = wire_value(field, value, cipher)
    end
  end
  local encoded, text = pcall(json.encode, body)
  if not encoded then -- a function or the like among the fields that are passed on as given
    errors.misuse(operation.name .. ": " .. text:gsub("^.-:%d+: ", ""))
  end
  return text
end

--- What `operation` sends for `fields`.
--
-- Raises for an unknown field or a wrong type; a value that breaks a rule is returned as an error.
---@param operation table  an entry of api.operations
---@param fields table
---@param cipher table     keysecure.cipher object that encrypts the fields marked so
---@param mode? string
---@return {path: string, body: string|nil, header: string|nil, header_value: string|nil}|nil
---@return keysecure.Error|nil
function request.new(operation, fields, cipher, mode)
  local plan = plans[operation.name]
  check_names(operation, plan, fields)
  local err = check_values(operation, fields, mode)
  if err then
    return nil, err
  end
  local made = { path = plan.before }
  if plan.in_path then
    made.path = plan.before .. fields[plan.in_path] .. plan.after
  end
  if plan.header then
    made.header, made.header_value = plan.header.header, fields[plan.header.name]
  end
  if operation.method == "POST" then
    made.body = body_of(operation, plan, fields, cipher)
    if #made.body > BODY_MAX then
      return nil, errors.new { kind = "invalid", operation = operation.name,
        message = "is too large: at most " .. BODY_MAX .. " bytes can be sent" }
    end
  end
  return made
end

--- The secret values among `fields`, to be kept out of messages.
---@param operation table
---@param fields table
---@return string[]
function request.secrets(operation, fields)
  local values = {}
  for i, name in ipairs(plans[operation.name].secrets) do
    values[i] = fields[name]
  end
  return values
end

return request
