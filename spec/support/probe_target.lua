-- Endpoints to probe, good and bad, in a process of their own: /good is a webhook of the library,
-- the others each have one fault. Prints its port.
local core = require "keysecure.core"
local cqueues = require "cqueues"
local http_server = require "http.server"
local new_headers = require "http.headers".new
local webhook = require "keysecure.webhook"

local hook = assert(webhook.new { api_key = "app", api_secret = "0123456789abcdef",
  on_refused = function() end })
hook:on("Auth", function(event)
  return event.data.card_no ~= "C-bad"
end)

local asked, stalled = 0, false

local ENDPOINTS = {
  ["/good"] = function(headers, body)
    return hook:answer(headers, body)
  end,
  ["/trusting"] = function()
    return 200, '{"code":0,"message":""}'
  end,
  ["/moody"] = function(headers, body)
    local status, text = hook:answer(headers, body)
    asked = asked + 1
    return status, status == 200 and '{"code":' .. asked % 2 .. '}' or text
  end,
  ["/page"] = function(headers, body)
    local status = hook:answer(headers, body)
    return status, "<html>"
  end,
  ["/broken"] = function(headers, body)
    local status, text = hook:answer(headers, body)
    return status == 200 and 500 or status, text
  end,
  ["/slow"] = function(headers, body)
    cqueues.sleep(0.05)
    return hook:answer(headers, body)
  end,
  ["/stalling"] = function(headers, body)
    if not stalled then
      stalled = true
      core.sleep(400) -- everybody waits, as where a handler blocks
    end
    return hook:answer(headers, body)
  end,
}

local function onstream(_, stream)
  local headers = stream:get_headers(5)
  local body = headers and stream:get_body_as_string(5)
  if not body then
    return
  end
  local status, text = ENDPOINTS[headers:get ":path"](headers, body)
  local reply = new_headers()
  reply:append(":status", tostring(status))
  stream:write_headers(reply, false, 5)
  stream:write_body_from_string(text, 5)
end

local server = assert(http_server.listen { host = "127.0.0.1", port = 0, tls = false,
  onstream = onstream, onerror = function() end })
assert(server:listen(5))
print(string.format("%d", (select(3, server:localname()))))
io.stdout:flush()
assert(server:loop())
