--- Paths to operations, from `api`.
local api = require "keysecure.api"

local router = {}

local function segments_of(path)
  local result = {}
  for segment in path:gmatch("[^/]+") do
    result[#result + 1] = segment
  end
  return result
end

local function add(node, operation)
  for _, segment in ipairs(segments_of(api.base .. operation.path)) do
    local name = segment:match("^{(.*)}$")
    local key = name and "*" or segment
    node[key] = node[key] or { ["*name"] = name }
    node = node[key]
  end
  node["*operation"] = operation
end

local root = {}
for _, operation in pairs(api.operations) do
  add(root, operation)
end

local function decoded(segment)
  return (segment:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

-- A literal segment is preferred to a parameter; where it leads nowhere, the parameter is tried.
local function find(node, segments, i)
  local segment = segments[i]
  if not segment then
    return node["*operation"], {}
  end
  local child = segment:sub(1, 1) ~= "*" and node[segment]
  if child then
    local operation, values = find(child, segments, i + 1)
    if operation then
      return operation, values
    end
  end
  child = node["*"]
  if child then
    local operation, values = find(child, segments, i + 1)
    if operation then
      values[child["*name"]] = decoded(segment)
      return operation, values
    end
  end
end

--- The operation at a path, whatever the method, and the parameters in the path.
---@param target string  the request's target; a query is ignored
---@return table|nil operation
---@return table<string, string>|nil path_values
function router.find(target)
  local path = target:match("^[^?#]*")
  if path:find("//", 1, true) or path:sub(-1) == "/" then
    return nil
  end
  return find(root, segments_of(path), 1)
end

return router
