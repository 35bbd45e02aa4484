--- What the store holds, in an SQLite file, so that it outlives the process.
--
-- A row is a line of JSON in the table `rows`, in the order in which rows came. Changes gather in
-- memory until somebody asks to `commit`; then all of them, whoever made them, go out in one
-- transaction, so that the callers of one turn of the event loop share its cost. Changes are made
-- between two points where a coroutine may yield, and a transaction is written between two as well:
-- the file never holds half of what a request did.
--
-- The write-ahead log is handed to the operating system at each commit but not forced to the disk
-- (`synchronous = NORMAL`): a process killed at any moment loses nothing that was committed, a
-- machine that loses power may lose the last moments, never the file's order. Forcing it would cost
-- each answer a turn of the disk, to guard money that isn't real.
local needs = require "keysecure.emulator.needs"
local cqueues = needs "cqueues"
local condition = needs "cqueues.condition"
local cjson = require "cjson" -- 14 digits of a number: a time in milliseconds has 13

local journal = {}

local FORMAT = 1 -- of the file; another one is refused
local APPLICATION = 1263749445 -- "KSDE" in SQLite's header: an emulator's file and no other

---@class keysecure.emulator.Journal
local Journal = {}
Journal.__index = Journal

-- Talking to SQLite ---------------------------------------------------------------------------

local function fail(err)
  local text = tostring(err):gsub("^LuaSQL: ", "")
  error({ sql = text:find("locked", 1, true) and "another process has it open" or text }, 0)
end

local function query(connection, statement)
  local cursor, err = connection:execute(statement)
  return cursor or fail(err)
end

-- For statements whose answer, where they have one, is of no interest.
local function execute(connection, statement)
  local result = query(connection, statement)
  if type(result) == "userdata" then
    result:close()
  end
end

local function each_row(connection, statement, fn)
  local cursor = query(connection, statement)
  local a, b, c = cursor:fetch()
  while a do
    fn(a, b, c)
    a, b, c = cursor:fetch()
  end
  cursor:close()
end

local function number_of(connection, statement)
  local cursor = query(connection, statement)
  local value = tonumber((cursor:fetch()))
  cursor:close()
  return value
end

-- SQL errors come as values, mistakes of our own stay mistakes.
local function attempt(fn, ...)
  local ok, err = pcall(fn, ...)
  if not ok and type(err) == "table" then
    return nil, err.sql
  elseif not ok then
    error(err, 0)
  end
  return true
end

-- Opening -------------------------------------------------------------------------------------

-- Card data, if invented, is for its owner's eyes; the write-ahead log takes the file's rights.
local function make_private(path)
  os.execute("umask 077; ( : >>'" .. path:gsub("'", "'\\''") .. "' ) 2>/dev/null")
end

