--- From a request to an operation's arguments: read, decrypted, checked against `api`.
local api = require "keysecure.api"
local datetime = require "keysecure.datetime"
local rules = require "keysecure.rules"
local json = require "keysecure.emulator.json"
local refuse = require "keysecure.emulator.refuse"

local arguments = {}

-- A body that is no JSON object is a wrong parameter [P], as is another type of content [A20].
local function collect(operation, request)
  local values = {}
  if operation.method == "POST" then
    if not (request.header "content-type" or ""):lower():find("^application/json") then
      return refuse(1004, "Content-Type")
    end
    values = json.decode_object(request.body)
    if not values then
      return refuse(1004, "body", "no JSON object")
    end
  end
  for name, value in pairs(request.path_values) do
    values[name] = value
  end
  for _, field in ipairs(operation.params) do
    if field.header then
      values[field.name] = request.header(field.header:lower())
    end
  end
  return values
end

-- The rules speak of the plaintext. What can't be decrypted is no such thing.
local function decrypt(operation, values, merchant)
  for _, field in ipairs(operation.params) do
    local value = values[field.name]
    if field.encrypted and type(value) == "string" then
      local ok, text = merchant.cipher:decrypt(value)
      if not ok then
        return refuse(1004, field.name, "cannot be decrypted")
      end
      values[field.name] = text
    end
  end
  return true
end

local function fill_in(operation, values)
  for _, field in ipairs(operation.params) do
    if values[field.name] == nil then
      values[field.name] = field.default
    elseif field.fold then
      values[field.name] = rules.spelling(field, values[field.name])
    end
  end
end

local function zone_of(request)
  local zone = request.header "timezone"
  if not zone or zone == "" then
    return api.default_timezone
  elseif not datetime.zone_offset(zone) then
    return refuse(1004, "Timezone")
  end
  return zone
end

-- Seconds, both ends within the window.
local function window_of(operation, values, zone)
  if operation.window then
    return { from = (datetime.parse(values.start_time, zone)),
      to = datetime.parse_end(values.end_time, zone) }
  end
end

--- What an operation is called with.
---@class keysecure.emulator.Call
---@field merchant table|nil
---@field values table     arguments by name; encrypted ones in plaintext
---@field window? { from: integer, to: integer }
---@field header fun(name: string): string|nil

---@param operation table
---@param request table
---@param merchant table|nil
---@return keysecure.emulator.Call|nil
---@return keysecure.emulator.Refusal|nil
function arguments.read(operation, request, merchant)
  local zone, refusal = zone_of(request)
  local values, ok
  if zone then
    values, refusal = collect(operation, request)
  end
  if values then
    ok, refusal = decrypt(operation, values, merchant)
  end
  if not ok then
    return nil, refusal
  end
  local broken = rules.broken(operation, values, merchant and merchant.mode)
  if broken then
    return refuse(broken.code, broken.field, broken.message)
  end
  fill_in(operation, values)
  return { merchant = merchant, values = values, window = window_of(operation, values, zone),
    header = request.header }
end

return arguments
