--- The options of a webhook: what there is, what each must be, what it is where it is not said.
local api = require "keysecure.api"
local errors = require "keysecure.errors"
local suggest = require "keysecure.suggest"

local options = {}

---@class keysecure.webhook.Options
---@field api_key? string        required unless a client makes the webhook [A7]
---@field api_secret? string     as above; never kept in readable form
---@field secrets? string[]      further secrets that are believed, while one is being replaced
---@field budget? number         seconds for an authorization, from its first byte (0.6)
---@field on_timeout? "decline"|"approve"|fun(event: table, reason: string): any  the fallback: what
---  is answered where nothing was decided ("decline"). "approve" goes for time and overload alone;
---  a function is also asked for the reasons "error" and "store", and decides as a handler does
---@field push_budget? number    seconds for a callback that asks for nothing (5)
---@field max_in_flight? integer authorizations being decided at once, in this process, and as many
---  other callbacks with their handlers (200)
---@field max_age? number        seconds that a Timestamp may be old (300)
---@field max_ahead? number      seconds that a Timestamp may lie in the future (30)
---@field max_body? integer      bytes (65536)
---@field store? table           what was answered: see keysecure.webhook.store.memory (that one)
---@field remember? number       seconds that an answer is remembered (3600)
---@field lease? number          seconds after which a callback is handed over again when whoever
---  had it has died over it (30)
---@field on_changed? "decline"|"decide"  a consume_no that comes again with other facts is declined
---  and reported, or decided anew ("decline")
---@field journal? fun(entry: table)|table  told of every answer: see keysecure.webhook.journal
---@field on_late? fun(event: table, decision: table, answered: table)  told what a handler decided
---  after something else was answered: release what it reserved
---@field on_error? fun(message: string, event: table|nil)  told of what went wrong here; without
---  it, the error log
---@field on_refused? fun(reason: string, status: integer)  told of what was not believed
---@field clock? fun(): number   Unix seconds, in place of this machine's clock
---@field sleep? fun(seconds: number)  how to wait where `answer` runs in coroutines of your own

local function positive(value)
  return not (value > 0 and value < 1e9) and "must be more than zero" or nil
end

local function whole(value)
  return not (value >= 1 and value % 1 == 0) and "must be a whole number, 1 or more" or nil
end

local function texts(value)
  for i = 1, #value do
    if type(value[i]) ~= "string" or value[i] == "" then
      return "must be a list of texts that are not empty"
    end
  end
end

local KNOWN = {
  api_key = { type = "string" },
  api_secret = { type = "string" },
  secrets = { type = "table", check = texts },
  budget = { type = "number", default = 0.6, check = function(value)
    return positive(value) or value >= api.decision_limit and "must be less than the platform's "
      .. api.decision_limit .. " s" or nil
  end },
  on_timeout = { type = { "string", "function" }, default = "decline", check = function(value)
    return type(value) == "string" and value ~= "decline" and value ~= "approve"
      and "must be 'decline', 'approve' or a function" or nil
  end },
  push_budget = { type = "number", default = 5, check = positive },
  max_in_flight = { type = "number", default = 200, check = whole },
  max_age = { type = "number", default = 300, check = positive },
  max_ahead = { type = "number", default = 30, check = function(value)
    return not (value >= 0 and value < 1e9) and "must not be less than zero" or nil
  end },
  max_body = { type = "number", default = 65536, check = whole },
  store = { type = "table" },
  remember = { type = "number", default = 3600, check = positive },
  lease = { type = "number", default = 30, check = positive },
  on_changed = { type = "string", default = "decline", check = function(value)
    return value ~= "decline" and value ~= "decide" and "must be 'decline' or 'decide'" or nil
  end },
  journal = { type = { "function", "table" } },
  on_late = { type = "function" },
  on_error = { type = "function" },
  on_refused = { type = "function" },
  clock = { type = "function" },
  sleep = { type = "function" },
}

local NAMES = {}
for name in pairs(KNOWN) do
  NAMES[#NAMES + 1] = name
end
table.sort(NAMES)

local function is_of(value, wanted)
  if type(wanted) == "string" then
    return type(value) == wanted
  end
  return type(value) == wanted[1] or type(value) == wanted[2]
end

local function check_one(name, value)
  local known = KNOWN[name]
  if not known then
    errors.misuse("webhook: no option '" .. tostring(name) .. "'" .. suggest(name, NAMES))
  elseif not is_of(value, known.type) then
    local wanted = type(known.type) == "string" and known.type or table.concat(known.type, " or ")
    errors.misuse("webhook: option " .. name .. ": " .. wanted .. " expected, got " .. type(value))
  end
  local fault = known.check and known.check(value)
  if fault then
    errors.misuse("webhook: option " .. name .. " " .. fault)
  end
end

local STORE_METHODS = { "add", "get", "set", "delete" }

-- What only shows when options are looked at together, or into.
local function check_together(result)
  for _, method in ipairs(result.store and STORE_METHODS or {}) do
    if type(result.store[method]) ~= "function" then
      errors.misuse("webhook: option store: it has no method '" .. method .. "'")
    end
  end
  if type(result.journal) == "table" and type(result.journal.write) ~= "function" then
    errors.misuse "webhook: option journal: a table with a method 'write' expected"
  elseif result.remember < result.max_age + result.max_ahead then
    errors.misuse("webhook: option remember must be at least max_age and max_ahead together, or "
      .. "what is forgotten could be replayed")
  end
end

--- A copy of `given` with the defaults filled in. Raises for whatever is wrong: options are the
--- program's, not the world's.
---@param given keysecure.webhook.Options|nil
---@return table
function options.check(given)
  if given ~= nil and type(given) ~= "table" then
    errors.misuse("webhook: a table of options expected, got " .. type(given))
  end
  local result = {}
  for name, value in pairs(given or {}) do
    check_one(name, value)
    result[name] = value
  end
  for name, known in pairs(KNOWN) do
    if result[name] == nil then
      result[name] = known.default
    end
  end
  check_together(result)
  return result
end

return options
