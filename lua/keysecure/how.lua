--- How a result came about: what a caller may want to know of a call that succeeded, beside its
-- value. It is kept beside the rows, which hold nothing but the platform's fields.

---@class keysecure.How
---@field attempts integer  requests sent for the operation, token requests not counted
---@field waited number     milliseconds of pauses between them and between look-ups
---@field lookups integer   times the row was looked up
---@field settled false|"found"|"existing"  how a write was settled: its answer was lost and the
---  row "found"; or its number was taken, by an "existing" row with the same content

local how = {}

--- Of a call that was answered at once. Shared by all of them: not to be written to.
---@type keysecure.How
how.ordinary = { attempts = 1, waited = 0, lookups = 0, settled = false }

local remembered = setmetatable({}, { __mode = "k" })

--- Keeps it for `of`. Only tables and userdata can be asked about.
---@param value any
---@param told keysecure.How
function how.keep(value, told)
  local kind = type(value)
  if told ~= how.ordinary and (kind == "table" or kind == "userdata") then
    remembered[value] = told
  end
end

--- How the call went that returned `value`.
---@param value any
---@return keysecure.How
function how.of(value)
  return value ~= nil and remembered[value] or how.ordinary
end

return how
