--- What a client's calls are grouped into (`ks.cards`) and what their rows become.
local api = require "keysecure.api"
local errors = require "keysecure.errors"
local suggest = require "keysecure.suggest"

local resource = {}

local ROWS = {
  account = "keysecure.resource.account",
  card = "keysecure.resource.card",
  cardholder = "keysecure.resource.cardholder",
  consumption = "keysecure.resource.consumption",
  transfer = "keysecure.resource.account",
}

-- Rows without methods say what they are by the number that tells them apart.
local PLAIN = { bin = "card_bin_no", package = "package_no", simulation = "consume_no" }

local function plain_class(kind, number)
  return { methods = {}, describe = function(self)
    local parts = { kind .. " " .. tostring(self[number]) }
    for _, name in ipairs { "decision", "status" } do
      parts[#parts + 1] = self[name] and name .. " " .. tostring(self[name])
    end
    return table.concat(parts, ", ")
  end }
end

--- The metatables of a client's rows, by kind. They know the client, so that the rows themselves
-- hold nothing but the platform's fields.
---@param client keysecure.Client
---@return table<string, table>
function resource.rows(client)
  local rows = {}
  local function add(kind, class)
    rows[kind] = { __index = class.methods, __tostring = class.describe, client = client }
  end
  for kind, module in pairs(ROWS) do
    add(kind, require(module)[kind])
  end
  for kind, number in pairs(PLAIN) do
    add(kind, plain_class(kind, number))
  end
  return rows
end

-- Methods by group: "cards.apply" becomes the method `apply` of the group `cards`.
local function methods_of(groups, name, operation)
  local group, method = name:match("^(%w+)%.([%w_]+)$")
  groups[group] = groups[group] or {}
  local function check(self, called)
    if type(self) ~= "table" or rawget(self, "group") ~= group then
      errors.misuse("use ks." .. group .. ":" .. called .. "{…}, with a colon")
    end
  end
  groups[group][method] = function(self, fields, options)
    check(self, method)
    if type(options) == "table" and options.done ~= nil then
      return self.client:begin(name, fields, options)
    end
    return self.client:call(name, fields, options)
  end
  if operation.unique then
    groups[group].settle = function(self, fields, options)
      check(self, "settle")
      return self.client:settle(name, fields, options)
    end
  end
  if operation.each then
    groups[group][operation.each] = function(self, fields, options)
      check(self, operation.each)
      return self.client:each(name, fields, options)
    end
  end
end

local GROUPS = {}
for name, operation in pairs(api.operations) do
  methods_of(GROUPS, name, operation)
end
GROUPS.merchant = nil -- the library fetches tokens by itself

local function metatable_of(group, methods)
  local names = {}
  for name in pairs(methods) do
    names[#names + 1] = name
  end
  table.sort(names)
  return {
    __index = function(_, name)
      local method = methods[name]
      if not method then
        error("ks." .. group .. " has no '" .. tostring(name) .. "'" .. suggest(name, names), 2)
      end
      return method
    end,
    __tostring = function()
      return "ks." .. group .. ": " .. table.concat(names, ", ")
    end,
  }
end

--- The groups of a client: cardholders, cards, accounts, consumptions, pci, simulate.
---@param client keysecure.Client
---@return table<string, table>
function resource.collections(client)
  local collections = {}
  for group, methods in pairs(GROUPS) do
    collections[group] = setmetatable({ group = group, client = client },
      metatable_of(group, methods))
  end
  return collections
end

return resource
