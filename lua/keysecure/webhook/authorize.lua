--- Answers an authorization: in time, and the same thing however often it is asked.
--
-- The handler runs beside the one that answers. Both look at one cell: the handler puts its
-- decision there, or the clock the fallback; what comes second is late. What is shared with other
-- workers are two entries of the store, which nobody overwrites but to repair: `claim:` goes to the
-- one that may call the handler, `answer:` to the first that has an answer. So the handler is
-- called once for a purchase, even where the worker that called it has died: whoever asks again
-- then gets the fallback. Both say what the question was, since a yes to one amount is none to
-- another.
local core = require "keysecure.core"
local decision = require "keysecure.webhook.decision"
local door = require "keysecure.webhook.door"
local new_cell = require "keysecure.webhook.cell"

local authorize = {}

local POLL = 0.01 -- seconds between two looks at another worker's answer
local STEP = 0.1 -- of the median: how far one duration moves it
local NUMBER_MAX = 128 -- bytes of a consume_no

-- Facts ----------------------------------------------------------------------------------------

-- Digits differ where amounts don't: 12.5, 12.50.
local function plain(amount)
  local text = tostring(amount)
  if text:find("%.%d*$") then
    text = text:gsub("0+$", ""):gsub("%.$", "")
  end
  return text
end

-- What a purchase is, in one text. Asked again with another one, it is another question.
local function facts_of(data)
  return table.concat({ plain(data.amount), plain(data.local_amount),
    tostring(data.local_currency), tostring(data.card_no), tostring(data.type) }, "|")
end

local function is_complete(data)
  return type(data.consume_no) == "string" and data.consume_no ~= ""
    and #data.consume_no <= NUMBER_MAX and type(data.amount) == "string"
end

-- The fallback ---------------------------------------------------------------------------------

-- What is answered where nothing was decided. A function may say something else than "decline" or
-- "approve"; what it says wrong is a no.
local function fallback(hook, event, host, reason)
  local chosen = hook.options.on_timeout
  if type(chosen) ~= "function" then
    local undecided = reason == "timeout" or reason == "overload"
    return chosen == "approve" and undecided and decision.approve() or decision.decline()
  end
  local ok, first, second = host.call(chosen, event, reason)
  local made, complaint
  if ok then
    made, complaint = decision.read(first, second)
  end
  if not made then
    hook:report(host, "on_timeout: " .. (complaint or tostring(first)), event)
  end
  return made or decision.decline()
end

-- Puts the fallback into the cell, unless something is there; whether it did.
local function fall_back(hook, event, host, cell, reason)
  return not cell.answer and cell:settle(fallback(hook, event, host, reason), reason)
end

local function is_over(event)
  return core.monotonic() > event.deadline
end

-- The store ------------------------------------------------------------------------------------

local function changed(hook, host, event)
  hook:report(host, "asked again with another amount, currency or card; declined", event)
  return decision.decline()
end

local function entry_of(cell, made)
  return cell.facts .. "\n" .. decision.pack(made)
end

