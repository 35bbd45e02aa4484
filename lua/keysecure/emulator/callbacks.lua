--- Callbacks to merchants: signed, delivered, repeated, and remembered in a log.
--
-- Delivered means HTTP 200 with `code` 0; otherwise the same id goes out again after each of
-- `callback_delays`, then it is given up [A9]. `Auth` is asked once.
local api = require "keysecure.api"
local signature = require "keysecure.signature"
local json = require "keysecure.emulator.json"
local merchants = require "keysecure.emulator.merchants"
local webhook = require "keysecure.emulator.webhook"

local callbacks = {}

local LOG_LENGTH = 1000 -- deliveries remembered

---@class keysecure.emulator.Callbacks
local Callbacks = {}
Callbacks.__index = Callbacks

---@param platform table
---@return keysecure.emulator.Callbacks
function callbacks.new(platform)
  return setmetatable({ platform = platform, log = {} }, Callbacks)
end

-- One message; `subject` is the number of what it is about.
local function new_delivery(self, merchant, action, data_json, subject)
  local delivery = { id = merchants.random_token(), action = action, subject = subject,
    merchant = merchant.name, data = data_json, attempts = json.array {}, verdict = "waiting",
    time = self.platform.clock:now() }
  self.log[#self.log + 1] = delivery
  if #self.log > LOG_LENGTH then
    table.remove(self.log, 1)
  end
  self.platform.changes:note()
  return delivery
end

local function signed_headers(self, merchant, data_json)
  local timestamp = string.format("%.0f", self.platform.clock:now())
  return {
    timestamp = timestamp,
    ["sign-version"] = "V1",
    timezone = api.default_timezone,
    signature = assert(signature.sign(data_json, { app_id = merchant.api_key,
      timestamp = timestamp, secret = merchant.api_secret, order = merchant.signature_order })),
  }
end

local function body_of(delivery)
  return string.format('{"id":%s,"action":%s,"data":%s}', json.encode(delivery.id),
    json.encode(delivery.action), delivery.data)
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

-- Sends a message once; whether it was taken.
local function attempt(self, merchant, delivery, timeout)
  local clock = self.platform.clock
  local entry = { at = clock:now() }
  local started = clock:life()
  delivery.attempts[#delivery.attempts + 1] = entry
  local status, reply = webhook.post(merchant.callback_url,
    signed_headers(self, merchant, delivery.data), body_of(delivery), timeout)
  entry.latency_ms, entry.http_status = clock:life() - started, status
  entry.verdict, entry.code = verdict_of(status, reply)
  delivery.verdict = entry.verdict
  self.platform.log:callback(delivery.action, #delivery.attempts, entry)
  return entry.verdict == "delivered"
end

local function deliver(self, merchant, delivery)
  if not merchant.callback_url then
    delivery.verdict = "no callback_url"
    return
  elseif attempt(self, merchant, delivery, self.platform.config.callback_timeout) then
    return
  end
  local delay = self.platform.config.callback_delays[#delivery.attempts]
  if delay and not self.stopped then
    self.platform.scheduler:at(self.platform.clock:life() + delay * 1000, function()
      deliver(self, merchant, delivery)
    end)
  end
end

--- Tells a merchant something, however often it takes; returns at once.
---@param merchant table
---@param action "Consumption"|"Card_update"
---@param data_json string
---@param subject string
function Callbacks:push(merchant, action, data_json, subject)
  local delivery = new_delivery(self, merchant, action, data_json, subject)
  self.platform.spawn(function() deliver(self, merchant, delivery) end)
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
    delivery.verdict = "no callback_url"
    return false, delivery.verdict
  end
  local approved = attempt(self, merchant, delivery, api.decision_limit)
  return approved, delivery.verdict
end

--- What is still to be repeated is given up.
function Callbacks:stop()
  self.stopped = true
end

return callbacks
