--- The control endpoints, `/_emulator/…`: for tests and people at this machine, never for a client.
--
-- They answer plain JSON, without the platform's envelope; a refusal is HTTP 400 (403, 404, 405)
-- with {"error": …}. Only callers on loopback that address a loopback name are let in: a web page
-- from elsewhere gets nowhere, nor does one that points a name of its own at this machine.
local protected = require "keysecure.emulator.needs" "http.util".yieldable_pcall
local api = require "keysecure.api"
local datetime = require "keysecure.datetime"
local faults = require "keysecure.emulator.faults"
local json = require "keysecure.emulator.json"
local options = require "keysecure.emulator.options"
local store = require "keysecure.emulator.store"

local control = {}

local PREFIX = "/_emulator/"

local function fail(status, message)
  return { status = status, body = json.encode { error = message } }
end

local function answer(value)
  return { status = 200, body = json.encode(value) }
end

local DONE = { ok = true }

-- Rows without what nobody should see and what is of no use outside.
local HIDDEN = { pan = true, cvv = true, exp_year = true, exp_month = true, pin = true,
  fee_detail = true, due = true }

local function visible(row)
  local result = {}
  for name, value in pairs(row) do
    if not HIDDEN[name] then
      result[name] = value
    end
  end
  return result
end

local endpoints = {}

endpoints["GET health"] = function()
  return answer { ok = true, base = api.base }
end

endpoints["GET stats"] = function(platform)
  return answer(platform.stats:snapshot())
end

endpoints["GET state"] = function(platform)
  local result, counts = {}, {}
  for _, name in ipairs(store.tables) do
    local rows = json.array {}
    for i, row in ipairs(platform.store:rows(name)) do
      rows[i] = visible(row)
    end
    result[name], counts[name] = rows, #rows
  end
  result.counts = counts
  return answer(result)
end

endpoints["GET callbacks"] = function(platform)
  return answer { callbacks = json.array(platform.callbacks:log()) }
end

-- What is printed on a card: the one place that shows it, so that a script can activate a physical
-- card as its holder would, with the card in hand.
endpoints["GET card"] = function(platform, _, card_no)
  local card = platform.store:find("cards", "card_no", card_no or "")
  if not card then
    return fail(404, "no such card")
  end
  return answer { card_no = card.card_no, pan = card.pan, cvv = card.cvv,
    exp_year = card.exp_year, exp_month = card.exp_month, card_last_no = card.card_last_no }
end

local function merchant_view(merchant)
  local result = {}
  for _, option in ipairs(options.merchant) do
    if not option.secret then
      result[option.name] = merchant[option.name]
    end
  end
  for _, name in ipairs { "ip_whitelist", "parent_origins" } do
    result[name] = merchant[name] and json.array(merchant[name])
  end
  return result
end

endpoints["GET config"] = function(platform)
  local result = {}
  for _, option in ipairs(options.global) do
    result[option.name] = platform.config[option.name]
  end
  result.merchants = {}
  for name, merchant in pairs(platform.merchants.by_name) do
    result.merchants[name] = merchant_view(merchant)
  end
  return answer(result)
end

-- `null` takes an option away, as `false` does from Lua.
local function nulls_to_false(values)
  for name, value in pairs(values) do
    if value == json.null then
      values[name] = false
    elseif type(value) == "table" then
      nulls_to_false(value)
    end
  end
  return values
end

endpoints["POST config"] = function(platform, body)
  local changes = nulls_to_false(body)
  local fault = options.config_fault(changes, platform.merchants.by_name, true)
  if fault then
    return fail(400, fault)
  end
  platform:configure(changes)
  return answer(DONE)
end

-- The clock ------------------------------------------------------------------------------------

local function clock_view(platform)
  local clock = platform.clock
  return answer { now = clock:now(), life = clock:life(), advanced = clock.advanced / 1000,
    skew = platform.config.clock_offset }
end

endpoints["GET clock"] = clock_view

local LONGEST_JUMP = 3660 * 86400 -- seconds; a card's monthly fees are paid one by one on the way

