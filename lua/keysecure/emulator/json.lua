--- JSON as the platform writes it: fields in the order of `api`, lists that stay lists when empty,
--- times without an exponent, and money in callbacks with the very digits it was given. lua-cjson
--- reads; it could write none of these.
local cjson = require("cjson").new()

cjson.decode_max_depth(32)
cjson.decode_invalid_numbers(false)

local json = {}

--- Stands for JSON's null where a reader asks to see it.
json.null = require("cjson").null

local ARRAY = {}

--- Marks a table as a JSON array, whatever it holds.
---@param list table
---@return table list
function json.array(list)
  return setmetatable(list, ARRAY)
end

-- Writing -------------------------------------------------------------------------------------

local SHORT = { ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n",
  ["\r"] = "\\r", ["\t"] = "\\t" }

local function escape(character)
  return SHORT[character] or string.format("\\u%04x", character:byte())
end

local function quote(text)
  return '"' .. text:gsub('[%c"\\]', escape) .. '"'
end

local function number(value)
  if value % 1 == 0 then
    return string.format("%.0f", value)
  end
  return string.format("%.14g", value)
end

local encode

local function encode_array(list)
  local parts = {}
  for i = 1, #list do
    parts[i] = encode(list[i])
  end
  return "[" .. table.concat(parts, ",") .. "]"
end

local function encode_object(object)
  local names = {}
  for name in pairs(object) do
    names[#names + 1] = tostring(name)
  end
  table.sort(names)
  for i, name in ipairs(names) do
    names[i] = quote(name) .. ":" .. encode(object[name])
  end
  return "{" .. table.concat(names, ",") .. "}"
end

local function encode_table(value)
  if getmetatable(value) == ARRAY or value[1] ~= nil then
    return encode_array(value)
  end
  return encode_object(value)
end

local BY_TYPE = { string = quote, number = number, boolean = tostring, table = encode_table }

--- Any Lua value; the members of an object in alphabetical order.
---@param value any
---@return string
function json.encode(value)
  local encoder = BY_TYPE[type(value)]
  return encoder and encoder(value) or "null"
end

encode = json.encode

local encode_fields

local function encode_rows(rows, field)
  local parts = {}
  for i, row in ipairs(rows) do
    parts[i] = encode_fields(field.fields, row)
  end
  return "[" .. table.concat(parts, ",") .. "]"
end

local BY_FIELD = {
  object = function(row, field) return encode_fields(field.fields, row) end,
  list = encode_rows,
  decimal = function(digits) return digits end,
}

--- A row as `api` describes it: its fields in their order, nothing else; what is missing is null.
--- Beside api's types there is "decimal", decimal text that becomes a number with the same digits;
--- `from` is the name that the row has for it, where that is another.
---@param fields table[]
---@param row table
---@return string
function json.encode_fields(fields, row)
  local parts = {}
  for i, field in ipairs(fields) do
    local value, encoder = row[field.from or field.name], BY_FIELD[field.type] or encode
    parts[i] = quote(field.name) .. ":" .. (value == nil and "null" or encoder(value, field))
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

encode_fields = json.encode_fields

-- Reading -------------------------------------------------------------------------------------

-- Lead bytes, the length of their sequence, and the range of the second byte (RFC 3629).
local SEQUENCES = {
  { 0xC2, 0xDF, 2, 0x80, 0xBF }, { 0xE0, 0xE0, 3, 0xA0, 0xBF }, { 0xE1, 0xEC, 3, 0x80, 0xBF },
  { 0xED, 0xED, 3, 0x80, 0x9F }, { 0xEE, 0xEF, 3, 0x80, 0xBF }, { 0xF0, 0xF0, 4, 0x90, 0xBF },
  { 0xF1, 0xF3, 4, 0x80, 0xBF }, { 0xF4, 0xF4, 4, 0x80, 0x8F },
}

local function sequence_length(lead, second)
  for _, range in ipairs(SEQUENCES) do
    if lead >= range[1] and lead <= range[2] then
      return second >= range[4] and second <= range[5] and range[3] or nil
    end
  end
end

--- Whether a text is well-formed UTF-8 (RFC 3629).
---@param text string
---@return boolean
function json.is_utf8(text)
  local position = text:find("[\128-\255]")
  while position do
    local lead, second = text:byte(position, position + 1)
    local length = sequence_length(lead, second or 0)
    local _, last = text:find("^[\128-\191]*", position + 1)
    if not length or last - position ~= length - 1 then
      return false
    end
    position = text:find("[\128-\255]", position + length)
  end
  return true
end

-- An absent member and one that is null are the same to the platform.
local function without_nulls(value)
  for key, member in pairs(value) do
    if member == json.null then
      value[key] = nil
    elseif type(member) == "table" then
      without_nulls(member)
    end
  end
  return value
end

--- Reads an object; members that are null are left out unless `keep_null`.
---@param text string
---@param keep_null? boolean  they are then `json.null`
---@return table|nil object   nil where the text is no JSON object in UTF-8
function json.decode_object(text, keep_null)
  if not text:find("^%s*{") or not json.is_utf8(text) then
    return nil
  end
  local ok, value = pcall(cjson.decode, text)
  if not ok then
    return nil
  end
  return keep_null and value or without_nulls(value)
end

return json
