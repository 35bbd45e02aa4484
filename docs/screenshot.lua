--- Writes docs/page.png, the picture in the README of the emulator's page, with people, cards and
--- purchases made for it (needs chromium and chromedriver):
--
--     ./dev lua docs/screenshot.lua [FILE [WIDTH HEIGHT [dark]]]
local browser = require "spec.support.browser"
local emulator = require "keysecure.emulator"
local keysecure = require "keysecure"
local receivers = require "examples.support.receiver"

local function client(running, mode)
  local keys = running.merchants[mode]
  return assert(keysecure.new { address = running.address, api_key = keys.api_key,
    api_secret = keys.api_secret, mode = mode })
end

local function issue(ks, number, product, count)
  local holder = assert(ks.cardholders:apply { cardholder_unique_no = number,
    sumsub_share_token = "share" })
  local cards = {}
  for i = 1, count do
    cards[i] = assert(holder:apply_card { card_type = "Virtual",
      card_unique_no = number:gsub("^U", "C") .. "-" .. i, package_no = product.package_no,
      card_bin_no = product.card_bin_no })
  end
  return holder, cards
end

local function buy(ks, card, amount, shop)
  return assert(ks.simulate:auth { card_no = card.card_no, amount = amount, local_currency = "USD",
    merchant_info = { merchant_name = shop } }).consume_no
end

local function authorization_mode(ks)
  local _, cards = issue(ks, "U-2001", { card_bin_no = "B-1" }, 1)
  local coffee = buy(ks, cards[1], "12.50", "Corner Coffee")
  assert(ks.simulate:consumption_clear { consume_no = coffee })
  buy(ks, cards[1], "80.00", "Grand Hotel")
end

local function credit_mode(ks)
  assert(ks.cardholders:apply { cardholder_unique_no = "U-1002", sumsub_share_token = "reject" })
  local holder, cards = issue(ks, "U-1001", { package_no = "P-1" }, 2)
  assert(holder:transfer { type = "In", balance = "250.00", transfer_unique_no = "T-1001" })
  assert(cards[1]:freeze())
  local books = buy(ks, cards[2], "42.90", "Bookshop by the Bridge")
  assert(ks.simulate:consumption_clear { consume_no = books })
  assert(ks.simulate:refund { consume_no = books, amount = "12.90" })
  buy(ks, cards[2], "19.99", "Night Train")
end

local function save(base64, path)
  local pipe = assert(io.popen("base64 -d >'" .. path .. "'", "w"))
  pipe:write(base64)
  pipe:close()
end

local function picture(running, path, width, height, scheme)
  local seen = browser.start()
  seen:resize(width, height, width < 600)
  seen:color(scheme)
  seen:open(running.address .. "/")
  seen:wait_text("#purchases", "Night Train")
  seen:wait_text("#callbacks", "delivered")
  save(seen:screenshot(), path)
  seen:stop()
end

local receiver = receivers.start(0, { KEYSECURE_ENVIRONMENT = "emulator",
  KEYSECURE_MODE = "authorization" })
local running = assert(emulator.start { kyc_delay = 0, issue_delay = 0,
  merchants = { authorization = { callback_url = receiver.url } } })
authorization_mode(client(running, "authorization"))
credit_mode(client(running, "credit"))
picture(running, arg[1] or "docs/page.png", tonumber(arg[2]) or 1280, tonumber(arg[3]) or 800,
  arg[4] or "light")
running:stop()
receiver:stop()
