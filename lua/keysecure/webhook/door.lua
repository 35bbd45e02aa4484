--- Who may come in: a request becomes an event, or is refused.
--
-- Nothing of the body is looked at before its signature is proven; what is told to a stranger is
-- one of a few fixed texts. The true reason is for the operator alone.
local decision = require "keysecure.webhook.decision"
local event_of = require "keysecure.webhook.event"

local door = {}

---@class keysecure.webhook.Refusal
---@field status integer  of HTTP, 4xx
---@field reason string   for the operator

local TOLD = {
  [400] = "malformed", [401] = "not authentic", [405] = "POST only", [408] = "too slow",
  [409] = "seen before", [413] = "too large", [415] = "JSON only",
}

local STAMP_MAX = 16 -- digits; a real one has 13
local NAME_MAX = 128 -- bytes of an id or an action

local function refuse(status, reason)
  return nil, { status = status, reason = reason }
end

--- A refusal with one of the statuses above.
---@param status integer
---@param reason string
---@return keysecure.webhook.Refusal
function door.refusal(status, reason)
  return { status = status, reason = reason }
end

--- What a stranger gets to see of a refusal.
---@param refusal keysecure.webhook.Refusal
---@return integer status
---@return string body
---@return table headers
function door.answer(refusal)
  local headers = { ["Content-Type"] = "application/json" }
  if refusal.status == 405 then
    headers.Allow = "POST"
  end
  return refusal.status, decision.body(refusal.status, TOLD[refusal.status]), headers
end

-- Headers --------------------------------------------------------------------------------------

local WANTED = {
  timestamp = true, signature = true, ["sign-version"] = true, ["content-type"] = true,
  [":method"] = true,
}

-- lua-http keeps headers in an object.
local function of_object(headers)
  local found = {}
  for name in pairs(WANTED) do
    local values = headers:get_as_sequence(name)
    if values.n > 1 then
      return { twice = name }
    end
    found[name] = values[1]
  end
  return found
end

-- A plain table: names in any case, a list where a header came more than once.
local function of_table(headers)
  local found = {}
  for given, value in pairs(headers) do
    local name = type(given) == "string" and given:lower()
    if WANTED[name] then
      if found[name] ~= nil or type(value) == "table" and #value ~= 1 then
        return { twice = name }
      end
      found[name] = type(value) == "table" and value[1] or value
    end
  end
  return found
end

---@class keysecure.webhook.Headers  those that count, by lower-case name
---@field twice? string  one that came more than once

--- Picks out the headers that count.
---@param headers table  of lua-http; or names in any case and texts, a list where one came more
---  than once
---@return keysecure.webhook.Headers
function door.collect(headers)
  if type(headers.get_as_sequence) == "function" then
    return of_object(headers)
  end
  return of_table(headers)
end

local function is_json(content_type)
  if content_type == nil or content_type == "application/json" then
    return true
  end
  local kind = type(content_type) == "string" and content_type:match("^%s*([^;%s]+)")
  return kind and kind:lower() == "application/json"
end

local function check_headers(found)
  local method, stamp = found[":method"], found.timestamp
  if found.twice then
    return refuse(400, found.twice .. " came more than once")
  elseif method ~= nil and method ~= "POST" then
    return refuse(405, "the method is not POST")
  elseif not is_json(found["content-type"]) then
    return refuse(415, "the Content-Type is not application/json")
  elseif type(stamp) ~= "string" or not stamp:find("^%d+$") or #stamp > STAMP_MAX then
    return refuse(400, stamp == nil and "no Timestamp" or "the Timestamp is no number")
  elseif type(found.signature) ~= "string" then
    return refuse(400, "no Signature")
  elseif found["sign-version"] ~= nil and found["sign-version"] ~= "V1" then
    return refuse(400, "the Sign-Version is not V1")
  end
  return true
end

-- Body -----------------------------------------------------------------------------------------

local function is_name(value)
  return type(value) == "string" and value ~= "" and #value <= NAME_MAX
end

-- Both ways: a moment far ahead would stay good for as long.
local function check_moment(hook, stamp)
  local earliest, latest = hook:server_time()
  if stamp < earliest - hook.options.max_age * 1000 then
    return refuse(401, "the Timestamp is too old")
  elseif stamp > latest + hook.options.max_ahead * 1000 then
    return refuse(401, "the Timestamp is in the future")
  end
  return true
end

local function read(hook, found, body)
  local data, raw, id, action = hook.verifier:read(body, found.signature, found.timestamp)
  if not data then
    return refuse(id == "data" and 400 or 401, raw)
  end
  local stamp = tonumber(found.timestamp)
  local ok, refusal = check_moment(hook, stamp)
  if not ok then
    return nil, refusal
  elseif not is_name(id) or not is_name(action) then
    return refuse(400, "no usable id or action")
  end
  return event_of { id = id, action = action, data = data, raw_data = raw, timestamp = stamp,
    signature = found.signature, received_at = 0, started = 0, deadline = 0 }
end

--- Reads a request.
---@param hook keysecure.Webhook
---@param headers keysecure.webhook.Headers
---@param body string
---@return keysecure.webhook.Event|nil
---@return keysecure.webhook.Refusal|nil
function door.open(hook, headers, body)
  local ok, refusal = check_headers(headers)
  if not ok then
    return nil, refusal
  elseif #body > hook.options.max_body then
    return refuse(413, "the body is too large")
  end
  return read(hook, headers, body)
end

return door
