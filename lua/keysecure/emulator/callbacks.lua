--- Callbacks to merchants: signed, delivered, repeated, and remembered.
--
-- Delivered means HTTP 200 with `code` 0; otherwise the same id goes out again after each of
-- `callback_delays`, then it is given up [A9]. `Auth` is asked once. Nothing goes out before what
-- it tells of is there to stay; what was not taken when the emulator ended goes out when it is
-- back.
local needs = require "keysecure.emulator.needs"
local condition = needs "cqueues.condition"
local cqueues = needs "cqueues"
local api = require "keysecure.api"
local redact = require "keysecure.redact"
local signature = require "keysecure.signature"
local json = require "keysecure.emulator.json"
local merchants = require "keysecure.emulator.merchants"
local webhook = require "keysecure.emulator.webhook"

local callbacks = {}

local LOG_LENGTH = 1000 -- deliveries remembered, beside those that are not done
local SHOWN_REPLY = 2048 -- bytes of a reply that are remembered
local HELD_AT_MOST = 5 -- seconds that a callback waits for the one that is to overtake it

---@class keysecure.emulator.Callbacks
local Callbacks = {}
Callbacks.__index = Callbacks

---@param platform table
---@return keysecure.emulator.Callbacks
function callbacks.new(platform)
  return setmetatable({ platform = platform, under_way = 0, changed = condition.new(), busy = {},
    held = {} }, Callbacks)
end

-- What is remembered --------------------------------------------------------------------------

-- The oldest that is done makes room.
local function forget_oldest(store)
  local all = store:rows("deliveries")
  if #all > LOG_LENGTH then
    for _, delivery in ipairs(all) do
      if delivery.done then
        store:remove("deliveries", delivery)
        return
      end
    end
  end
end

-- One message; `subject` is the number of what it is about.
local function new_delivery(self, merchant, action, data_json, subject)
  local store = self.platform.store
  forget_oldest(store)
  self.platform.changes:note()
  return store:insert("deliveries", {
    owner = merchant.api_key, id = merchants.random_token(), action = action, subject = subject,
    merchant = merchant.name, data = data_json, attempts = json.array {}, verdict = "waiting",
    time = self.platform.clock:now(),
  })
end

local function change(self, delivery, changes)
  if not self.stopped then
    self.platform.store:update("deliveries", delivery, changes)
  end
end

local function body_of(delivery)
  return string.format('{"id":%s,"action":%s,"data":%s}', json.encode(delivery.id),
    json.encode(delivery.action), delivery.data)
end

--- All that are remembered, oldest first: what was to be sent, and each attempt with its request,
--- the reply, how long that took, and what became of it.
---@return table[]
function Callbacks:log()
  local result = {}
  for i, delivery in ipairs(self.platform.store:rows("deliveries")) do
    result[i] = { id = delivery.id, action = delivery.action, subject = delivery.subject,
      merchant = delivery.merchant, data = delivery.data, body = body_of(delivery),
      time = delivery.time, verdict = delivery.verdict, done = delivery.done or false,
      attempts = json.array(delivery.attempts) }
  end
  return result
end

-- One attempt ---------------------------------------------------------------------------------

-- Another digit in front: the right form and length, and wrong.
local function spoilt(mac)
  return (mac:sub(1, 1) == "0" and "1" or "0") .. mac:sub(2)
end

local function signed_headers(self, merchant, delivery, badly)
  local timestamp = string.format("%.0f", self.platform.clock:now())
  local mac = assert(signature.sign(delivery.data, { app_id = merchant.api_key,
    timestamp = timestamp, secret = merchant.api_secret, order = merchant.signature_order }))
  return { timestamp = timestamp, ["sign-version"] = "V1", timezone = api.default_timezone,
    signature = badly and spoilt(mac) or mac }
end

local function verdict_of(status, reply)
  if not status then
    return reply
  elseif status ~= 200 then
    return "answered HTTP " .. status
  end
  local answer = json.decode_object(reply)
  if not answer or type(answer.code) ~= "number" then
    return "answered without a code"
  elseif answer.code ~= 0 then
    return string.format("answered code %.0f", answer.code), answer.code
  end
  return "delivered", 0
end

-- A stranger's bytes, fit to be shown.
local function shown(reply)
  local text = reply:sub(1, SHOWN_REPLY)
  if not json.is_utf8(text) then
    text = text:gsub("[\128-\255]", "?")
  end
  return redact.text(text, {})
end

