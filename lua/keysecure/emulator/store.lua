--- The rows of the emulator, in memory; a journal, where there is one, makes them last.
--
-- Everything that lasts goes through here: no one else changes a row. What is read comes from
-- memory whatever lies behind, so that both behave the same by construction; a journal is told of
-- each change and writes it down when asked to `commit`. Every row belongs to a merchant (`owner`,
-- its Api-Key); those that are listed have a `time`.

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
  tokens = { numbers = { "token" }, merchant_numbers = {}, groups = {} },
  client_tokens = { numbers = { "token" }, merchant_numbers = {}, groups = {} },
  deliveries = { numbers = { "id" }, merchant_numbers = {}, groups = {} },
}

-- What stands in for a journal where nothing lasts.
local FORGETFUL = {
  add = function() end, put = function() end, drop = function() end, set = function() end,
  commit = function() return true end,
}

--- The tables that operations list.
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

--- An empty store.
---@param journal? keysecure.emulator.Journal
---@return keysecure.emulator.Store
function store.new(journal)
  local self = setmetatable({ tables = {}, values = {}, journal = journal or FORGETFUL }, Store)
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

local function add(t, row)
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
end

local function remove_from(list, row)
  for i, entry in ipairs(list) do
    if entry == row then
      table.remove(list, i)
      return
    end
  end
end

local function remove(t, row)
  remove_from(t.all, row)
  remove_from(t.by_owner[row.owner], row)
  for field, index in pairs(t.numbers) do
    index[row[field]] = nil
  end
end

--- What a journal holds, in a store of its own.
---@param journal keysecure.emulator.Journal
---@return keysecure.emulator.Store
function store.load(journal)
  local self = store.new(journal)
  journal:read(function(name, row) add(self.tables[name], row) end,
    function(name, value) self.values[name] = value end)
  return self
end

--- Adds a row; its numbers must be new (ask `find` first).
---@param name string
---@param row table
---@return table row
function Store:insert(name, row)
  add(self.tables[name], row)
  self.journal:add(name, row)
  return row
end

--- Takes a row away; of tables alone that are not listed.
---@param name string
---@param row table
function Store:remove(name, row)
  remove(self.tables[name], row)
  self.journal:drop(row)
end

--- Changes fields of a row that no index is over.
---@param name string
---@param row table
---@param changes table
function Store:update(name, row, changes)
  for field, value in pairs(changes) do
    row[field] = value
  end
  self.journal:put(name, row)
end

--- Takes fields away from a row.
---@param name string
---@param row table
---@param field string
function Store:clear(name, row, field)
  row[field] = nil
  self.journal:put(name, row)
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

--- A value that is no row, such as where the clock is.
---@param name string
---@return any
function Store:value(name)
  return self.values[name]
end

---@param name string
---@param value any
function Store:set_value(name, value)
  self.values[name] = value
  self.journal:set(name, value)
end

--- A number that was never given before.
---@return integer
function Store:next_number()
  local number = (self.values.last_number or 0) + 1
  self:set_value("last_number", number)
  return number
end

--- Waits until every change so far will outlive this process, where it is to. Nothing may be told
--- to anybody before. May yield.
---@return boolean|nil ok
---@return string|nil err  what could not be written stays to be written
function Store:commit()
  return self.journal:commit()
end

return store
