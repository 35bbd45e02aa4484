--- What every failure looks like.
--
-- Whatever depends on data or the world returns `nil, err`. `err` prints as one line, never holds a
-- secret, and works with `assert`. Misuse (an unknown field, a wrong type, a dot for a colon)
-- raises a plain string instead.
--
---@class keysecure.Error
---@field kind "invalid"|"api"|"transport"|"timeout"|"protocol"|"crypto"|"cancelled"
---@field outcome "not_sent"|"refused"|"unknown"  whether the platform can have acted on the call
---@field message string        for people; its wording may change
---@field code? integer         the platform's error code (kind "api")
---@field name? string          the stable name of that code, such as "cardholder_not_found"
---@field field? string         the argument or response field at fault
---@field operation? string     such as "cards.apply"
---@field attempts? integer     requests sent for this operation, token requests not counted
---@field waited? number        milliseconds of pauses before attempts and look-ups
---@field timestamp? integer    that the last attempt carried: Unix ms of the server's clock
---@field http_status? integer  of the last answer
---@field lookups? integer      times that it was looked up what became of the call
local Error = {}
Error.__index = Error

local function place(err)
  if err.operation and err.field then
    return err.operation .. " " .. err.field .. ": "
  end
  local where = err.operation or err.field
  return where and where .. ": " or ""
end

-- What happened on the platform is said of calls alone.
local function label(err)
  local parts = { err.name or err.kind }
  if err.code then
    parts[#parts + 1] = string.format("code %d", err.code)
  end
  if err.operation then
    parts[#parts + 1] = err.outcome
  end
  return " (" .. table.concat(parts, ", ") .. ")"
end

function Error:__tostring()
  local line = place(self) .. self.message .. label(self)
  return (line:gsub("%c", " "))
end

-- Error -> who can find out what became of the call.
local settlers = setmetatable({}, { __mode = "k" })

--- Finds out what became of a write that ended `unknown`, with one look: see docs/doubt.md. An
-- error of any other call comes back as it is: what it says is all that can be known.
---@param options? {timeout: number?}
---@return any|nil value  what the call would have returned: it did happen
---@return keysecure.Error|nil err  outcome "refused": it did not, and can't any more; "unknown":
---  ask again later
function Error:settle(options)
  local settler = settlers[self]
  if not settler then
    return nil, self
  end
  return settler:settle(options)
end

--- As `settle`, but looks again, with growing pauses, until the truth is known.
---@param options? {timeout: number?}  seconds for all of it (120)
---@return any|nil value
---@return keysecure.Error|nil err
function Error:wait_settled(options)
  local settler = settlers[self]
  if not settler then
    return nil, self
  end
  return settler:wait_settled(options)
end

local errors = {}

--- Lets an error's `settle` and `wait_settled` ask `settler`, which must not hold the error itself.
---@param err keysecure.Error
---@param settler table
---@return keysecure.Error err
function errors.attach(err, settler)
  settlers[err] = settler
  return err
end

--- Makes an error object of `fields`; a failure that names no outcome never left this process.
---@param fields table
---@return keysecure.Error
function errors.new(fields)
  fields.outcome = fields.outcome or "not_sent"
  return setmetatable(fields, Error)
end

--- Whether `value` is an error of this library.
---@param value any
---@return boolean
function errors.is(value)
  return getmetatable(value) == Error
end

local LIBRARY = debug.getinfo(1, "S").source:match("^(.*)errors%.lua$")

-- PUC Lua 5.1 counts tail calls as levels of their own, about which it knows nothing.
local function is_ours(info)
  return info.what == "C" or info.what == "tail" or info.source:sub(1, #LIBRARY) == LIBRARY
end

--- Raises a mistake in the calling program, at the place where that program called this library.
---@param message string
function errors.misuse(message)
  local level = 2
  local info = debug.getinfo(level, "S")
  while info and is_ours(info) do
    level = level + 1
    info = debug.getinfo(level, "S")
  end
  error(message, info and level or 0)
end

return errors