-- The moment to go to, by the clock's life.
local function destination(clock, body)
  local now = clock:life()
  local target = now
  if type(body.set) == "string" then
    local seconds = datetime.parse(body.set, api.default_timezone)
    target = seconds and seconds * 1000
  elseif body.set ~= nil then
    target = type(body.set) == "number" and body.set or nil
  end
  if not target then
    return nil, "set is a date yyyy-MM-dd[ HH:mm:ss] or milliseconds"
  elseif type(body.advance or 0) ~= "number" then
    return nil, "advance is a number of seconds"
  end
  target = math.floor(target + (body.advance or 0) * 1000)
  if target < now then
    return nil, "time moves forward only; skew sets the clock wrong"
  elseif target - now > LONGEST_JUMP * 1000 then
    return nil, "too far: ten years at a time"
  end
  return target
end

local function clock_fault(body)
  for name in pairs(body) do
    if name ~= "advance" and name ~= "set" and name ~= "skew" then
      return "no such field: " .. tostring(name)
    end
  end
  return body.skew ~= nil and options.config_fault({ clock_offset = body.skew }, {}, true) or nil
end

endpoints["POST clock"] = function(platform, body)
  local fault, target = clock_fault(body), nil
  if not fault then
    target, fault = destination(platform.clock, body)
  end
  if fault then
    return fail(400, fault)
  elseif body.advance or body.set then
    platform:travel(target)
  end
  if body.skew then
    platform:skew(body.skew)
  end
  return clock_view(platform)
end

-- Breaking ------------------------------------------------------------------------------------

endpoints["GET faults"] = function(platform)
  return answer { faults = json.array(platform.faults.list) }
end

endpoints["POST faults"] = function(platform, body)
  local fault = faults.fault(body)
  if fault then
    return fail(400, fault)
  end
  platform.faults:add(body)
  return answer(DONE)
end

endpoints["DELETE faults"] = function(platform)
  platform.faults:clear()
  return answer(DONE)
end

endpoints["POST tokens/expire"] = function(platform)
  platform.merchants:expire_tokens()
  return answer(DONE)
end

endpoints["POST reset"] = function(platform)
  platform:reset()
  return answer(DONE)
end

-- Finding the endpoint ------------------------------------------------------------------------

local METHODS = { "GET", "POST", "DELETE" }

local function exists_with_another_method(path)
  for _, method in ipairs(METHODS) do
    if endpoints[method .. " " .. path] then
      return true
    end
  end
  return false
end

local LOOPBACK_PEERS = { ["127.0.0.1"] = true, ["::1"] = true, ["::ffff:127.0.0.1"] = true }
local LOOPBACK_NAMES = { ["127.0.0.1"] = true, ["localhost"] = true, ["[::1]"] = true }

local function is_loopback_name(authority)
  return LOOPBACK_NAMES[authority:gsub(":%d+$", "")]
end

--- Whether a request comes from this machine and means it: see above.
---@param request table
---@return boolean
function control.is_local(request)
  local origin = request.header "origin"
  return LOOPBACK_PEERS[request.peer] and is_loopback_name(request.header ":authority" or "")
    and (not origin or is_loopback_name((origin:gsub("^https?://", ""))))
end

--- The JSON object that a request brings; an empty one where it brings nothing.
---@param request table
---@return table|nil
function control.read_body(request)
  if request.method ~= "POST" or request.body == "" then
    return {}
  elseif not (request.header "content-type" or ""):lower():find("^application/json") then
    return nil
  end
  return json.decode_object(request.body, true)
end

local function perform(platform, request)
  local path = request.target:match("^[^?#]*"):sub(#PREFIX + 1)
  local endpoint, rest = endpoints[request.method .. " " .. path], nil
  if not endpoint then
    local parent, last = path:match("^(.+)/([%w%-_]+)$")
    endpoint, rest = endpoints["GET card"], last
    if parent ~= "card" or request.method ~= "GET" then
      return exists_with_another_method(path) and fail(405, "method not allowed")
        or fail(404, "no such endpoint")
    end
  end
  local body = control.read_body(request)
  if not body then
    return fail(400, "the body must be a JSON object (Content-Type: application/json)")
  end
  return endpoint(platform, body, rest)
end

--- Whether a request's target is a control endpoint.
---@param target string
---@return boolean
function control.is_mine(target)
  return target:sub(1, #PREFIX) == PREFIX
end

---@param platform keysecure.emulator.Platform
---@param request table
---@return table response
function control.answer(platform, request)
  local response
  if control.is_local(request) then
    local ok, result = protected(perform, platform, request)
    response = ok and result or fail(500, "the emulator failed")
    if not ok then
      platform.log:failure("control", result)
    end
  else
    response = fail(403, "control endpoints answer to this machine only")
  end
  response.name = "control"
  return response
end

return control
