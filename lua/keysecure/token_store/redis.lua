--- A token store for a fleet: Redis, or what speaks its language.
--
--     token_store = require("keysecure.token_store.redis").new { host = "redis.internal" }
--
-- connects by itself, through redis-lua and LuaSocket (Debian: lua-redis), which block: right for
-- plain scripts. Elsewhere, and for TLS, Sentinel or a cluster, bring connections of your own:
--
--     token_store = require("keysecure.token_store.redis").new {
--       connect = function() … return client end,
--       release = function(client, healthy) … end,
--     }
--
-- A client is anything with `client:eval(script, 1, key, …)`, such as those of redis-lua and
-- lua-resty-redis; it may raise or return nil or false and a reason. It must give up in time. With
-- `release` a client is asked for and given back for each request; without, one is kept.
--
-- Every request is one script about one key, so that it happens whole or not at all.
local core = require "keysecure.core"
local errors = require "keysecure.errors"
local suggest = require "keysecure.suggest"

---@class keysecure.RedisTokenStore: keysecure.TokenStore
local Redis = {}
Redis.__index = Redis

local redis = {}

-- What is asked ---------------------------------------------------------------------------------

-- No script answers null, which each library spells in its own way.
local LOAD = "return redis.call('GET', KEYS[1]) or ''"

local SAVE = "redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 'saved'"

-- Nothing where it is claimed now, else who holds it: a name, or a note behind an exclamation mark.
local CLAIM = [[
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return '' end
local holder = redis.call('GET', KEYS[1])
if holder ~= ARGV[1] then return holder end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return '']]

-- Compares before it deletes: the claim may have lapsed, and be somebody else's by now.
local RELEASE = [[
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'lapsed' end
if ARGV[2] == '' then redis.call('DEL', KEYS[1])
else redis.call('SET', KEYS[1], '!' .. ARGV[2], 'PX', ARGV[3]) end
return 'released']]

-- Each server has a clock of its own, so it is named by its run.
local NOW = [[
local time = redis.call('TIME')
return time[1] .. ' ' .. time[2] .. ' ' .. redis.call('INFO', 'server'):match('run_id:(%x+)')]]

local function milliseconds(seconds)
  return string.format("%.0f", math.max(1, seconds * 1000))
end

-- Connections -----------------------------------------------------------------------------------

local function need(module, rock)
  local ok, result = pcall(require, module)
  if not ok then
    error("the token store in Redis needs " .. rock .. ": luarocks install " .. rock
      .. "; or the option connect", 0)
  end
  return result
end

local function open_socket(options)
  local socket
  if options.path then
    local unix = need("socket.unix", "luasocket")
    socket = assert((type(unix) == "table" and unix.stream or unix)())
  else
    socket = assert(need("socket", "luasocket").tcp())
  end
  socket:settimeout(options.timeout, "t")
  local ok, err
  if options.path then
    ok, err = socket:connect(options.path)
  else
    ok, err = socket:connect(options.host, options.port)
  end
  if not ok then
    socket:close()
    error("cannot connect: " .. tostring(err), 0)
  end
  return socket
end

local function connector(options)
  local library = need("redis", "redis-lua")
  need("socket", "luasocket")
  return function()
    local client = library.connect { socket = open_socket(options) }
    if options.username then
      client:auth(options.username, options.password)
    elseif options.password then
      client:auth(options.password)
    end
    if options.database then
      client:select(options.database)
    end
    return client
  end
end

-- A kept connection is not for a forked child: two would read each other's answers.
function Redis:take_kept()
  local kept = self.kept
  self.kept = nil
  return kept and kept.pid == core.pid() and kept.client or nil
end

function Redis:give_back(client, healthy)
  if self.release_client then
    pcall(self.release_client, client, healthy)
  elseif healthy then
    self.kept = { client = client, pid = core.pid() }
  end
end

local function reason(text)
  return (tostring(text):gsub("^[^%s:]*:%d+: ", ""))
