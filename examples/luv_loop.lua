-- One loop of libuv that issues a card and answers the platform's callbacks meanwhile.
--
--     keysecure emulator --callback-url http://127.0.0.1:8788/ &
--     KEYSECURE_ENVIRONMENT=emulator lua examples/luv_loop.lua [PORT]
--
-- Calls are made in functions given to ks:spawn, or with { done = fn }. The loop does the rest by
-- itself; nobody calls ks:step. The HTTP server here is as small as can be and for this example
-- alone.
local keysecure = require "keysecure"
local uv = require "luv"

local ks = assert(keysecure.from_env { mode = "credit", host = "luv" })
local hook = ks:webhook()
local port = tonumber(arg[1]) or 8788
local share = os.getenv "SUMSUB_SHARE_TOKEN" or "share-token"
local run = os.date "!%Y%m%d%H%M%S"

local MAX_REQUEST = 128 * 1024 -- bytes

-- Callbacks ------------------------------------------------------------------------------------

local issued, server, card, failed = {}, nil, nil, false

local function finish(message)
  print(message)
  ks:close()
  server:close()
end

local function finish_when_told()
  if card and issued[card.card_no] then
    finish "issued, and told of by callback"
  end
end

hook:on("Card_update", function(event)
  print("callback  card " .. event.data.card_no .. " is " .. event.data.after_status)
  issued[event.data.card_no] = true
  finish_when_told()
end)

-- Headers and body, once all of it is here.
local function parse(text)
  local head, body = text:match "^(.-\r\n)\r\n(.*)$"
  local headers = {}
  for name, value in (head or ""):gmatch "([^\r\n:]+):%s*([^\r\n]*)\r\n" do
    headers[name] = value
    headers.length = name:lower() == "content-length" and tonumber(value) or headers.length
  end
  if head and headers.length and #body >= headers.length then
    local length = headers.length
    headers.length = nil
    return headers, body:sub(1, length)
  end
end

local function reply(client, status, text, headers)
  local lines = { "HTTP/1.1 " .. string.format("%d", status) .. " -",
    "Content-Length: " .. #text, "Connection: close" }
  for name, value in pairs(headers) do
    lines[#lines + 1] = name .. ": " .. value
  end
  client:write(table.concat(lines, "\r\n") .. "\r\n\r\n" .. text, function()
    client:close()
  end)
end

local function serve(client)
  local received = ""
  client:read_start(function(err, chunk)
    received = received .. (chunk or "")
    if err or not chunk or #received > MAX_REQUEST then
      return client:close()
    end
    local headers, body = parse(received)
    if headers then
      client:read_stop()
      reply(client, hook:answer(headers, body))
    end
  end)
end

server = uv.new_tcp()
assert(server:bind("127.0.0.1", port))
assert(server:listen(16, function(err)
  assert(not err, err)
  local client = uv.new_tcp()
  server:accept(client)
  serve(client)
end))

-- Issuing --------------------------------------------------------------------------------------

local must = keysecure.assert

ks:spawn(function()
  local holder = must(ks.cardholders:apply {
    cardholder_unique_no = "U-" .. run, sumsub_share_token = share })
  must(holder:wait "Approved")
  local package = must(must(ks.cards:packages { type = "Virtual" })[1], "no package on offer")
  local new = must(holder:apply_card { package_no = package.package_no, card_type = "Virtual",
    card_unique_no = "C-" .. run })
  return must(new:wait "Activated")
end, function(result, err)
  if not result then
    failed = true
    return finish("failed: " .. tostring(err))
  end
  card = result
  print("issued    " .. tostring(card))
  finish_when_told()
end)

uv.run()
os.exit(failed and 1 or 0)
