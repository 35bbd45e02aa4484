--- A journal in a file: one line of JSON for each answer.
--
--    local journal = require("keysecure.webhook.journal").open "/var/log/authorizations.jsonl"
--    local hook = ks:webhook { journal = journal }
--
-- Several processes may write to one file: a line goes out whole, at its end. A file that was moved
-- away (logrotate, without any signal) is noticed within a second. A full disk costs lines, never
-- an answer: they are counted, and the count is written down once there is room again.
local cjson = require "cjson"
local core = require "keysecure.core"

local journal = {}

local REOPEN = 1000 -- milliseconds

---@class keysecure.webhook.Journal
---@field written integer  lines
---@field dropped integer  lines that could not be written
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

-- A descriptor follows a file that is moved away; so it is let go once a second.
local function current(self)
  if self.file and core.monotonic() - self.opened >= REOPEN then
    self.file:close()
    self.file = nil
  end
  if not self.file then
    self.file = open(self)
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
  local file = current(self)
  if file and file:write(text) then
    return true
  end
  close(self)
  return false
end

-- The line that tells of those that are missing; it also ends what a full disk cut short.
local function gap(self)
  return string.format('\n{"kind":"dropped","time":%.0f,"count":%d}\n', core.wall(), self.missing)
end

--- Writes a line. Never raises, never fails: what can't be written is counted.
---@param entry table
function Journal:write(entry)
  local ok, line = pcall(cjson.encode, entry)
  local text = ok and line .. "\n"
  if text and self.missing > 0 then
    text = gap(self) .. text
  end
  if text and put(self, text) then
    self.written, self.missing = self.written + 1, 0
  else
    self.dropped, self.missing = self.dropped + 1, self.missing + 1
  end
end

function Journal:close()
  close(self)
end

function Journal:__tostring()
  return "keysecure webhook journal " .. self.path
end

--- Opens a journal; the file is made where there is none.
---@param path string
---@return keysecure.webhook.Journal|nil
---@return string|nil err
function journal.open(path)
  local self = setmetatable({ path = path, written = 0, dropped = 0, missing = 0 }, Journal)
  local err
  self.file, err = open(self)
  if not self.file then
    return nil, err
  end
  return self
end

return journal