end

-- The answer; or nil and why there is none.
function Redis:try(client, script, key, ...)
  local ok, answer, err = pcall(client.eval, client, script, 1, self.prefix .. key, ...)
  local good = ok and type(answer) == "string"
  self:give_back(client, good)
  if good then
    return answer
  end
  return nil, reason(ok and err or answer or "no answer")
end

-- Nothing is asked twice but over a connection that had been lying about and may have died there;
-- each script can bear that.
function Redis:ask(script, key, ...)
  local kept = self:take_kept()
  local answer = kept and self:try(kept, script, key, ...)
  if answer then
    return answer
  end
  local ok, client, err = pcall(self.connect)
  if not ok or not client then
    return nil, reason(ok and err or client or "no connection")
  end
  return self:try(client, script, key, ...)
end

-- The store -------------------------------------------------------------------------------------

function Redis:load(key)
  local text, err = self:ask(LOAD, key)
  if text == "" then
    return nil
  end
  return text, err
end

function Redis:save(key, text, seconds)
  local saved, err = self:ask(SAVE, key, text, milliseconds(seconds))
  return saved and true, err
end

function Redis:claim(key, owner, seconds)
  local holder, err = self:ask(CLAIM, key .. ":claim", owner, milliseconds(seconds))
  if not holder then
    return nil, err
  end
  return holder == "", holder:match "^!(.*)$"
end

function Redis:release(key, owner, note, seconds)
  local done, err = self:ask(RELEASE, key .. ":claim", owner, note or "",
    milliseconds(seconds or 0))
  return done and true, err
end

function Redis:now()
  local answer, err = self:ask(NOW, "")
  if not answer then
    return nil, err
  end
  local seconds, microseconds, run = answer:match "^(%d+) (%d+) (%x+)$"
  return tonumber(seconds) * 1000 + math.floor(tonumber(microseconds) / 1000), run
end

function Redis:__tostring()
  return "token store in Redis"
end

-- Options ---------------------------------------------------------------------------------------

local KNOWN = {
  host = "string", port = "number", path = "string", username = "string", password = "string",
  database = "number", timeout = "number", prefix = "string", connect = "function",
  release = "function",
}
local NAMES = {}
for name in pairs(KNOWN) do
  NAMES[#NAMES + 1] = name
end
table.sort(NAMES)

---@class keysecure.RedisTokenStoreOptions
---@field host? string      ("127.0.0.1")
---@field port? integer     (6379)
---@field path? string      a Unix socket instead
---@field username? string
---@field password? string
---@field database? integer
---@field timeout? number   seconds for connecting, and for each answer (0.25)
---@field prefix? string    of the two names used for each Api-Key ("keysecure:")
---@field connect? fun(): any         a client of your own; then none of the above but `prefix`
---@field release? fun(client: any, healthy: boolean)  takes it back after each request

--- Makes a store; nothing is connected before it is used. Raises for an option that there is not,
--- and where redis-lua or LuaSocket is wanted and missing.
---@param options? keysecure.RedisTokenStoreOptions
---@return keysecure.RedisTokenStore
function redis.new(options)
  options = options or {}
  if type(options) ~= "table" then
    errors.misuse("token store: a table of options expected, got " .. type(options))
  end
  for name, value in pairs(options) do
    if not KNOWN[name] then
      errors.misuse("token store: no option '" .. tostring(name) .. "'" .. suggest(name, NAMES))
    elseif type(value) ~= KNOWN[name] then
      errors.misuse("token store: option " .. name .. ": " .. KNOWN[name] .. " expected, got "
        .. type(value))
    end
  end
  return setmetatable({
    prefix = options.prefix or "keysecure:",
    release_client = options.release,
    connect = options.connect or connector {
      host = options.host or "127.0.0.1", port = options.port or 6379, path = options.path,
      username = options.username, password = options.password, database = options.database,
      timeout = options.timeout or 0.25,
    },
  }, Redis)
end

return redis
