-- A webhook in one file: takes the platform's callbacks, believes only what is signed, and decides
-- purchases by a rule of its own.
--
--     KEYSECURE_ENVIRONMENT=emulator KEYSECURE_MODE=authorization \
--       lua examples/callback_receiver.lua [PORT]
--
-- It listens on this machine, on port 8788 or the one you give (0 takes a free one). To be asked,
-- it has to be where the merchant's callbacks go: for the emulator that is
-- `keysecure emulator --callback-url http://127.0.0.1:8788/`.
--
-- With --with-parent it ends when its standard input does: so the demo never leaves one behind.
local api = require "keysecure.api"
local cjson = require "cjson"
local money = require "keysecure.money"
local signature = require "keysecure.signature"
local unpack = table.unpack or rawget(_G, "unpack")

local function complain(what)
  io.stderr:write("callback_receiver: ", what, "\n")
end

local function give_up(why)
  complain(why)
  os.exit(1)
end

-- What only this script needs is asked for by name.
local function needs(module, rock)
  local found, result = pcall(require, module)
  return found and result or give_up("no " .. module .. " here: luarocks install " .. rock)
end

local cqueues = needs("cqueues", "cqueues")
local http_server = needs("http.server", "http")
local new_headers = needs("http.headers", "http").new

-- The rule ------------------------------------------------------------------------------------

local LIMIT = "50.00"

-- Whether a purchase may be made. What is no plain decimal amount is none that this rule allows.
local function decide(purchase)
  return money.is(purchase.amount) and money.compare(purchase.amount, LIMIT) <= 0
end

-- Reading a callback --------------------------------------------------------------------------

-- JSON whose numbers have become texts, so that an amount keeps its digits. Strings are left alone.
local function with_numbers_as_text(json)
  local parts, at = {}, 1
  while true do
    local open = json:find('"', at, true)
    parts[#parts + 1] = json:sub(at, (open or 0) - 1):gsub("%-?%d[%d.eE+-]*", '"%0"')
    if not open then
      return table.concat(parts)
    end
    local close = json:find('["\\]', open + 1)
    while json:sub(close, close) == "\\" do
      close = json:find('["\\]', close + 2)
    end
    parts[#parts + 1] = json:sub(open, close)
    at = close + 1
  end
end

-- A callback that is proven to come from the platform; or nothing, and why not.
local function read(signer, raw, headers)
  local data_json, unreadable = signature.data(raw)
  if not data_json then
    return nil, tostring(unreadable)
  end
  local proven, err = signer:verify(data_json, headers:get "signature", headers:get "timestamp")
  if not proven then
    return nil, tostring(err)
  end
  local event = cjson.decode(raw)
  event.data = cjson.decode(with_numbers_as_text(data_json))
  return event
end

-- Telling what came ---------------------------------------------------------------------------

-- One line; a member that is missing is told as nil.
local function say(format, ...)
  local values = { ... }
  for i = 1, select("#", ...) do
    values[i] = tostring(values[i])
  end
  print((string.format(format, unpack(values)):gsub("%c", " ")))
  io.stdout:flush()
end

-- By action: what to do, which answers a code (0 is yes) and a message for the platform. A callback
-- may come twice, or of a kind not known yet: neither is an error.
local ACTIONS = {}

function ACTIONS.Auth(purchase)
  local approved = decide(purchase)
  say("%-12s %s %s: %s", "Auth", purchase.amount, purchase.consume_no,
    approved and "approved" or "declined, the limit is " .. LIMIT)
  if approved then
    return 0, ""
  end
  return 1, "above the limit"
end

function ACTIONS.Consumption(use)
  say("%-12s %s %s: %s %s", "Consumption", use.amount, use.consume_no, use.type, use.status)
  return 0, ""
end

function ACTIONS.Card_update(card)
  say("%-12s %s: %s -> %s", "Card_update", card.card_no, card.before_status, card.after_status)
  return 0, ""
end

local function ignore(_, action)
  say("%-12s not known here", action)
  return 0, ""
end

-- Serving -------------------------------------------------------------------------------------

local MAX_BODY, READ_TIMEOUT = 65536, 5 -- bytes, seconds

local function reply(stream, status, code, message)
  local headers = new_headers()
  headers:append(":status", status)
  headers:append("content-type", "application/json")
  stream:write_headers(headers, false, READ_TIMEOUT)
  stream:write_body_from_string(
    string.format('{"code":%d,"message":"%s"}', code, message), READ_TIMEOUT)
end

local function serve(signer, stream)
  local headers = stream:get_headers(READ_TIMEOUT)
  local raw = headers and (stream:get_body_chars(MAX_BODY + 1, READ_TIMEOUT) or "")
  if not raw then
    return
  end
  local event, why = nil, "the body is too large"
  if #raw <= MAX_BODY then
    event, why = read(signer, raw, headers)
  end
  if not event then
    say("%-12s %s", "refused", why)
    return reply(stream, "401", 1, "refused")
  end
  reply(stream, "200", (ACTIONS[event.action] or ignore)(event.data, event.action))
end

-- The account, as keysecure.from_env finds it.
local function account()
  local function variable(name)
    local value = os.getenv("KEYSECURE_" .. name)
    return value ~= "" and value or nil
  end
  local environment = api.environments[variable "ENVIRONMENT"] or {}
  local known = (environment.merchants or {})[variable "MODE" or "authorization"] or {}
  local key = variable "API_KEY"
  return key or known.api_key, key and variable "API_SECRET" or known.api_secret
end

local key, secret = account()
if not key or not secret then
  give_up "set KEYSECURE_API_KEY and KEYSECURE_API_SECRET, or KEYSECURE_ENVIRONMENT=emulator"
end
local signer = assert(signature.new { app_id = key, secret = secret })

local loop, port = cqueues.new(), tonumber(arg[1]) or 8788
local server = assert(http_server.listen {
  host = "127.0.0.1", port = port, tls = false, reuseaddr = true, cq = loop,
  onstream = function(_, stream) serve(signer, stream) end,
  onerror = function(_, _, what, err) complain(tostring(what) .. ": " .. tostring(err)) end,
})
local listening, err = server:listen()
if not listening then
  give_up("port " .. port .. ": " .. tostring(err))
end
if arg[2] == "--with-parent" then
  loop:wrap(function()
    cqueues.poll { pollfd = 0, events = "r" }
    os.exit(0)
  end)
end
say("listening on http://127.0.0.1:%s/", (select(3, server:localname())))
assert(loop:loop())
