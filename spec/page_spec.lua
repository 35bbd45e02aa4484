-- The emulator's page in a real Chromium: somebody issues a card, buys, clears, refunds and breaks
-- things, by clicks, while the page is never loaded again.
local browser = require "spec.support.browser"
local command = require "spec.support.command"
local receivers = require "examples.support.receiver"
local support = require "spec.support.client"

-- What a browser shows does not depend on the Lua that serves it.
if (os.getenv "KS_FLAVOUR" or "lua54") ~= "lua54" then
  return
end

local ENTER, ESCAPE, TAB = "\238\128\135", "\238\128\140", "\238\128\132" -- of WebDriver

describe("the page in a browser #plain", function()
  local world, seen

  setup(function()
    world = support.start { kyc_delay = 0.05, issue_delay = 0.05 }
    seen = browser.start()
  end)
  teardown(function()
    if seen then
      seen:stop()
    end
    world:stop()
  end)

  before_each(function()
    world:control("POST", "reset")
    seen:resize(1280, 900)
    seen:console() -- what came of the page before this one
    seen:requested()
    seen:open(world.address .. "/")
    seen:wait_text("#live.on", "live")
    seen:run "window.marker = 'first load'"
  end)

  -- Never loaded again, nothing to complain about, nobody else asked.
  after_each(function()
    assert.equal("first load", seen:run "return window.marker")
    for _, entry in ipairs(seen:console()) do
      error(entry.level .. " " .. entry.message, 0)
    end
    local urls = seen:requested()
    for _, url in ipairs(urls) do
      assert.equal(world.address .. "/", url:sub(1, #world.address + 1))
    end
  end)

  local function new_holder(merchant)
    seen:click "New cardholder"
    if merchant then
      seen:choose("merchant", merchant)
    end
    seen:click "Apply"
    seen:wait_text("#people", "Approved")
  end

  local function new_card(value)
    seen:click "New card"
    if value then
      seen:choose("product", value)
    end
    seen:click "Apply"
  end

  local function buy(amount, shop)
    seen:click "Buy"
    seen:fill("amount", amount)
    seen:fill("shop", shop)
    seen:click("Buy", "//dialog")
  end

  it("says what to do where there is nothing yet", function()
    local people = seen:text "#people .empty"
    assert.matches("Press New cardholder", people)
    assert.matches("keysecure cardholders apply \\\n +%-%-cardholder%-unique%-no U%-1001", people)
    assert.matches("%-%-address " .. world.address:gsub("[%.%-]", "%%%0"), people)
    assert.matches("keysecure simulate auth", (seen:text "#purchases .empty"))
    assert.matches("keysecure emulator %-%-callback%-url", (seen:text "#callbacks .empty"))
    assert.matches("Nothing is broken", (seen:text "#break .empty"))
  end)

  it("names commands that do what it says", function()
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write("keysecure() { '", command.interpreter(), "' bin/keysecure \"$@\"; }\n",
      seen:text "#people .empty pre", "\n")
    file:close()
    local pipe = assert(io.popen("sh " .. path .. " 2>&1"))
    local said = pipe:read "*a"
    pipe:close()
    os.remove(path)
    assert.matches("cardholder_unique_no +U%-1001", said)
    seen:wait_text("#people", "U-1001")
    seen:wait_text("#people", "Approved")
  end)

  it("issues a card, buys, clears and refunds, by clicks", function()
    new_holder()
    new_card()
    seen:wait_text("#people .card", "Activated")
    seen:click "Move money"
    seen:click "Move"
    seen:wait_text("#people", "100.00 TUSDT")

    buy("12.50", "Corner Coffee")
    seen:wait_text("#purchases .steps", "Authorized")
    assert.matches("Corner Coffee.*Pending.*12.50", (seen:text "#purchases .item"))
    seen:wait_text("#people", "12.50 held")
    seen:wait_text("#said", "simulate.auth: approved")
    seen:click "Clear"
    seen:wait_text("#purchases .steps", "Cleared")
    seen:wait_text("#people", "87.50 TUSDT")
    seen:click "Refund"
    seen:fill("amount", "2.50")
    seen:click("Refund", "//dialog")
    seen:wait_text("#purchases .steps", "Refunded")
    seen:wait_text("#people", "90.00 TUSDT")

    buy("500.00", "Grand Hotel")
    seen:wait_text("#purchases .item:first-child .steps", "insufficient balance")
    buy("3.00", "Kiosk")
    seen:wait_text("#purchases .item:first-child", "Kiosk")
    seen:click("Fail", "//*[@id='purchases']//li[1]")
    seen:wait_text("#purchases .item:first-child .steps", "Failed")
    buy("4.00", "Bar")
    seen:wait_text("#purchases .item:first-child", "Bar")
    seen:click("Reverse", "//*[@id='purchases']//li[1]")
    seen:click("Reverse", "//dialog")
    seen:wait_text("#purchases .item:first-child .steps", "Reversed")

    local state = world:control("GET", "state")
    assert.equal("90.00", state.cardholders[1].balance)
    assert.equal("0.00", state.cardholders[1].held)
  end)

  it("freezes, unfreezes, and activates a physical card without showing what is on it", function()
    new_holder()
    new_card "P-2 Physical"
    seen:wait_text("#people .card", "To Activate")
    seen:click "Activate"
    seen:wait_text("#people .card", "Activated")
    seen:click "Freeze"
    seen:wait_text("#people .card", "Frozen")
    seen:click "Unfreeze"
    seen:wait_text("#people .card", "Activated")
    local card = world:control("GET", "state").cards[1]
    local plastic = world:control("GET", "card/" .. card.card_no)
    local all = seen:run "return document.documentElement.textContent + JSON.stringify(state)"
    assert.is_truthy(all:find(plastic.card_last_no, 1, true))
    assert.is_nil(all:find(plastic.pan, 1, true))
    assert.is_nil(all:find(plastic.pan:sub(1, 12), 1, true))
    assert.is_nil(all:find('"' .. plastic.cvv .. '"', 1, true))
    for _, merchant in pairs(world.merchants) do
      assert.is_nil(all:find(merchant.api_secret, 1, true))
    end
  end)

  it("shows the merchant's decision, and its callback with request, reply and latency", function()
    local receiver = receivers.start(0, { KEYSECURE_ENVIRONMENT = "emulator",
      KEYSECURE_MODE = "authorization" })
    finally(function() receiver:stop() end)
    seen:click "Set URL"
    seen:fill("url", receiver.url)
    seen:click "Set"
    seen:wait_text("#merchants", "callbacks to " .. receiver.url)
    new_holder "authorization"
    new_card()
    seen:wait_text("#people .card", "Activated")
    buy("12.50", "Corner Coffee")
    seen:wait_text("#purchases .steps", "approved")
    buy("80.00", "Grand Hotel")
    seen:wait_text("#purchases .item:first-child .steps", "Declined")
    assert.matches("Merchant asked.*answered code 1", (seen:text "#purchases .item:first-child"))
    seen:wait_text("#callbacks", "answered code 1")
    seen:click_at "//*[@id='callbacks']//li[last()]//summary"
    local detail = seen:wait_text("#callbacks .item:last-child .detail", "delivered")
    assert.matches("card_no", detail)
    assert.matches("HTTP 200", detail)
    assert.matches('{"code":0,', detail)
    assert.matches("%d+ ms", detail)
    seen:click_at "(//*[@id='callbacks']//summary[contains(.,'Auth')])[last()]"
    seen:wait_text("#callbacks", '"amount": 12.50,')
  end)

  it("breaks the next answer, of its own calls and of a program's", function()
    new_holder()
    seen:choose("operation", "cards.apply")
    seen:choose("answer", "code 1009")
    seen:click "Break it"
    seen:wait_text("#break .list", "1 to come")
    new_card()
    seen:wait_text("#said", "cards.apply: code 1009")
    seen:wait_text("#break", "Nothing is broken")
    assert.equal(0, #world:control("GET", "state").cards)

    seen:choose("operation", "callback Card_update")
    seen:choose("answer", "duplicate true")
    seen:click "Break it"
    seen:wait_text("#break .list", "sent twice")
    assert.equal("Card update callback", (seen:text "#break .list h3"))
    seen:click "Mend all"
    seen:wait_text("#break", "Nothing is broken")

    seen:choose("operation", "cards.packages")
    seen:choose("answer", "code 4010")
    seen:choose("times", "always")
    seen:click "Break it"
    seen:wait_text("#break .list", "always")
    support.refused({ code = 4010 }, world.ks.cards:packages())
    seen:click "Mend all"
    seen:wait_text("#break", "Nothing is broken")
    assert(world.ks.cards:packages())
  end)

  it("shows what a program does, as it does it, and takes text for text", function()
    local text = "<img src=x onerror=\"document.title='run'\"><b>&amp;"
    local holder = assert(world.ks.cardholders:apply { cardholder_unique_no = text,
      sumsub_share_token = "share" })
    seen:wait_text("#people", text)
    assert(holder:wait "Approved")
    assert(holder:apply_card { card_type = "Virtual", package_no = "P-1",
      card_unique_no = "<script>document.title='run'</script>" }):wait "Activated"
    seen:wait_text("#people", "<script>document.title='run'</script>")
    assert(holder:transfer { type = "In", balance = "9.00", transfer_unique_no = text })
    local card = holder:cards(support.window())()
    assert(world.ks.simulate:auth { card_no = card.card_no, amount = "1.00",
      merchant_info = { merchant_name = text } })
    seen:wait_text("#purchases h3", text)
    assert.equal("KeySecure emulator", seen:run "return document.title")
    assert.equal(0, seen:run "return document.querySelectorAll('img, section b > *').length")
    assert.equal(1, seen:run "return document.scripts.length")
    -- What is written as markup is refused by the browser itself.
    assert.is_true(seen:run("try { document.body.innerHTML = '<b>x</b>'; return false }"
      .. " catch { return true }"))
    seen:console()
  end)

  it("shows one merchant alone", function()
    world:holder()
    world:holder(world.authorization)
    seen:wait_for "return document.querySelectorAll('#people .item').length === 2"
    seen:click_at "//*[@id='merchants']//button[contains(.,'emulator-credit')]"
    seen:wait_for "return document.querySelectorAll('#people .item').length === 1"
    seen:click_at "//*[@id='merchants']//button[contains(.,'emulator-credit')]"
    seen:wait_for "return document.querySelectorAll('#people .item').length === 2"
  end)

  it("forgets everything when told to, and asks before", function()
    world:holder()
    seen:wait_text("#people", "Approved")
    seen:click "Reset"
    seen:click "Cancel"
    assert.equal(1, #world:control("GET", "state").cardholders)
    seen:click "Reset"
    seen:click "Forget everything"
    seen:wait_text("#people", "Nobody yet")
    assert.equal(0, #world:control("GET", "state").cardholders)
  end)

  it("is worked by keyboard alone", function()
    world:configure { kyc_delay = 0, issue_delay = 0 }
    local _, holder = world:card()
    seen:wait_text("#people .card", "Activated")
    seen:run "document.querySelector('#new-holder').focus()"
    seen:press(TAB) -- New card
    seen:press(TAB) -- Move money
    seen:press(TAB)
    assert.equal("Buy", seen:run "return document.activeElement.textContent")
    seen:press(ENTER)
    seen:wait_for "return document.querySelector('dialog').open"
    seen:press(ESCAPE)
    seen:wait_for "return !document.querySelector('dialog').open"
    assert.equal("Buy", seen:run "return document.activeElement.textContent")
    seen:press(ENTER)
    seen:wait_for "return document.querySelector('dialog').open"
    world:fund(holder, "5.00") -- which shows the button's item anew behind the dialog
    seen:wait_text("#people", "5.00 TUSDT")
    seen:press(ESCAPE)
    seen:wait_for "return !document.querySelector('dialog').open"
    assert.equal("Buy", seen:run "return document.activeElement.textContent")
    seen:press(ENTER)
    seen:wait_for "return document.querySelector('dialog').open"
    seen:press(ENTER)
    seen:wait_text("#purchases", "Declined")
    seen:run "document.querySelectorAll('#people .card button')[1].focus()"
    seen:press(ENTER)
    seen:wait_text("#people .card", "Frozen")
    assert.equal("BUTTON", seen:run "return document.activeElement.tagName")
  end)

  it("fits a phone, however long the names are, in both color schemes", function()
    local function fits()
      local width = seen:run "return document.documentElement.scrollWidth"
      assert.is_true(width <= 390, "as wide as " .. width)
    end
    world:configure { kyc_delay = 0, issue_delay = 0 }
    seen:resize(390, 844, true)
    fits()
    local card, holder = world:card()
    world:fund(holder)
    assert(world.ks.cardholders:apply { cardholder_unique_no = ("W"):rep(64),
      sumsub_share_token = "share" })
    assert(world.ks.simulate:auth { card_no = card.card_no, amount = "1.00",
      merchant_info = { merchant_name = ("Long"):rep(20) } })
    assert(world.ks.simulate:auth { card_no = card.card_no,
      amount = "99999999999999999999.00" })
    seen:wait_text("#purchases", "99999999999999999999.00")
    seen:wait_text("#people", ("W"):rep(64))
    fits()
    seen:click_at "//*[@id='callbacks']//summary"
    fits()
    seen:click "New cardholder"
    fits()
    seen:click "Cancel"
    local function ground()
      return seen:run "return getComputedStyle(document.body).backgroundColor"
    end
    seen:color "light"
    local light = ground()
    seen:color "dark"
    assert.not_equal(light, ground())
    seen:color "light"
  end)
end)

describe("the page without its emulator #plain", function()
  it("says so, and goes on when it is back", function()
    local world = support.start()
    local port = world.address:match ":(%d+)$"
    local seen = browser.start()
    finally(function()
      seen:stop()
      world:stop()
    end)
    seen:open(world.address .. "/")
    seen:wait_text("#live.on", "live")
    world:stop()
    seen:wait_text("#live.off", "no answer")
    world = support.start { port = tonumber(port) }
    seen:wait_text("#live.on", "live")
    world:holder()
    seen:wait_text("#people", "Approved")
  end)
end)
