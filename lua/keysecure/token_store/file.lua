--- A token store for the processes of one machine that run as one user: a directory.
--
--     token_store = require("keysecure.token_store.file").new { directory = "/run/shop/tokens" }
--
-- The directory is made where it is missing (not its parents). It must belong to this user and be
-- closed to others; inside it every file is mode 600 from its beginning on, and no link is
-- followed. A token is replaced by renaming, so that nobody reads half of one. What is torn, is
-- somebody else's, or could be read by others is as good as nothing, and is replaced.
--
-- Claims are files as well, changed under a lock that the system ends with whoever holds it. They
-- lapse by the machine's own monotonic clock, so the directory must not be shared between machines;
-- there, use keysecure.token_store.redis.
local core = require "keysecure.core"
local errors = require "keysecure.errors"
local suggest = require "keysecure.suggest"

---@class keysecure.FileTokenStore: keysecure.TokenStore
local File = {}
File.__index = File

local file = {}

local DIRECTORY = "directory"

--- Makes a store; nothing is touched before it is used.
---@param options {directory: string}
---@return keysecure.FileTokenStore
function file.new(options)
  if type(options) ~= "table" then
    errors.misuse("token store: a table of options expected, got " .. type(options))
  end
  for name in pairs(options) do
    if name ~= DIRECTORY then
      errors.misuse("token store: no option '" .. tostring(name) .. "'"
        .. suggest(name, { DIRECTORY }))
    end
  end
  local directory = options.directory
  if type(directory) ~= "string" or directory == "" or directory:find "%z" then
    errors.misuse "token store: option directory: a path expected"
  end
  -- With a slash behind it a link would be followed.
  return setmetatable({ directory = directory:match "^(.-)/*$" }, File)
end

function File:__tostring()
  return "token store in " .. self.directory
end

-- What a file says ----------------------------------------------------------------------------

-- One line: what this is, how long it is good (milliseconds of some clock), and the text.
local SHAPE = "^keysecure 1 (%l+) (%d+) (%S+)\n$"

local function line(kind, until_, text)
  return string.format("keysecure 1 %s %.0f %s\n", kind, until_, text)
end

-- The kind and text of a file; nothing where it says none, or its time is over, or longer than
-- anything is good, as after a clock was set back or the machine started anew.
local function parse(content, now, longest)
  local kind, until_, text = (content or ""):match(SHAPE)
  local left = until_ and tonumber(until_) - now
  if left and left > 0 and left <= longest then
    return kind, text
  end
end

-- Texts ---------------------------------------------------------------------------------------

local LONGEST_TEXT = 366 * 86400 * 1000 -- milliseconds
local LONGEST_CLAIM = 60 * 1000

-- Returns what `fn` returns, called while no other process is here.
function File:locked(key, fn)
  local lock, err = core.private_lock(self.directory, key .. ".lock")
  if not lock then
    return nil, err
  end
  local first, second = fn()
  lock:release()
  return first, second
end

function File:load(key)
  local content, err = core.private_read(self.directory, key)
  if err then
    return nil, err
  end
  local kind, text = parse(content, core.wall(), LONGEST_TEXT)
  return kind == "token" and text or nil
end

function File:save(key, text, seconds)
  local content = line("token", core.wall() + seconds * 1000, text)
  return self:locked(key, function()
    return core.private_write(self.directory, key, content)
  end)
end

-- Claims --------------------------------------------------------------------------------------

-- Calls `fn(kind, owner or note)` for what stands in the claim's file now; it returns the line to
-- put there, false to have no claim, nil to leave all as it is; and then what to return.
function File:change_claim(key, fn)
  local name = key .. ".claim"
  return self:locked(key, function()
    local content, err = core.private_read(self.directory, name)
    if err then
      return nil, err
    end
    local new, first, second = fn(parse(content, core.monotonic(), LONGEST_CLAIM))
    local done = true
    if new then
      done, err = core.private_write(self.directory, name, new)
    elseif new == false then
      done, err = core.private_remove(self.directory, name)
    end
    if not done then
      return nil, err
    end
    return first, second
  end)
end

local function lasting(kind, text, seconds)
  return line(kind, core.monotonic() + math.min(seconds * 1000, LONGEST_CLAIM), text)
end

function File:claim(key, owner, seconds)
  return self:change_claim(key, function(kind, text)
    if kind == "note" then
      return nil, false, text
    elseif kind and text ~= owner then
      return nil, false
    end
    return lasting("claim", owner, seconds), true
  end)
end

function File:release(key, owner, note, seconds)
  return self:change_claim(key, function(kind, text)
    if kind ~= "claim" or text ~= owner then
      return nil, true
    end
    return note and lasting("note", note, seconds) or false, true
  end)
end

-- The machine's clock -------------------------------------------------------------------------

local BOOT_ID = "/proc/sys/kernel/random/boot_id" -- Linux; elsewhere the clock is not shared

function File:now()
  if self.boot == nil then
    local handle = io.open(BOOT_ID, "r")
    self.boot = handle and handle:read "*l" or false
    if handle then
      handle:close()
    end
  end
  if not self.boot then
    return nil
  end
  return core.monotonic(), self.boot
end

return file
