-- A webhook in one file: takes the platform's callbacks, believes only what is signed, decides
-- purchases by a rule of its own, and tells what came.
--
--     KEYSECURE_ENVIRONMENT=emulator KEYSECURE_MODE=authorization \
--       lua examples/callback_receiver.lua [PORT]
--
-- It listens on this machine, on port 8788 or the one you give (0 takes a free one). To be asked,
-- it has to be where the merchant's callbacks go: for the emulator that is
-- `keysecure emulator --callback-url http://127.0.0.1:8788/`.
--
-- With --with-parent it ends when its standard input does: so the demo never leaves one behind.
local describe = require "keysecure.webhook.describe"
local money = require "keysecure.money"
local webhook = require "keysecure.webhook"

local LIMIT = "50.00"

local function say(line)
  print(line)
  io.stdout:flush()
end

local function give_up(why)
  io.stderr:write("callback_receiver: ", tostring(why), "\n")
  os.exit(1)
end

local hook, err = webhook.from_env {
  journal = function(entry) say(describe(entry)) end,
  on_refused = function(reason) say("refused      " .. reason) end,
}
if not hook then
  give_up(err)
end

-- What is no plain decimal amount is none that this rule allows.
hook:on("Auth", function(event)
  local amount = event.data.amount
  if money.is(amount) and money.compare(amount, LIMIT) <= 0 then
    return true
  end
  return false, "the limit is " .. LIMIT
end)

hook:on("*", function() end) -- whatever else: it has been told, and that is all

local listening, server = pcall(require, "keysecure.webhook.server")
if not listening then
  give_up(server)
end
server, err = server.listen { hook = hook, port = tonumber(arg[1]) or 8788 }
if not server then
  give_up(err)
end
if arg[2] == "--with-parent" then
  server.loop:wrap(function()
    require("cqueues").poll { pollfd = 0, events = "r" }
    os.exit(0)
  end)
end
say("listening on " .. server.url)
assert(server:run())
