--- The rows of the emulator, in memory.
--
-- The seam for another store: everything that lasts goes through `insert`, `update`, `find`,
-- `page`, `rows` and `next_number`; no one else changes a row. Every row belongs to a merchant
-- (`owner`, its Api-Key) and has a `time`.

local store = {}

-- `numbers`: given by the platform, unique among all merchants. `merchant_numbers`: unique for the
-- merchant that gave them. `groups`: what rows are looked up together by.
local TABLES = {
  cardholders = { numbers = { "cardholder_no" }, merchant_numbers = { "cardholder_unique_no" },
    groups = {} },
  cards = { numbers = { "card_no", "pan" }, merchant_numbers = { "card_unique_no" },
    groups = { "cardholder_no" } },
  transfers = { numbers = { "transfer_no" }, merchant_numbers = { "transfer_unique_no" },
    groups = { "cardholder_no" } },
  consumptions = { numbers = { "consume_no" }, merchant_numbers = {},
    groups = { "card_no", "cardholder_no" } },
}

store.tables = { "cardholders", "cards", "transfers", "consumptions" }

---@class keysecure.emulator.Store
local Store = {}
Store.__index = Store

local function index_of(fields)
  local index = {}
  for _, field in ipairs(fields) do
    index[field] = {}
  end
  return index
end

local function new_table(layout)
  return { layout = layout, by_owner = {}, all = {}, numbers = index_of(layout.numbers),
    merchant_numbers = index_of(layout.merchant_numbers), groups = index_of(layout.groups) }
end

---@return keysecure.emulator.Store
function store.new()
  local self = setmetatable({ tables = {}, last_number = 0 }, Store)
  for name, layout in pairs(TABLES) do
    self.tables[name] = new_table(layout)
  end
  return self
end

local function owned(owner, value)
  return owner .. "\n" .. value
end

local function append(lists, key, row)
  local list = lists[key] or {}
  lists[key] = list
  list[#list + 1] = row
end

--- Adds a row; its numbers must be new (ask `find` first).
---@param name string
---@param row table
---@return table row
function Store:insert(name, row)
  local t = self.tables[name]
  t.all[#t.all + 1] = row
  append(t.by_owner, row.owner, row)
  for field, index in pairs(t.numbers) do
    index[row[field]] = row
  end
  for field, index in pairs(t.merchant_numbers) do
    index[owned(row.owner, row[field])] = row
  end
  for field, index in pairs(t.groups) do
    append(index, row[field], row)
  end
  return row
end

--- Changes fields of a row that no index is over.
---@param _name string
---@param row table
---@param changes table
function Store:update(_name, row, changes)
  for field, value in pairs(changes) do
    row[field] = value
  end
end

--- Takes fields away from a row.
---@param _name string
---@param row table
---@param field string
function Store:clear(_name, row, field)
  row[field] = nil
end

--- The row with this number; `owner` may be left out for numbers that the platform gave.
---@param name string
---@param field string
---@param value string
---@param owner? string
---@return table|nil row
function Store:find(name, field, value, owner)
  local t = self.tables[name]
  local row
  if t.numbers[field] then
    row = t.numbers[field][value]
  else
    row = t.merchant_numbers[field][owned(owner, value)]
  end
  return row and (not owner or row.owner == owner) and row or nil
end

-- The smallest list of rows that holds all the answers.
local function candidates(t, owner, equals)
  for _, kind in ipairs { "numbers", "merchant_numbers" } do
    for field, index in pairs(t[kind]) do
      local value = equals[field]
      if value then
        return { index[kind == "numbers" and value or owned(owner, value)] }
      end
    end
  end
  for field, index in pairs(t.groups) do
    if equals[field] then
      return index[equals[field]] or {}
    end
  end
  return t.by_owner[owner] or {}
end

local function matches(row, owner, equals, from, to)
  if row.owner ~= owner then
    return false
  end
  local second = math.floor(row.time / 1000)
  if (from and second < from) or (to and second > to) then
    return false
  end
  for field, value in pairs(equals) do
    if row[field] ~= value then
      return false
    end
  end
  return true
end

--- One page of a merchant's rows, newest first [A14].
---@param name string
---@param owner string
---@param query { equals: table, from?: integer, to?: integer, page: integer, size: integer }
---@return table[] rows
function Store:page(name, owner, query)
  local list = candidates(self.tables[name], owner, query.equals)
  local result, skip = {}, query.page * query.size
  for i = #list, 1, -1 do
    if matches(list[i], owner, query.equals, query.from, query.to) then
      if skip > 0 then
        skip = skip - 1
      else
        result[#result + 1] = list[i]
        if #result == query.size then
          break
        end
      end
    end
  end
  return result
end

--- All rows that share a value, oldest first.
---@param name string
---@param field string
---@param value string
---@return table[] rows
function Store:group(name, field, value)
  return self.tables[name].groups[field][value] or {}
end

--- All rows of a table, oldest first.
---@param name string
---@return table[] rows
function Store:rows(name)
  return self.tables[name].all
end

--- A number that was never given before.
---@return integer
function Store:next_number()
  self.last_number = self.last_number + 1
  return self.last_number
end

return store
