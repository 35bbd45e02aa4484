--- What the rows' methods share.
local errors = require "keysecure.errors"

local row = {}

--- The client that a row came from; raises where a method was called with a dot.
---@param self table
---@param called string  such as "card:freeze"
---@return keysecure.Client
function row.client(self, called)
  local meta = type(self) == "table" and getmetatable(self)
  if type(meta) ~= "table" or not meta.client then
    errors.misuse("use " .. called .. "(…), with a colon")
  end
  return meta.client
end

--- The fields of a call: those given, completed by the named ones of the row.
---@param self table
---@param fields? table
---@param names string[]
---@return table
function row.fields(self, fields, names)
  if fields ~= nil and type(fields) ~= "table" then
    errors.misuse("a table of fields expected, got " .. type(fields))
  end
  local result = {}
  for key, value in pairs(fields or {}) do
    result[key] = value
  end
  for _, name in ipairs(names) do
    if result[name] == nil then
      result[name] = self[name]
    end
  end
  return result
end

--- Takes over what a newer row says.
---@param self table
---@param newer table
---@return table self
function row.update(self, newer)
  for key, value in pairs(newer) do
    self[key] = value
  end
  return self
end

return row