local function set_up(connection)
  execute(connection, "PRAGMA locking_mode = EXCLUSIVE")
  execute(connection, "PRAGMA synchronous = NORMAL")
  local format = number_of(connection, "PRAGMA user_version")
  local application = number_of(connection, "PRAGMA application_id")
  local tables = number_of(connection, "SELECT count(*) FROM sqlite_master")
  if tables == 0 then
    execute(connection, "PRAGMA journal_mode = WAL")
    execute(connection, "BEGIN IMMEDIATE")
    execute(connection, "PRAGMA application_id = " .. APPLICATION)
    execute(connection, "PRAGMA user_version = " .. FORMAT)
    execute(connection, "CREATE TABLE rows (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, "
      .. "row TEXT NOT NULL)")
    execute(connection, "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
    execute(connection, "COMMIT")
  elseif application ~= APPLICATION then
    error({ sql = "this is another program's database" }, 0)
  elseif format ~= FORMAT then
    error({ sql = "this was written by another version of the emulator" }, 0)
  end
end

--- Opens a file, or makes it. One process at a time may have it open.
---@param path string
---@return keysecure.emulator.Journal|nil
---@return string|nil err
function journal.open(path)
  local environment = needs "luasql.sqlite3".sqlite3()
  make_private(path)
  local connection, err = environment:connect(path)
  local ok = connection
  if connection then
    ok, err = attempt(set_up, connection)
  end
  if not ok then
    if connection then
      connection:close()
    end
    environment:close()
    return nil, path .. ": " .. tostring(err)
  end
  return setmetatable({ environment = environment, connection = connection, last_id = 0, ids = {},
    dirty = {}, dropped = {}, facts = {}, turned = condition.new() }, Journal)
end

--- Ends it, with all that was to be written.
function Journal:close()
  self:flush()
  self.connection:close()
  self.environment:close()
end

--- Reads all there is, rows in the order in which they came.
---@param on_row fun(kind: string, row: table)
---@param on_fact fun(name: string, value: any)
function Journal:read(on_row, on_fact)
  each_row(self.connection, "SELECT id, kind, row FROM rows ORDER BY id", function(id, kind, text)
    local row = cjson.decode(text)
    self.last_id = tonumber(id)
    self.ids[row] = self.last_id
    on_row(kind, row)
  end)
  each_row(self.connection, "SELECT name, value FROM facts", function(name, text)
    on_fact(name, cjson.decode(text).value)
  end)
end

-- Changes -------------------------------------------------------------------------------------

--- A row was added.
---@param kind string
---@param row table
function Journal:add(kind, row)
  self.last_id = self.last_id + 1
  self.ids[row] = self.last_id
  self:put(kind, row)
end

--- A row was changed. One that is no longer known was wiped away while somebody still held it.
---@param kind string
---@param row table
function Journal:put(kind, row)
  if self.ids[row] then
    self.dirty[row] = kind
    self.waiting = true
  end
end

--- A row was taken away.
---@param row table
function Journal:drop(row)
  self.dropped[#self.dropped + 1] = self.ids[row]
  self.ids[row], self.dirty[row] = nil, nil
  self.waiting = true
end

---@param name string
---@param value any
function Journal:set(name, value)
  self.facts[name] = { value = value }
  self.waiting = true
end

--- All rows and facts are taken away.
function Journal:wipe()
  self.ids, self.dirty, self.dropped, self.facts = {}, {}, {}, {}
  self.wiped, self.waiting = true, true
end

-- Writing -------------------------------------------------------------------------------------

local function write_rows(self)
  local connection = self.connection
  for row, kind in pairs(self.dirty) do
    execute(connection, string.format("INSERT OR REPLACE INTO rows VALUES (%d, '%s', '%s')",
      self.ids[row], kind, connection:escape(cjson.encode(row))))
  end
  for _, id in ipairs(self.dropped) do
    execute(connection, string.format("DELETE FROM rows WHERE id = %d", id))
  end
  for name, fact in pairs(self.facts) do
    execute(connection, string.format("INSERT OR REPLACE INTO facts VALUES ('%s', '%s')", name,
      connection:escape(cjson.encode(fact))))
  end
end

local function write(self)
  execute(self.connection, "BEGIN IMMEDIATE")
  if self.wiped then
    execute(self.connection, "DELETE FROM rows")
    execute(self.connection, "DELETE FROM facts")
  end
  write_rows(self)
  execute(self.connection, "COMMIT")
end

--- Writes all that waits, now.
---@return boolean|nil ok
---@return string|nil err
function Journal:flush()
  if not self.waiting then
    return true
  end
  local ok, err = attempt(write, self)
  if not ok then
    self.connection:execute("ROLLBACK")
    return nil, err
  end
  self.dirty, self.dropped, self.facts = {}, {}, {}
  self.waiting, self.wiped = false, false
  return true
end

--- Waits until all that waits is written. Who comes first gives the others of this turn of the
--- event loop the time to come along; the outcome is everybody's.
---@return boolean|nil ok
---@return string|nil err
function Journal:commit()
  if not self.waiting then
    return true
  elseif self.gathering then
    local round = self.gathering
    self.turned:wait()
    return round.ok, round.err
  end
  local round = {}
  self.gathering = round
  cqueues.sleep(0)
  round.ok, round.err = self:flush()
  self.gathering = nil
  self.turned:signal()
  return round.ok, round.err
end

return journal
