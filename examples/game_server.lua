-- A game server: thirty frames a second, players who get a card each and buy things with it, and
-- not one frame that waits for the platform.
--
--     KEYSECURE_ENVIRONMENT=emulator lua examples/game_server.lua [NUMBER]
--
-- The account, SUMSUB_SHARE_TOKEN and NUMBER are as in credit_story.lua. Purchases are rehearsed
-- with the platform's simulations; in production a shop's till would be there instead.
--
-- Under PUC Lua 5.1 a call can't be made inside `pcall` or a `for` iterator, so none is here.
package.path = (arg[0]:match "^.*/" or "./") .. "?.lua;" .. package.path
local core = require "keysecure.core"
local keysecure = require "keysecure"
local story = require "support.story"

local must = story.must

local FRAME = 1 / 30 -- seconds
local BUDGET = 0.004 -- of a frame, for everything that has to do with cards
local LAST_FRAME = 30 * 60 -- a minute: the shop ought to be empty by then
local GOODS = { { "sword", "12.50" }, { "potion", "0.99" }, { "horse", "40.00" } }

local ks = must(keysecure.from_env { mode = "credit", host = "tick" })
local run = story.run_name()

local game = { frame = 0, cards = 0, purchases = 0, failures = 0 }

local function say(format, ...)
  print(string.format("frame %4d  " .. format, game.frame, ...))
  io.stdout:flush()
end

-- What the platform does for players -----------------------------------------------------------
-- These run as coroutines beside the frames: every call in them takes many frames, and no frame
-- waits for it.

local function open_account(player)
  local holder = must(ks.cardholders:apply {
    cardholder_unique_no = "U-" .. run .. "-" .. player.name,
    sumsub_share_token = story.share_token() })
  must(holder:wait "Approved")
  local package = must(must(ks.cards:packages { type = "Virtual" })[1], "no package on offer")
  local card = must(holder:apply_card { package_no = package.package_no, card_type = "Virtual",
    card_unique_no = "C-" .. run .. "-" .. player.name })
  must(card:wait "Activated")
  must(holder:transfer { type = "In", balance = "100.00",
    transfer_unique_no = "T-" .. run .. "-" .. player.name })
  return card
end

local function pay(player, price)
  local purchase = must(ks.simulate:auth { card_no = player.card.card_no, amount = price,
    local_currency = "USD" })
  must(ks.simulate:consumption_clear { consume_no = purchase.consume_no })
  return must(ks.consumptions:info { consume_no = purchase.consume_no })
end

-- The game -------------------------------------------------------------------------------------

-- What became of it is told by `done`, inside a later frame; errors come there as well.
local function told(player, what, on_success)
  return function(value, err)
    player.busy = false
    if value == nil then
      game.failures = game.failures + 1
      return say("%-5s %s failed: %s", player.name, what, tostring(err))
    end
    on_success(value)
  end
end

local function join(player)
  player.busy = true
  ks:spawn(open_account, told(player, "the account", function(card)
    player.card = card
    game.cards = game.cards + 1
    say("%-5s has a %s", player.name, tostring(card))
  end), player)
end

local function buy(player, item, price)
  player.busy, player.bought = true, player.bought + 1
  ks:spawn(pay, told(player, item, function(use)
    game.purchases = game.purchases + 1
    say("%-5s bought a %s: %s", player.name, item, tostring(use))
  end), player, price)
end

local players = {}
for i, name in ipairs { "anna", "bob", "cleo", "dirk", "eve" } do
  players[i] = { name = name, joins_at = i * 6, bought = 0, x = 0 }
end

local function is_done(player)
  return not player.busy and player.joined and (player.bought == #GOODS or not player.card)
end

-- What a frame is for: moving what moves, and letting players act.
local function play()
  local all_done = true
  for _, player in ipairs(players) do
    player.x = player.x + math.sin(game.frame / 10)
    if not player.joined and game.frame >= player.joins_at then
      player.joined = true
      join(player)
    elseif player.card and not player.busy and player.bought < #GOODS then
      local good = GOODS[player.bought + 1]
      buy(player, good[1], good[2])
    end
    all_done = all_done and is_done(player)
  end
  return not all_done
end

local worst_frame, worst_step = 0, 0
local began = core.seconds()

print("A game of five players, each with a card\n")
repeat
  local started = core.seconds()
  game.frame = game.frame + 1
  local goes_on = play()

  local before = core.seconds()
  ks:step(BUDGET)
  worst_step = math.max(worst_step, core.seconds() - before)
  worst_frame = math.max(worst_frame, core.seconds() - started)

  core.sleep(math.max(0, began + game.frame * FRAME - core.seconds()) * 1000)
until not goes_on or game.frame == LAST_FRAME

ks:close()
print(string.format("\n%d cards, %d purchases, %d failures in %d frames of %.1f ms",
  game.cards, game.purchases, game.failures, game.frame, FRAME * 1000))
print(string.format("the worst frame took %.1f ms, of which cards at most %.1f ms",
  worst_frame * 1000, worst_step * 1000))
os.exit(game.failures == 0 and game.purchases == #players * #GOODS and 0 or 1)
