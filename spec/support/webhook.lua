--- What the specs of webhooks share: keys, requests signed by the project's own signer, and a hook
--- that remembers what it was told.
local cjson = require "cjson"
local core = require "keysecure.core"
local cqueues = require "cqueues"
local cqueues_host = require "keysecure.webhook.host.cqueues"
local door = require "keysecure.webhook.door"
local webhook = require "keysecure.webhook"

local LOOP_LIMIT = 60 -- seconds

local support = {}

support.keys = { api_key = "app", api_secret = "0123456789abcdef" }

local number = 0

--- A number that was never given out before.
function support.consume_no()
  number = number + 1
  return "S" .. number
end

--- The data of an authorization, with changes.
function support.purchase(changes)
  local data = { consume_no = support.consume_no(), card_no = "C1", cardholder_no = "U1",
    type = "Consumption", amount = "12.50", local_amount = "11.80", local_currency = "EUR",
    merchant_info = { merchant_name = "COFFEE BAR", merchant_mcc = "5814", city = "BERLIN",
      country = "DE" }, status = "Pending", time = 1763880000123 }
  for name, value in pairs(changes or {}) do
    data[name] = value
  end
  return data
end

--- Headers and body of a signed callback; options as those of webhook.test_request.
function support.request(action, data, options, id)
  local all = { api_key = support.keys.api_key, api_secret = support.keys.api_secret }
  for name, value in pairs(options or {}) do
    all[name] = value
  end
  return webhook.test_request({ id = id, action = action, data = data }, all)
end

--- A hook with the keys and these options; `hook.journal`, `hook.errors`, `hook.refusals` and
--- `hook.lates` list what it told.
function support.hook(options)
  local told = { journal = {}, errors = {}, refusals = {}, lates = {} }
  local all = {
    api_key = support.keys.api_key, api_secret = support.keys.api_secret,
    journal = function(entry) table.insert(told.journal, entry) end,
    on_error = function(message) table.insert(told.errors, message) end,
    on_refused = function(reason, status) table.insert(told.refusals, status .. " " .. reason) end,
    on_late = function(event, made, answered)
      table.insert(told.lates, { event = event, made = made, answered = answered })
    end,
  }
  for name, value in pairs(options or {}) do
    all[name] = value ~= cjson.null and value or nil
  end
  local hook = assert(webhook.new(all))
  return hook, told
end

--- Asks a hook; answers the status and the decoded body.
function support.ask(hook, headers, body, received_at)
  local status, text = hook:answer(headers, body, received_at)
  return status, cjson.decode(text), text
end

--- Asks about a purchase; whether it was approved, and the whole answer.
function support.auth(hook, data, options, id)
  local headers, body = support.request("Auth", data or support.purchase(), options, id)
  local status, answer = support.ask(hook, headers, body)
  assert(status == 200, "status " .. status)
  return answer.code == 0, answer
end

-- In a loop of cqueues ---------------------------------------------------------------------------

--- Runs `fn` in a loop of cqueues until all is done that it began.
function support.run(fn)
  local loop = cqueues.new()
  loop:wrap(fn)
  assert(loop:loop(LOOP_LIMIT))
end

--- Has a hook's authorizations wait until what this answers is called; then they are approved.
function support.hold(hook)
  local go = false
  hook:on("Auth", function()
    while not go do
      cqueues.sleep(0.002)
    end
    return true
  end)
  return function() go = true end
end

--- Asks under cqueues; whether it was approved, and the milliseconds that it took.
function support.ask_in_loop(hook, data, received_at, id)
  local headers, body = support.request("Auth", data or support.purchase(), nil, id)
  local from = core.monotonic()
  local status, text = hook:process(cqueues_host, door.collect(headers), body,
    received_at or core.wall() / 1000)
  assert(status == 200, "status " .. status)
  local answer = cjson.decode(text)
  return answer.code == 0, core.monotonic() - from, answer
end

--- Asks several times at once; the answers, in the order of asking.
function support.ask_all(hook, questions)
  local answers, left = {}, #questions
  for i, data in ipairs(questions) do
    cqueues.running():wrap(function()
      answers[i] = support.ask_in_loop(hook, data)
      left = left - 1
    end)
  end
  while left > 0 do
    cqueues.sleep(0.005)
  end
  return answers
end

--- Waits, in a loop of cqueues, until `fn` answers something true.
function support.wait(fn)
  local limit = core.monotonic() + 20000
  while not fn() do
    assert(core.monotonic() < limit, "waited in vain")
    cqueues.sleep(0.01)
  end
end

return support
