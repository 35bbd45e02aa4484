--- One POST to a merchant's webhook, within a time limit.
local needs = require "keysecure.emulator.needs"
local http_request = needs "http.request"
local monotime = needs "cqueues".monotime

local webhook = {}

local MAX_REPLY = 65536

local function build(url, headers, body)
  local request = http_request.new_from_uri(url)
  request.follow_redirects = false
  request.proxies = false
  request.hsts = false
  request.cookie_store = false
  request.headers:upsert(":method", "POST")
  request.headers:upsert("content-type", "application/json")
  for name, value in pairs(headers) do
    request.headers:upsert(name, value)
  end
  request:set_body(body)
  request.headers:delete("expect")
  return request
end

--- Posts and waits for the whole answer.
---@param url string
---@param headers table<string, string>
---@param body string
---@param timeout number         seconds for everything
---@return integer|nil status
---@return string reply_or_reason  the answer's body; why there is none, where `status` is nil
function webhook.post(url, headers, body, timeout)
  local deadline = monotime() + timeout
  local ok, request = pcall(build, url, headers, body)
  if not ok then
    return nil, "callback_url is not usable"
  end
  local answer, stream = request:go(timeout)
  if not answer then
    return nil, monotime() >= deadline and "no answer in time" or tostring(stream)
  end
  local reply = stream:get_body_chars(MAX_REPLY, math.max(0, deadline - monotime()))
  stream:shutdown()
  if monotime() >= deadline then
    return nil, "no answer in time"
  end
  return tonumber(answer:get(":status")), reply or ""
end

return webhook
