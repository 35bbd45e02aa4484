-- One loop of cqueues that issues a card and answers the platform's callbacks meanwhile.
--
--     keysecure emulator --callback-url http://127.0.0.1:8788/ &
--     KEYSECURE_ENVIRONMENT=emulator lua examples/cqueues_loop.lua [PORT]
--
-- Calls are made in coroutines of the controller and suspend those alone: while one waits for its
-- answer, the server takes callbacks.
local cqueues = require "cqueues"
local http_server = require "http.server"
local keysecure = require "keysecure"
local new_headers = require "http.headers".new

local ks = assert(keysecure.from_env { mode = "credit", host = "cqueues" })
local hook = ks:webhook()
local loop, port = cqueues.new(), tonumber(arg[1]) or 8788
local share = os.getenv "SUMSUB_SHARE_TOKEN" or "share-token"
local run = os.date "!%Y%m%d%H%M%S"

-- Callbacks ------------------------------------------------------------------------------------

local issued = {} -- card -> true, once the platform has told so
hook:on("Card_update", function(event)
  print("callback  card " .. event.data.card_no .. " is " .. event.data.after_status)
  issued[event.data.card_no] = true
end)

local function serve(_, stream)
  local headers = stream:get_headers(5)
  local body = headers and stream:get_body_as_string(5)
  if not body then
    return
  end
  local status, text, more = hook:answer(headers, body)
  local reply = new_headers()
  reply:append(":status", string.format("%d", status))
  for name, value in pairs(more) do
    reply:append(name:lower(), value)
  end
  stream:write_headers(reply, false, 5)
  stream:write_body_from_string(text, 5)
end

local server = assert(http_server.listen { host = "127.0.0.1", port = port, tls = false, cq = loop,
  reuseaddr = true, onstream = serve,
  onerror = function(_, _, what, err) io.stderr:write(what, ": ", tostring(err), "\n") end })
assert(server:listen())

-- Issuing --------------------------------------------------------------------------------------

local must = keysecure.assert

local function issue(number)
  local unique = run .. "-" .. number
  local holder = must(ks.cardholders:apply {
    cardholder_unique_no = "U-" .. unique, sumsub_share_token = share })
  must(holder:wait "Approved")
  local package = must(must(ks.cards:packages { type = "Virtual" })[1], "no package on offer")
  local card = must(holder:apply_card { package_no = package.package_no, card_type = "Virtual",
    card_unique_no = "C-" .. unique })
  must(card:wait "Activated")
  print("issued    " .. tostring(card))
  return card
end

local failed = false
loop:wrap(function()
  local cards, failures = ks:parallel(3, { 1, 2, 3 }, issue)
  for number, err in pairs(failures or {}) do
    print("card " .. number .. " failed: " .. tostring(err))
  end
  -- The callbacks of all of them ought to have come, or to come any moment.
  local deadline = cqueues.monotime() + 3
  for _, card in pairs(cards) do
    while not issued[card.card_no] and cqueues.monotime() < deadline do
      cqueues.sleep(0.01)
    end
    failed = failed or not issued[card.card_no]
  end
  failed = failed or failures ~= nil
  ks:close()
  server:close()
  print(failed and "something is missing" or "all cards issued, and told of by callback")
end)
assert(loop:loop())
os.exit(failed and 1 or 0)
