--- Walks every row of a list operation, however many pages and windows that takes.
--
-- Lists give no total, at most 100 rows a page and at most 90 days a window. A walk goes on until a
-- page comes back empty, splits longer times into windows, drops rows that it has already given out
-- (pages shift while rows are added), and raises instead of stopping short.
local api = require "keysecure.api"
local datetime = require "keysecure.datetime"
local errors = require "keysecure.errors"

local pager = {}

local WINDOW = api.window_days * 86400

-- The windows of a time, earliest first, as pairs of texts. Neighbours share a second, so that none
-- is lost whether or not the platform counts the end in.
local function windows(first, last, timezone)
  return function()
    if first >= last then
      return nil
    end
    local from, to = first, math.min(first + WINDOW, last)
    first = to
    return datetime.format(from, timezone), datetime.format(to, timezone)
  end
end

local function invalid(operation, field, message)
  return errors.new { kind = "invalid", operation = operation.name, field = field,
    message = message }
end

local function windows_of(operation, fields, timezone)
  if not operation.window then
    local given = false
    return function()
      local first = not given
      given = true
      return first or nil
    end
  end
  for _, name in ipairs { "start_time", "end_time" } do
    if type(fields[name]) ~= "string" or not datetime.parse(fields[name], timezone) then
      error(invalid(operation, name, "must be a date yyyy-MM-dd or yyyy-MM-dd HH:mm:ss"), 0)
    end
  end
  local first = datetime.parse(fields.start_time, timezone)
  local last = datetime.parse_end(fields.end_time, timezone)
  if last <= first then
    error(invalid(operation, "end_time", "must be after start_time"), 0)
  end
  return windows(first, last, timezone)
end

local Walk = {}
Walk.__index = Walk

-- The fields of the next request; none when the walk is over.
function Walk:next_page()
  if self.page == nil then
    local from, to = self.next_window()
    if not from then
      return nil
    end
    self.page, self.repeated = 0, 0
    self.seen_before, self.seen = self.seen, {}
    if to then
      self.fields.start_time, self.fields.end_time = from, to
    end
  end
  self.fields.page = self.page
  return self.fields
end

-- Keeps the rows not given out yet. Only the window before this one can share rows with it.
function Walk:take(rows)
  local fresh, key = {}, self.operation.key
  for _, row in ipairs(rows) do
    local id = row[key]
    if id == nil or not (self.seen[id] or self.seen_before[id]) then
      fresh[#fresh + 1] = row
    end
    if id ~= nil then
      self.seen[id] = true
    end
  end
  self.rows, self.at = fresh, 0
  self.repeated = #fresh == 0 and self.repeated + 1 or 0
  self.page = #rows > 0 and self.page + 1 or nil
end

-- A page of rows all seen before can be a shift; several on end are a server that doesn't page.
local REPEATS_ALLOWED = 3

function Walk:advance()
  while self.at >= #self.rows do
    local fields = self:next_page()
    if not fields then
      return nil
    end
    local rows, err = self.fetch(fields)
    if not rows then
      error(err, 0)
    end
    self:take(rows)
    if self.page and self.repeated >= REPEATS_ALLOWED then
      error(errors.new { kind = "protocol", outcome = "refused", operation = self.operation.name,
        field = "page", message = "the platform gives the same rows for every page" }, 0)
    end
  end
  self.at = self.at + 1
  return self.rows[self.at]
end

--- An iterator over all rows; raises an error object where a page can't be had.
---@param operation table             a paged entry of api.operations
---@param fields table                what the operation takes, but for `page`
---@param timezone string
---@param fetch fun(fields: table): table|nil, keysecure.Error|nil  one page
---@return fun(): table|nil
function pager.each(operation, fields, timezone, fetch)
  local copy = { size = api.max_page_size }
  for name, value in pairs(fields) do
    copy[name] = value
  end
  if fields.page ~= nil then
    errors.misuse(operation.name .. ": a walk begins at the first page; 'page' is for one page")
  end
  local walk = setmetatable({
    operation = operation, fields = copy, fetch = fetch, rows = {}, at = 0, seen = {},
    seen_before = {}, next_window = windows_of(operation, copy, timezone),
  }, Walk)
  return function()
    return walk:advance()
  end
end

return pager
