--- What an operation gave, for people (aligned text) or for programs (JSON). Money keeps its digits
--- either way; secrets are masked unless they were asked for.
local datetime = require "keysecure.datetime"
local guarded = require "keysecure.guarded"

local output = {}

-- JSON ----------------------------------------------------------------------------------------

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function quote(text)
  return '"' .. text:gsub('[%c"\\]', function(character)
    return ESCAPES[character] or string.format("\\u%04x", character:byte())
  end) .. '"'
end

local function number(value)
  return value % 1 == 0 and string.format("%.0f", value) or string.format("%.14g", value)
end

local encode

local function encode_list(list)
  local parts = {}
  for i, item in ipairs(list) do
    parts[i] = encode(item)
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

local ENCODERS = {
  string = quote, number = number, boolean = tostring,
  table = function(value)
    return value[1] ~= nil and encode_list(value) or encode_object(value)
  end,
}

function encode(value)
  return ENCODERS[type(value)](value)
end

-- Rows ----------------------------------------------------------------------------------------

local HIDDEN = "***"

-- What is shown of a secret that was not asked for.
local function masked(field, value)
  if field.name == "pan" then
    return guarded.mask(value)
  end
  return field.name:find "^exp_" and value or HIDDEN -- print(private) shows the expiry, too
end

local function value_of(row, field, reveal)
  local value = row[field.name]
  if value ~= nil and field.secret and not reveal then
    return masked(field, value)
  end
  return value
end

-- Fields that nothing promised: the platform may add some. A guarded row has none.
local function others(operation, row)
  local known, names = {}, {}
  for _, field in ipairs(operation.data) do
    known[field.name] = true
  end
  for name in pairs(row) do
    if not known[name] then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return names
end

-- An empty list must not become an empty object.
local function encode_field(field, value)
  return field.type == "list" and encode_list(value) or encode(value)
end

--- A row as a JSON object, the promised fields first and in the platform's order.
---@param operation table
---@param row any         as the library returned it
---@param reveal boolean  show secrets
---@return string
function output.json(operation, row, reveal)
  if row == true then
    return '{"result":true}'
  end
  local parts = {}
  for _, field in ipairs(operation.data) do
    local value = value_of(row, field, reveal)
    if value ~= nil then
      parts[#parts + 1] = quote(field.name) .. ":" .. encode_field(field, value)
    end
  end
  for _, name in ipairs(others(operation, row)) do
    parts[#parts + 1] = quote(name) .. ":" .. encode(row[name])
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

-- Text ----------------------------------------------------------------------------------------

-- Nothing that a terminal would obey: neither ASCII's control characters nor those of Latin-1,
-- which UTF-8 writes in two bytes.
local function plain(value)
  return (tostring(value):gsub("%c", " "):gsub("\194[\128-\159]", " "))
end

local function moment(milliseconds, zone)
  return datetime.format(math.floor(milliseconds / 1000), zone) .. " " .. zone
end

local function text_of(field, value, zone)
  if field.type == "time" and type(value) == "number" then
    return moment(value, zone)
  elseif type(value) == "number" then
    return number(value)
  elseif type(value) == "table" then
    return plain(encode(value))
  end
  return plain(value)
end

local function add_line(lines, name, text)
  lines[#lines + 1] = { name, text }
end

local add_fields

local function add_items(lines, field, list, zone, prefix)
  for i, item in ipairs(list) do
    add_fields(lines, field.fields, item, { zone = zone },
      string.format("%s%s[%d].", prefix, field.name, i))
  end
end

function add_fields(lines, fields, row, how, prefix)
  for _, field in ipairs(fields) do
    local value = value_of(row, field, how.reveal)
    if field.type == "object" and type(value) == "table" then
      add_fields(lines, field.fields, value, how, prefix .. field.name .. ".")
    elseif field.type == "list" and type(value) == "table" then
      add_items(lines, field, value, how.zone, prefix)
    elseif value ~= nil then
      add_line(lines, prefix .. field.name, text_of(field, value, how.zone))
    end
  end
end

local function aligned(lines)
  local width = 0
  for _, line in ipairs(lines) do
    width = math.max(width, #line[1])
  end
  for i, line in ipairs(lines) do
    lines[i] = string.format("%-" .. width .. "s  %s", line[1], line[2]):gsub("%s+$", "")
  end
  return table.concat(lines, "\n")
end

--- A row as lines of name and value.
---@param operation table
---@param row any
---@param how { reveal: boolean, zone: string }
---@return string
function output.row(operation, row, how)
  if row == true then
    return "done"
  end
  local lines = {}
  add_fields(lines, operation.data, row, how, "")
  for _, name in ipairs(others(operation, row)) do
    add_line(lines, name, text_of({}, row[name], how.zone))
  end
  return aligned(lines)
end

-- A table holds what fits into a line: no nested fields, no prose, no Chinese names, whose width in
-- a terminal nobody knows.
local function columns_of(operation)
  local columns = {}
  for _, field in ipairs(operation.data) do
    if not (field.fields or field.type == "any" or field.name:find "_desc$"
      or field.name:find "_cn_") then
      columns[#columns + 1] = field
    end
  end
  return columns
end

local function cells_of(columns, rows, how)
  local lines = { {} }
  for i, field in ipairs(columns) do
    lines[1][i] = field.name:upper()
  end
  for _, row in ipairs(rows) do
    local line = {}
    for i, field in ipairs(columns) do
      local value = value_of(row, field, how.reveal)
      line[i] = (value == nil or value == "") and "-" or text_of(field, value, how.zone)
    end
    lines[#lines + 1] = line
  end
  return lines
end

-- Characters, near enough to columns.
local function width_of(text)
  return select(2, text:gsub("[^\128-\191]", ""))
end

local function widths_of(lines)
  local widths = {}
  for _, line in ipairs(lines) do
    for i, cell in ipairs(line) do
      widths[i] = math.max(widths[i] or 0, width_of(cell))
    end
  end
  return widths
end

--- Rows as a table with a heading.
---@param operation table
---@param rows table[]
---@param how { reveal: boolean, zone: string }
---@return string
function output.table(operation, rows, how)
  if #rows == 0 then
    return "no rows"
  end
  local lines = cells_of(columns_of(operation), rows, how)
  local widths = widths_of(lines)
  for n, line in ipairs(lines) do
    for i, cell in ipairs(line) do
      line[i] = cell .. (" "):rep(widths[i] - width_of(cell))
    end
    lines[n] = table.concat(line, "  "):gsub("%s+$", "")
  end
  return table.concat(lines, "\n")
end

return output
