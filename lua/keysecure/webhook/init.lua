--- Answers the platform's callbacks: verified, decided in time, the same thing twice, remembered.
--
--    local hook = keysecure.webhook { budget = 0.6 }            -- ks:webhook, of a client; or
--    local hook = require("keysecure.webhook").new { api_key = …, api_secret = … }
--    hook:on("Auth", function(event) return money.compare(event.data.amount, "50.00") <= 0 end)
--    hook:on("Consumption", function(event) ledger:post(event) end)
--
--    hook:serve()                                               -- in OpenResty
--    local status, body, headers = hook:answer(headers, body)   -- in any other server
local api = require "keysecure.api"
local authorize = require "keysecure.webhook.authorize"
local client_options = require "keysecure.options"
local core = require "keysecure.core"
local decision = require "keysecure.webhook.decision"
local deliver = require "keysecure.webhook.deliver"
local door = require "keysecure.webhook.door"
local errors = require "keysecure.errors"
local inline = require "keysecure.webhook.host.inline"
local memory = require "keysecure.webhook.store.memory"
local options_of = require "keysecure.webhook.options"
local suggest = require "keysecure.suggest"

---@class keysecure.Webhook
---@field package options table
---@field package verifier userdata
---@field package server_clock userdata|nil  the client's core, which has learnt the server's clock
---@field package handlers table<string, function>
---@field package store table
---@field package deciding table<string, table>    cells of purchases, by number and facts
---@field package delivering table<string, table>  and of other callbacks
---@field package in_flight integer  authorizations being decided
---@field package looking integer    and of those not begun, looked up in the store
---@field package handing integer    other callbacks with their handlers
---@field package usual number       milliseconds that one has taken lately, the median
local Webhook = {}
Webhook.__index = Webhook

local webhook = {}

local function check_self(self, called)
  if getmetatable(self) ~= Webhook then
    errors.misuse("use hook:" .. called .. ", with a colon")
  end
end

function Webhook:__tostring()
  return "keysecure webhook"
end

-- Making one -----------------------------------------------------------------------------------

local function build(verifier, options, server_clock)
  for _, secret in ipairs(options.secrets or {}) do
    verifier = verifier:with(nil, secret)
  end
  local store = options.store or memory.new()
  options.api_key, options.api_secret, options.secrets = nil, nil, nil
  return setmetatable({ options = options, verifier = verifier, server_clock = server_clock,
    store = store, handlers = {}, deciding = {}, delivering = {}, in_flight = 0, looking = 0,
    handing = 0, usual = 0 },
    Webhook)
end

--- A webhook that knows its keys itself.
---@param given keysecure.webhook.Options
---@return keysecure.Webhook|nil
---@return keysecure.Error|nil err  kind "invalid": a key that is missing
function webhook.new(given)
  local options = options_of.check(given)
  for _, name in ipairs { "api_key", "api_secret" } do
    if options[name] == nil or options[name] == "" then
      return nil, errors.new { kind = "invalid", field = name,
        message = "is required (KEYSECURE_" .. name:upper() .. ")" }
    end
  end
  return build(core.verifier(options.api_key, options.api_secret), options)
end

--- The keys that the environment tells, as keysecure.from_env finds them; those of the emulator's
--- merchant for authorization mode where nothing says which.
---@return string|nil api_key
---@return string|nil api_secret
function webhook.keys_from_env()
  local found = client_options.from_env()
  if not found.api_key and found.environment == "emulator" then
    local known = api.environments.emulator.merchants[found.mode or "authorization"] or {}
    return known.api_key, known.api_secret
  end
  return found.api_key, found.api_secret
end

--- A webhook with those keys.
---@param given? keysecure.webhook.Options
---@return keysecure.Webhook|nil
---@return keysecure.Error|nil err
function webhook.from_env(given)
  local options = {}
  local key, secret = webhook.keys_from_env()
  for name, value in pairs(given or {}) do
    options[name] = value
  end
  options.api_key, options.api_secret = options.api_key or key, options.api_secret or secret
  return webhook.new(options)
end

--- A webhook with the keys and the clock of a client; what `ks:webhook` calls.
---@param client table
---@param given? keysecure.webhook.Options
---@return keysecure.Webhook
function webhook.of_client(client, given)
  local options = options_of.check(given)
  if options.api_key or options.api_secret then
    errors.misuse "webhook: the keys are the client's; further secrets go into 'secrets'"
  end
  return build(client.verifier, options, client.core)
end

local ACTIONS = { "Auth", "Consumption", "Card_update", "*" }
local IS_ACTION = {}
for _, action in ipairs(ACTIONS) do
  IS_ACTION[action] = true
end

-- A slip such as "auth" is told at once; an action that resembles none may be one of tomorrow's.
local function check_action(action)
  local hint = type(action) == "string" and not IS_ACTION[action] and suggest(action, ACTIONS) or ""
  if type(action) ~= "string" or action == "" then
    errors.misuse("hook:on: an action expected, got " .. type(action))
  elseif hint ~= "" then
    errors.misuse("hook:on: no action '" .. action .. "'" .. hint)
  end
end

--- Says who handles an action: "Auth", "Consumption", "Card_update", any other that the platform
--- may bring; or "*", whatever has no handler of its own. An Auth is decided by its own alone.
---
--- That of Auth returns `true`, `false` and perhaps why, or { code = …, message = … }; anything
--- else declines. The others return nothing; when they raise, or return `false` or `nil, err`, the
--- platform is asked to repeat.
---@param action string
---@param handler fun(event: keysecure.webhook.Event): any, any
---@return keysecure.Webhook self
function Webhook:on(action, handler)
  check_self(self, "on(…)")
  check_action(action)
  if type(handler) ~= "function" then
    errors.misuse("hook:on: a function expected, got " .. type(handler))
  end
  self.handlers[action] = handler
  return self