-- What an entry of the store answers to this question, and the reason.
local function read_entry(hook, host, event, cell, text)
  local asked = cell.facts .. "\n"
  local made = text:sub(1, #asked) == asked and decision.unpack(text:sub(#asked + 1))
  if made then
    return made, "duplicate"
  end
  return changed(hook, host, event), "changed"
end

-- Makes somebody else's answer this one's.
local function adopt(hook, host, event, cell, text)
  local made, reason = read_entry(hook, host, event, cell, text)
  cell.duplicate = reason == "duplicate"
  cell:settle(made, reason)
end

-- Where somebody has answered before: what, and the reason.
local function remember(hook, host, key, event, cell, made)
  local added, known = hook.store:add("answer:" .. key, entry_of(cell, made),
    hook.options.remember)
  if added == false then
    return read_entry(hook, host, event, cell, known)
  elseif added == nil then
    hook:report(host, "the answer can't be remembered: " .. tostring(known), event)
  end
end

-- Who answered in time may have written just before the clock decided otherwise.
local function repair(hook, host, key, event, cell)
  local ok, err = hook.store:set("answer:" .. key, entry_of(cell, cell.answer),
    hook.options.remember)
  if not ok then
    hook:report(host, "the answer can't be remembered: " .. tostring(err), event)
  end
end

local function store_failed(hook, host, event, cell, err)
  hook:report(host, "the store: " .. tostring(err), event)
  fall_back(hook, event, host, cell, "store")
end

-- The one that holds the claim answers soon, or never.
local function wait_for_other(hook, host, key, event, cell)
  while not is_over(event) and not cell.answer do
    local text, err = hook.store:get("answer:" .. key)
    if text then
      return adopt(hook, host, event, cell, text)
    elseif text == nil then
      return store_failed(hook, host, event, cell, err)
    end
    host.sleep(POLL)
  end
  fall_back(hook, event, host, cell, "timeout")
  remember(hook, host, key, event, cell, cell.answer)
end

-- Deciding -------------------------------------------------------------------------------------

-- The running median of durations, in milliseconds. Not the mean: a few handlers that hang would
-- have all the quick ones declined.
local function learn(hook, took)
  local usual = hook.usual
  local step = math.max(usual * STEP, 1)
  if took > usual then
    hook.usual = math.min(took, usual + step)
  else
    hook.usual = math.max(took, usual - step)
  end
end

-- More than can be answered in time: none is begun that, going by the others, is likelier late than
-- not. With nothing else going on it is tried all the same, or a slow minute would never be
-- forgotten.
local function is_overloaded(hook, event)
  return hook.in_flight > 1 and event.deadline - core.monotonic() < hook.usual
end

local function call_handler(hook, host, event)
  local from = core.monotonic()
  local ok, first, second = host.call(hook.handlers.Auth, event)
  learn(hook, core.monotonic() - from)
  if not ok then
    return nil, "error", "the handler raised: " .. tostring(first)
  end
  local made, complaint = decision.read(first, second)
  if made then
    return made
  end
  return nil, first == nil and second ~= nil and "error" or "nonsense", complaint
end

-- Decided after the fallback was answered: whoever reserved something must hear of it.
local function late(hook, host, event, made, answered)
  hook:note(host, event, { kind = "late", decision = made.approved and "approve" or "decline",
    code = made.code, message = made.message, reason = "late", late = true })
  if hook.options.on_late then
    local ok, err = host.call(hook.options.on_late, event, made, answered)
    if not ok then
      hook:report(host, "on_late raised: " .. tostring(err), event)
    end
  elseif made.approved and not answered.approved then
    hook:report(host, "approved too late, and there is no on_late", event)
  end
end

-- The handler has decided. Its decision counts when it is in the cell and in the store, in that
-- process and moment; else it is late.
local function publish(hook, host, key, event, cell, made)
  if is_over(event) then
    fall_back(hook, event, host, cell, "timeout")
  end
  local other, reason = remember(hook, host, key, event, cell, cell.answer or made)
  if not cell.answer and other then
    cell:settle(other, reason)
  elseif not cell:settle(made, "handler") and not other then
    repair(hook, host, key, event, cell)
  end
  if cell.answer ~= made then
    late(hook, host, event, made, cell.answer)
  end
end

local function decide(hook, host, key, event, cell)
  if is_overloaded(hook, event) then
    fall_back(hook, event, host, cell, "overload")
    return remember(hook, host, key, event, cell, cell.answer)
  end
  local made, reason, complaint = call_handler(hook, host, event)
  if made then
    return publish(hook, host, key, event, cell, made)
  end
  hook:report(host, complaint, event)
  if reason == "nonsense" then
    cell:settle(decision.decline(), reason)
  end
  fall_back(hook, event, host, cell, is_over(event) and "timeout" or reason)
  remember(hook, host, key, event, cell, cell.answer)
end

-- What runs beside the one that answers.
local function work(hook, host, key, event, cell)
  local original, err = door.is_original(hook, event, "Auth")
  if original == nil then
    return store_failed(hook, host, event, cell, err)
  elseif not original then
    return cell:settle(door.refusal(409, "a signed message under another action"), "replay")
  end
  local mine, known = hook.store:add("claim:" .. key, cell.facts, hook.options.remember)
  if mine then
    return decide(hook, host, key, event, cell)
  elseif mine == nil then
    store_failed(hook, host, event, cell, known)
  elseif known ~= cell.facts then
    cell:settle(changed(hook, host, event), "changed")
  else
    cell.duplicate = true
    wait_for_other(hook, host, key, event, cell)
  end
end

local function start(hook, host, key, event, cell)
  hook.deciding[key] = cell
  hook.in_flight = hook.in_flight + 1
  host.spawn(function()
    local ok, err = host.call(work, hook, host, key, event, cell)
    hook.in_flight = hook.in_flight - 1
    hook.deciding[key] = nil
    if not ok then
      hook:report(host, "internal: " .. tostring(err), event)
      cell:settle(decision.decline(), "error")
    end
  end)
end

-- The clock has decided. It is written down beside the answer, which has no time to lose.
local function give_up(hook, host, key, event, cell, reason)
  if fall_back(hook, event, host, cell, reason) then
    host.spawn(function()
      host.call(remember, hook, host, key, event, cell, cell.answer)
    end)
  end
end

-- There is no time to begin; but a store that need not be waited for may know the answer.
local function refuse_to_begin(hook, host, key, event, cell, reason)
  local text = hook.store.immediate and hook.store:get("answer:" .. key)
  if text then
    adopt(hook, host, event, cell, text)
  else
    give_up(hook, host, key, event, cell, reason)
  end
end

local function first(hook, host, key, event, facts)
  local cell = new_cell()
  cell.facts = facts
  if is_over(event) then
    refuse_to_begin(hook, host, key, event, cell, "timeout")
  elseif hook.in_flight >= hook.options.max_in_flight then
    refuse_to_begin(hook, host, key, event, cell, "overload")
  else
    start(hook, host, key, event, cell)
    cell:wait(host, event.deadline)
    give_up(hook, host, key, event, cell, "timeout")
  end
  return cell.answer, cell.reason, cell.duplicate
end

-- The same purchase is being decided in this process.
local function again(hook, host, event, cell, facts)
  if cell.facts ~= facts then
    return changed(hook, host, event), "changed"
  end
  cell:wait(host, event.deadline)
  fall_back(hook, event, host, cell, "timeout")
  return cell.answer, cell.reason, true
end

--- Answers.
---@param hook keysecure.Webhook
---@param event keysecure.webhook.Event
---@param host table
---@return keysecure.webhook.Decision|keysecure.webhook.Refusal
---@return string reason
---@return boolean|nil duplicate
function authorize.answer(hook, event, host)
  if not hook.handlers.Auth then
    hook:report(host, "there is no handler for Auth; declined", event)
    return decision.decline(), "no handler"
  elseif not is_complete(event.data) then
    hook:report(host, "an authorization without consume_no or amount; declined", event)
    return decision.decline(), "incomplete"
  end
  local key, facts = event.data.consume_no, facts_of(event.data)
  if hook.options.on_changed == "decide" then
    key = key .. "|" .. facts
  end
  local cell = hook.deciding[key]
  if cell then
    return again(hook, host, event, cell, facts)
  end
  return first(hook, host, key, event, facts)
end

return authorize
