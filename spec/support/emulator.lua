--- Talks to the emulator as bare HTTP, without the library's client: what the specs of the emulator
--- stand on.
local api = require "keysecure.api"
local cipher = require "keysecure.cipher"
local core = require "keysecure.core"
local emulator = require "keysecure.emulator"
local json = require "keysecure.emulator.json"
local cqueues = require "cqueues"
local http_request = require "http.request"
local http_server = require "http.server"
local new_headers = require "http.headers".new
local yieldable_pcall = require "http.util".yieldable_pcall

local support = {}

-- Event loop ----------------------------------------------------------------------------------

local loop

--- Runs `fn(loop)` inside an event loop, so that receivers answer while it waits.
function support.run(fn)
  local done, ok, err
  loop = cqueues.new()
  loop:wrap(function()
    ok, err = yieldable_pcall(fn, loop)
    done = true
  end)
  while not done do
    assert(loop:step())
  end
  loop = nil
  if not ok then
    error(err, 0)
  end
end

--- Runs functions at the same time, inside `run`, and waits for all of them.
function support.together(...)
  local failure
  local pending = select("#", ...)
  for _, fn in ipairs { ... } do
    loop:wrap(function()
      local ok, err = yieldable_pcall(fn)
      failure = failure or (not ok and err)
      pending = pending - 1
    end)
  end
  support.wait(function() return pending == 0 end, 20)
  if failure then
    error(failure, 0)
  end
end

--- Waits until `fn` answers something true, and returns that.
function support.wait(fn, seconds)
  local deadline = cqueues.monotime() + (seconds or 3)
  repeat
    local result = fn()
    if result then
      return result
    end
    cqueues.sleep(0.005)
  until cqueues.monotime() > deadline
  error("waited in vain", 2)
end

-- One request ---------------------------------------------------------------------------------

--- A request as it is; answers { status, headers, body, json }.
function support.http(address, method, path, headers, body, context)
  local request = http_request.new_from_uri(address .. path)
  request.proxies, request.hsts, request.cookie_store = false, false, false
  request.ctx = context
  request.headers:upsert(":method", method)
  request.headers:upsert(":path", path)
  for name, value in pairs(headers or {}) do
    request.headers:upsert(name:lower(), value)
  end
  if body then
    request:set_body(body)
    request.headers:delete "expect"
  end
  local answer, stream = request:go(10)
  assert(answer, stream)
  local text = assert(stream:get_body_as_string(10))
  stream:shutdown()
  return { status = tonumber(answer:get ":status"), headers = answer, body = text,
    json = json.decode_object(text) or {} }
end

-- An emulator ---------------------------------------------------------------------------------

local Peer = {}
Peer.__index = Peer

--- Starts an emulator where nothing takes time unless asked to.
function support.start(options)
  local given = { kyc_delay = 0, issue_delay = 0 }
  for name, value in pairs(options or {}) do
    given[name] = value
  end
  local self = setmetatable({ emulator = assert(emulator.start(given)), tokens = {}, last = 0 },
    Peer)
  self.address = self.emulator.address
  return self
end

--- Somebody else's emulator, or a platform: an address and its merchants by mode. Timestamps are so
--- many milliseconds behind this machine's clock.
function support.connect(address, merchants, margin)
  return setmetatable({ address = address, emulator = { merchants = merchants }, tokens = {},
    last = 0, margin = margin }, Peer)
end

function Peer:stop()
  self.emulator:stop()
end

function Peer:control(...)
  return self.emulator:control(...)
end

--- A name that nothing had before.
function Peer:unique(prefix)
  self.last = self.last + 1
  return (prefix or "u") .. "-" .. self.last
end

function Peer:reset()
  self.tokens = {}
  return assert(self:control("POST", "reset"))
end

local function path_of(operation, values)
  return api.base .. operation.path:gsub("{(.-)}", function(name)
    local value = values[name]
    values[name] = nil
    return (value:gsub("[^%w%-_]", function(c) return string.format("%%%02X", c:byte()) end))
  end)
end

local function encrypted(secret, operation, values)
  for _, field in ipairs(operation.params) do
    if field.encrypted and type(values[field.name]) == "string" then
      values[field.name] = cipher.new(secret):encrypt(values[field.name])
    end
  end
end

function Peer:headers(operation, merchant)
  local headers = { Timestamp = string.format("%.0f", core.wall() - (self.margin or 0)),
    ["Content-Type"] = "application/json" }
  if operation.auth ~= "none" then
    headers["Api-Key"] = self.emulator.merchants[merchant].api_key
  end
  if operation.auth == "token" then
    self.tokens[merchant] = self.tokens[merchant]
      or self:ok("merchant.token", nil, { merchant = merchant }).access_token
    headers["Access-Token"] = self.tokens[merchant]
  end
  return headers
end

--- Calls an operation by name. `options`: `merchant` (the mode of the operation, credit otherwise),
--- `headers` to change (false: leave out), `body` to send instead, `wire`: encrypt nothing.
function Peer:call(name, values, options)
  options = options or {}
  local operation = api.operations[name]
  local merchant = options.merchant
    or (operation.mode == "authorization" and "authorization" or "credit")
  local copy = {}
  for key, value in pairs(values or {}) do
    copy[key] = value
  end
  local headers = self:headers(operation, merchant)
  for _, field in ipairs(operation.params) do
    if field.header then
      headers[field.header], copy[field.name] = copy[field.name], nil
    end
  end
  for key, value in pairs(options.headers or {}) do
    headers[key] = value or nil
  end
  if not options.wire then
    encrypted(self.emulator.merchants[merchant].api_secret, operation, copy)
  end
  local path = path_of(operation, copy)
  return support.http(self.address, operation.method, path, headers,
    options.body or (operation.method == "POST" and json.encode(copy) or nil))