end

-- What the parts ask of it ---------------------------------------------------------------------

--- Bounds of the platform's time now, Unix milliseconds: as far as the client has learnt it, else
--- this machine's clock.
---@package
function Webhook:server_time()
  local clock = self.options.clock
  if clock then
    local now = clock() * 1000
    return now, now
  end
  local monotonic, wall = core.now()
  if self.server_clock then
    local earliest, latest = self.server_clock:clock_snapshot(monotonic, wall)
    if earliest then
      return earliest, latest
    end
  end
  return wall, wall
end

--- Tells the operator that something went wrong here.
---@package
function Webhook:report(host, message, event)
  local told = self.options.on_error
  if not told or not host.call(told, message, event) then
    host.log((event and tostring(event) .. ": " or "") .. message)
  end
end

local function text(value)
  return type(value) == "string" and value or nil
end

local function verdict_of(event, answer)
  if event.action == "Auth" then
    return answer.approved and "approve" or "decline"
  end
  return answer.code == 0 and "taken" or "not taken"
end

-- A line of the journal. Of the data, numbers of things and money, no names and nothing secret.
local function entry_of(event, kind, answer, reason, duplicate)
  local monotonic, wall = core.now()
  local data = event.data
  return {
    kind = kind, time = math.floor(wall), ms = math.floor(monotonic - event.started),
    id = event.id, action = event.action, decision = verdict_of(event, answer),
    code = answer.code, message = answer.message, reason = reason, late = kind == "late",
    duplicate = duplicate,
    consume_no = text(data.consume_no), consume_relate_no = text(data.consume_relate_no),
    card_no = text(data.card_no), type = text(data.type), status = text(data.status),
    amount = text(data.amount), local_amount = text(data.local_amount),
    local_currency = text(data.local_currency), fee = text(data.fee),
    before_status = text(data.before_status), after_status = text(data.after_status),
  }
end

--- Writes a line into the journal: an "answer", or a decision that came too "late" to be one.
---@package
function Webhook:note(host, event, kind, answer, reason, duplicate)
  local journal = self.options.journal
  if not journal then
    return
  end
  local entry = entry_of(event, kind, answer, reason, duplicate)
  local ok, written, err
  if type(journal) == "function" then
    ok, written, err = host.call(journal, entry)
  else
    ok, written, err = host.call(journal.write, journal, entry)
  end
  if not ok then
    self:report(host, "the journal raised: " .. tostring(written), event)
  elseif not written and err then
    self:report(host, "the journal: " .. tostring(err), event)
  end
end

-- Answering ------------------------------------------------------------------------------------

--- Answers somebody who is not believed, and tells the operator why.
---@package
function Webhook:refuse(host, refusal)
  local told = self.options.on_refused
  if told then
    host.call(told, refusal.reason, refusal.status)
  end
  return door.answer(refusal)
end

local function reply(self, host, event, answer, reason, duplicate)
  if answer.status then
    return self:refuse(host, answer)
  end
  self:note(host, event, "answer", answer, reason, duplicate or false)
  return 200, decision.body(answer.code, answer.message), { ["Content-Type"] = "application/json" }
end

local function handle(self, host, headers, body, received_at)
  local event, refusal = door.open(self, headers, body)
  if not event then
    return self:refuse(host, refusal)
  end
  local is_auth = event.action == "Auth"
  local monotonic, wall = core.now()
  event.received_at = received_at
  event.started = monotonic - math.max(0, wall - received_at * 1000)
  event.deadline = event.started
    + (is_auth and self.options.budget or self.options.push_budget) * 1000
  local answer, reason, duplicate = (is_auth and authorize or deliver).answer(self, event, host)
  return reply(self, host, event, answer, reason, duplicate)
end

--- Answers one request, inside a host. A mistake of this library's own must not become a stack
--- trace that the platform gets to see.
---@param host table
---@param headers keysecure.webhook.Headers
---@param body string
---@param received_at number
---@return integer status
---@return string body
---@return table<string, string> headers
function Webhook:process(host, headers, body, received_at)
  local ok, status, reply_body, more = host.call(handle, self, host, headers, body, received_at)
  if ok then
    return status, reply_body, more
  end
  self:report(host, "internal: " .. tostring(status))
  return 200, decision.body(1, "not now"), { ["Content-Type"] = "application/json" }
end

--- Answers one request, in any server. The handlers run inside.
---@param headers table     of lua-http, of OpenResty, or names in any case and texts, lists where a
---  header came more than once; `:method` is looked at where it is there
---@param body string       as it came
---@param received_at? number  Unix seconds, when the first byte came (now)
---@return integer status
---@return string body
---@return table<string, string> headers
function Webhook:answer(headers, body, received_at)
  check_self(self, "answer(headers, body)")
  if type(headers) ~= "table" then
    errors.misuse("hook:answer: a table of headers expected, got " .. type(headers))
  elseif type(body) ~= "string" then
    errors.misuse("hook:answer: the body as text expected, got " .. type(body))
  elseif received_at ~= nil and type(received_at) ~= "number" then
    errors.misuse("hook:answer: received_at: Unix seconds expected, got " .. type(received_at))
  end
  self.host = self.host or inline.new(self.options.sleep)
  return self:process(self.host, door.collect(headers), body, received_at or core.wall() / 1000)
end

--- Answers the request that OpenResty is handling, in `content_by_lua`.
function Webhook:serve()
  check_self(self, "serve()")
  return require("keysecure.webhook.openresty").serve(self)
end

--- A signed request, for tests: see keysecure.webhook.test_request.
function webhook.test_request(event, options)
  return require("keysecure.webhook.test_request")(event, options)
end

return webhook
