--- A journal in a file: one line of JSON for each answer.
--
--    local journal = require("keysecure.webhook.journal").open "/var/log/authorizations.jsonl"
--    local hook = ks:webhook { journal = journal }
--
-- Several processes may write to one file: a line goes out whole, at its end. A file that was moved
-- away (logrotate, without any signal) is noticed within a second. A full disk costs lines, never
-- an answer: they are counted, and the count is written down once there is room again.
--
-- A line is with the system before its answer goes out. With a `delay` lines wait for each other
-- and go out with one write; a process that is killed takes those that wait with it. (In nginx,
-- `exit_worker_by_lua_block { journal:flush() }` has one write them that is told to end at once.)
-- luacheck: read globals ngx
local cjson = require "cjson"
local core = require "keysecure.core"
local errors = require "keysecure.errors"

local journal = {}

local REOPEN = 1000 -- milliseconds
local WAITING_MAX = 32768 -- bytes of lines, which then wait no longer
local DELAY_MAX = 60 -- seconds

---@class keysecure.webhook.Journal
---@field written integer  lines
---@field dropped integer  lines that could not be written
---@field package lines string[]  that wait
---@field package count integer   of them
---@field package size integer    their bytes
local Journal = {}
Journal.__index = Journal

local function open(self)
  local file, err = io.open(self.path, "a")
  if file then
    file:setvbuf "no" -- each line is one write(2), and its failure is heard of at once
  end
  self.opened = core.monotonic()
  return file, err
end

-- A descriptor follows a file that is moved away; so it is changed for a new one every second.
-- Where there is none to be had (a file of root's, say, that root opened before it started workers)
-- the old one goes on.
local function current(self)
  if not self.file or core.monotonic() - self.opened >= REOPEN then
    local file, err = open(self)
    if file and self.file then
      self.file:close()
    end
    self.file, self.fault = file or self.file, err
  end
  return self.file
end

local function close(self)
  if self.file then
    self.file:close()
    self.file = nil
  end
end

local function put(self, text)
  local file, ok = current(self), nil
  if file then
    ok, self.fault = file:write(text)
  end
  if not ok then
    close(self)
  end
  return ok
end

-- The line that tells of those that are missing; it also ends what a full disk cut short.
local function gap(self)
  return string.format('\n{"kind":"dropped","time":%.0f,"count":%d}\n', core.wall(), self.missing)
end

-- The first of them is worth telling.
local function count_lost(self, count, why)
  if self.missing == 0 then
    self.complaint = tostring(why)
  end
  self.dropped, self.missing = self.dropped + count, self.missing + count
end

--- Writes what waits.
function Journal:flush()
  local count = self.count
  if count == 0 then
    return
  end
  self.lines[count + 1] = ""
  local text = table.concat(self.lines, "\n", 1, count + 1)
  self.count, self.size = 0, 0
  if self.missing > 0 then
    text = gap(self) .. text
  end
  if put(self, text) then
    self.written, self.missing = self.written + count, 0
  else
    count_lost(self, count, self.fault)
  end
end

-- Whether somebody will flush.
local function is_awaited(self)
  if self.delay and not self.awaited then
    self.awaited = true
    local ok, will = pcall(self.later, self.delay, self.on_time)
    self.awaited = self.awaited and ok and will
  end
  return self.awaited
end

local function add(self, entry)
  local ok, line = pcall(cjson.encode, entry)
  if not ok then
    return count_lost(self, 1, line)
  end
  self.count, self.size = self.count + 1, self.size + #line
  self.lines[self.count] = line
  if not is_awaited(self) or self.size > WAITING_MAX then
    self:flush()
  end
end

--- Writes a line, or has it wait. Never raises: what can't be written is counted, all lines of a
--- write that failed, though some may be there.
---@param entry table
---@return true|nil
---@return string|nil err  when lines begin to be missing, once
function Journal:write(entry)
  add(self, entry)
  local complaint = self.complaint
  if complaint then
    self.complaint = nil
    return nil, complaint
  end
  return true
end

--- Writes what waits, and closes the file.
function Journal:close()
  self:flush()
  close(self)
end

function Journal:__tostring()
  return "keysecure webhook journal " .. self.path
end

-- How to wait: as told, or with a timer of nginx, which a worker that ends in peace calls at once.
local function check(options)
  local delay, later = options.delay, options.later or (ngx and ngx.timer and ngx.timer.at)
  if delay == nil then
    return
  elseif type(delay) ~= "number" or not (delay > 0 and delay <= DELAY_MAX) then
    errors.misuse("journal: delay: seconds expected, more than 0 and at most " .. DELAY_MAX)
  elseif type(later) ~= "function" then
    errors.misuse "journal: delay needs a function 'later' here, which says how to wait"
  end
  return delay, later
end

---@class keysecure.webhook.JournalOptions
---@field delay? number  seconds that a line may wait for others, 60 at most (it does not wait)
---@field later? fun(seconds: number, fn: fun()): boolean  has `fn` called then, and says whether it
---  will be (in nginx: ngx.timer.at; elsewhere `delay` needs it)

--- Opens a journal; the file is made where there is none.
---@param path string
---@param options? keysecure.webhook.JournalOptions
---@return keysecure.webhook.Journal|nil
---@return string|nil err
function journal.open(path, options)
  local self = setmetatable({ path = path, written = 0, dropped = 0, missing = 0, lines = {},
    count = 0, size = 0, awaited = false }, Journal)
  self.delay, self.later = check(options or {})
  function self.on_time()
    self.awaited = false
    self:flush()
  end
  local err
  self.file, err = open(self)
  if not self.file then
    return nil, err
  end
  return self
end

return journal