end

--- As `call`, for a call that must succeed; answers its data.
function Peer:ok(name, values, options)
  local answer = self:call(name, values, options)
  if answer.json.code ~= 0 then
    error(name .. ": " .. answer.body, 2)
  end
  return answer.json.data
end

-- Rows to work with ---------------------------------------------------------------------------

--- A cardholder that is Approved.
function Peer:holder(options)
  return self:ok("cardholders.apply", { cardholder_unique_no = self:unique "holder",
    sumsub_share_token = "share" }, options).cardholder_no
end

support.address_info = {
  first_name = "Ada", last_name = "Lovelace", phone_code = "44", phone = "2071234567",
  postal_code = "SW1Y 4JH", country = "GB", state = "London", city = "London",
  address_line1 = "12 St. James's Square", address_line2 = "Flat 2",
}

--- A new card, Activated (Virtual) or ToActivate (Physical); answers its number and its holder's.
function Peer:card(kind, merchant)
  local options = { merchant = merchant }
  local holder = self:holder(options)
  local card = self:ok("cards.apply", {
    package_no = kind == "Physical" and "P-2" or "P-1", card_bin_no = "B-1",
    cardholder_no = holder, card_unique_no = self:unique "card", card_type = kind or "Virtual",
    address_info = kind == "Physical" and support.address_info or nil,
  }, options)
  return card.card_no, holder
end

--- What is printed on a card.
function Peer:plastic(card_no)
  return assert(self:control("GET", "card/" .. card_no))
end

--- A physical card that its holder has activated.
function Peer:activated_physical()
  local card_no, holder = self:card "Physical"
  local plastic = self:plastic(card_no)
  self:ok("cards.activate", { cardholder_no = holder, card_no = card_no, cvv = plastic.cvv,
    card_last_no = plastic.card_last_no })
  return card_no, holder
end

function Peer:fund(holder, amount)
  return self:ok("accounts.transfer", { cardholder_no = holder, type = "In", balance = amount,
    transfer_unique_no = self:unique "transfer" })
end

function Peer:balance(holder)
  return self:ok("accounts.info", { cardholder_no = holder }).list[1].balance
end

--- A funded card and a purchase with it.
function Peer:purchase(amount, funds)
  local card_no, holder = self:card()
  self:fund(holder, funds or "100.00")
  local auth = self:ok("simulate.auth", { card_no = card_no, amount = amount or "12.50" })
  return auth.consume_no, card_no, holder
end

-- Arguments that keep every rule --------------------------------------------------------------

local function changed(values, changes)
  for name, value in pairs(changes or {}) do
    values[name] = value
  end
  return values
end

--- Of cardholders.apply.
function Peer:apply_values(changes)
  return changed({ cardholder_unique_no = self:unique "holder", sumsub_share_token = "share" },
    changes)
end

--- Of cards.apply in credit mode.
function Peer:card_values(changes)
  return changed({ package_no = "P-1", cardholder_no = self:holder(), card_type = "Virtual",
    card_unique_no = self:unique "card" }, changes)
end

--- Of accounts.transfer, but for the cardholder.
function Peer:transfer_values(changes)
  return changed({ type = "In", balance = "10.00", transfer_unique_no = self:unique "transfer" },
    changes)
end

--- A one-time token for a card's data.
function Peer:client_token(card_no)
  return self:ok("pci.client_token", { card_no = card_no }).client_access_token
end

--- Adds a window with the present in it.
function support.today(values)
  local now = math.floor(core.wall() / 1000)
  values.start_time = os.date("!%Y-%m-%d", now - 86400)
  values.end_time = os.date("!%Y-%m-%d", now + 86400)
  return values
end

-- A merchant's webhook ------------------------------------------------------------------------

--- A receiver inside `run`. `answer(event, number)` gives a status, a body and seconds to wait; by
--- default all is taken. Its `events` are what came: headers, raw body, decoded event.
function support.receiver(answer)
  local receiver = { events = {} }
  local function onstream(_, stream)
    local headers = stream:get_headers(5)
    local raw = stream:get_body_as_string(5)
    local event = { headers = headers, raw = raw, json = json.decode_object(raw, true),
      at = cqueues.monotime() }
    receiver.events[#receiver.events + 1] = event
    local status, body, wait
    if answer then
      status, body, wait = answer(event, #receiver.events)
    end
    if wait then
      cqueues.sleep(wait)
    end
    local reply = new_headers()
    reply:append(":status", tostring(status or 200))
    reply:append("content-type", "application/json")
    if stream:write_headers(reply, false, 1) then
      stream:write_body_from_string(body or '{"code":0,"message":""}', 1)
    end
  end
  receiver.server = assert(http_server.listen { host = "127.0.0.1", port = 0, tls = false,
    cq = loop, onstream = onstream, onerror = function() end })
  assert(receiver.server:listen(5))
  local _, _, port = receiver.server:localname()
  receiver.url = "http://127.0.0.1:" .. string.format("%d", port) .. "/hook"
  function receiver.of(action)
    local result = {}
    for _, event in ipairs(receiver.events) do
      if event.json.action == action then
        result[#result + 1] = event
      end
    end
    return result
  end
  function receiver.wait(action, count)
    support.wait(function() return #receiver.of(action) >= count end)
    return receiver.of(action)
  end
  return receiver
end

return support