local function remember(self, delivery, entry)
  local attempts = delivery.attempts
  attempts[#attempts + 1] = entry
  change(self, delivery, { attempts = attempts, verdict = entry.verdict })
end

-- Sends a message once; whether it was taken.
local function attempt(self, merchant, delivery, timeout, badly)
  local clock = self.platform.clock
  local headers = signed_headers(self, merchant, delivery, badly)
  local entry = { at = clock:now(), url = merchant.callback_url, headers = headers }
  local started = cqueues.monotime()
  local status, reply = webhook.post(merchant.callback_url, headers, body_of(delivery), timeout)
  entry.latency_ms, entry.http_status = (cqueues.monotime() - started) * 1000, status
  entry.verdict, entry.code = verdict_of(status, reply)
  entry.reply = status and shown(reply) or nil
  remember(self, delivery, entry)
  self.platform.log:callback(delivery.action, #delivery.attempts, entry)
  return entry.verdict == "delivered"
end

-- Delivering ----------------------------------------------------------------------------------

local deliver

-- Has it sent at a moment, even if the emulator is another process by then.
local function send_at(self, delivery, due)
  change(self, delivery, { due = due })
  self.platform.scheduler:at(due, function()
    if delivery.due == due then
      deliver(self, delivery)
    end
  end)
end

local function after_attempt(self, delivery, taken)
  local delay = self.platform.config.callback_delays[#delivery.attempts]
  if taken and delivery.duplicates then
    change(self, delivery, { duplicates = false })
    send_at(self, delivery, self.platform.clock:life())
  elseif not taken and delay then
    send_at(self, delivery, self.platform.clock:life() + delay * 1000)
  else
    change(self, delivery, { done = true })
  end
end

-- What waited to be overtaken goes out now.
local function release(self, delivery)
  local held = self.held[delivery.owner]
  if held and held ~= delivery then
    self.held[delivery.owner] = nil
    self.platform.spawn(function() deliver(self, held) end)
  end
end

local function send(self, merchant, delivery)
  self.under_way = self.under_way + 1
  local badly = delivery.badly_signed
  change(self, delivery, { badly_signed = false, due = false })
  self.platform.store:commit()
  local taken = attempt(self, merchant, delivery, self.platform.config.callback_timeout, badly)
  self.under_way = self.under_way - 1
  if not self.stopped then
    after_attempt(self, delivery, taken)
    release(self, delivery)
  end
  self.changed:signal()
end

function deliver(self, delivery)
  local merchant = self.platform.merchants:with_key(delivery.owner)
  if self.stopped or self.busy[delivery] or delivery.done then
    return
  elseif not merchant.callback_url then
    change(self, delivery, { verdict = "no callback_url", done = true })
    return
  end
  self.busy[delivery] = true
  send(self, merchant, delivery)
  self.busy[delivery] = nil
end

-- What a fault on demand does to a callback is written on it, and lasts like it.
local function mark(self, delivery, fault)
  local clock = self.platform.clock
  change(self, delivery, { badly_signed = fault.bad_signature, duplicates = fault.duplicate })
  if fault.reorder then
    self.held[delivery.owner] = delivery
  end
  if fault.delay or fault.reorder then
    send_at(self, delivery, clock:life() + (fault.delay or HELD_AT_MOST) * 1000)
    return true
  end
end

--- Tells a merchant something, however often it takes; returns at once.
---@param merchant table
---@param action "Consumption"|"Card_update"
---@param data_json string
---@param subject string
function Callbacks:push(merchant, action, data_json, subject)
  local delivery = new_delivery(self, merchant, action, data_json, subject)
  local fault = self.platform.faults:take_callback(action)
  if not (fault and mark(self, delivery, fault)) then
    self.platform.spawn(function() deliver(self, delivery) end)
  end
end

-- Deciding ------------------------------------------------------------------------------------

local function ask_again(self, merchant, delivery)
  self.platform.spawn(function()
    attempt(self, merchant, delivery, api.decision_limit)
  end)
end

--- Asks a merchant for the decision on a purchase and waits for it, 800 ms at most.
---@param merchant table
---@param data_json string
---@param subject string
---@return boolean approved
---@return string reason
function Callbacks:ask(merchant, data_json, subject)
  local delivery = new_delivery(self, merchant, "Auth", data_json, subject)
  if not merchant.callback_url then
    change(self, delivery, { verdict = "no callback_url", done = true })
    return false, delivery.verdict
  end
  local fault = self.platform.faults:take_callback("Auth") or {}
  self.platform.store:commit()
  if fault.delay then
    cqueues.sleep(fault.delay)
  end
  if fault.duplicate then
    ask_again(self, merchant, delivery)
  end
  local approved = attempt(self, merchant, delivery, api.decision_limit, fault.bad_signature)
  change(self, delivery, { done = true })
  return approved, delivery.verdict
end

-- Beginning and ending ------------------------------------------------------------------------

--- Takes up what an earlier process left. A decision that it was waiting for is lost.
function Callbacks:resume()
  for _, delivery in ipairs(self.platform.store:rows("deliveries")) do
    if not delivery.done and delivery.action == "Auth" then
      change(self, delivery, { done = true, verdict = "the emulator ended before the answer" })
    elseif not delivery.done then
      send_at(self, delivery, delivery.due or self.platform.clock:life())
    end
  end
end

--- Waits until nothing is under way, this long at most.
---@param seconds number
function Callbacks:settle(seconds)
  local deadline = cqueues.monotime() + seconds
  while self.under_way > 0 and cqueues.monotime() < deadline do
    self.changed:wait(deadline - cqueues.monotime())
  end
end

--- What is still to be repeated is given up.
function Callbacks:stop()
  self.stopped = true
end

return callbacks
