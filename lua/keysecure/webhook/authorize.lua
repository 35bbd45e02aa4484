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
local guard = require "keysecure.webhook.guard"
local new_cell = require "keysecure.webhook.cell"
local question = require "keysecure.webhook.question"

local authorize = {}

local POLL = 0.01 -- seconds between two looks at another worker's answer
local STEP = 0.1 -- of the median: how far one duration moves it

-- The fallback ---------------------------------------------------------------------------------

-- What is answered where nothing was decided. A function may say something else than "decline" or
-- "approve"; what it says wrong is a no.
local function fallback(cell, reason)
  local hook, host, event = cell.hook, cell.host, cell.event
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
local function fall_back(cell, reason)
  return not cell.answer and cell:settle(fallback(cell, reason), reason)
end

local function is_over(event)
  return core.monotonic() > event.deadline
end

local function report(cell, message)
  cell.hook:report(cell.host, message, cell.event)
end

-- The store ------------------------------------------------------------------------------------

local function changed(cell)
  report(cell, "asked again with another amount, currency or card; declined")
  return decision.decline()
end

local function entry_of(cell, made)
  return cell.facts .. "\n" .. decision.pack(made)
end

-- What an entry of the store answers to this question, and the reason.
local function read_entry(cell, text)
  local asked = cell.facts .. "\n"
  local made = text:sub(1, #asked) == asked and decision.unpack(text:sub(#asked + 1))
  if made then
    return made, "duplicate"
  end
  return changed(cell), "changed"
end

-- Makes somebody else's answer this one's.
local function adopt(cell, text)
  local made, reason = read_entry(cell, text)
  cell.duplicate = reason == "duplicate"
  cell:settle(made, reason)
end

-- Where somebody has answered before: what, and the reason.
local function remember(cell, made)
  local hook = cell.hook
  local added, known = hook.store:add("answer:" .. cell.key, entry_of(cell, made),
    hook.options.remember)
  if added == false then
    return read_entry(cell, known)
  elseif added == nil then
    report(cell, "the answer can't be remembered: " .. tostring(known))
  end
end

-- Who answered in time may have written just before the clock decided otherwise.
local function repair(cell)
  local hook = cell.hook
  local ok, err = hook.store:set("answer:" .. cell.key, entry_of(cell, cell.answer),
    hook.options.remember)
  if not ok then
    report(cell, "the answer can't be remembered: " .. tostring(err))
  end
end

local function store_failed(cell, err)
  report(cell, "the store: " .. tostring(err))
  fall_back(cell, "store")
end

-- The one that holds the claim answers soon, or never.
local function wait_for_other(cell)
  while not is_over(cell.event) and not cell.answer do
    local text, err = cell.hook.store:get("answer:" .. cell.key)
    if text then
      return adopt(cell, text)
    elseif text == nil then
      return store_failed(cell, err)
    end
    cell.host.sleep(POLL)
  end
  fall_back(cell, "timeout")
  remember(cell, cell.answer)
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

local function call_handler(cell)
  local hook = cell.hook
  local from = core.monotonic()
  local ok, first, second = cell.host.call(hook.handlers.Auth, cell.event)
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
local function late(cell, made)
  local hook, host, event, answered = cell.hook, cell.host, cell.event, cell.answer
  hook:note(host, event, "late", made, "late")
  if hook.options.on_late then
    local ok, err = host.call(hook.options.on_late, event, made, answered)
    if not ok then
      report(cell, "on_late raised: " .. tostring(err))
    end
  elseif made.approved and not answered.approved then
    report(cell, "approved too late, and there is no on_late")
  end
end

-- The handler has decided. Its decision counts when it is in the cell and in the store, in that
-- process and moment; else it is late.
local function publish(cell, made)
  if is_over(cell.event) then
    fall_back(cell, "timeout")
  end
  local other, reason = remember(cell, cell.answer or made)
  if not cell.answer and other then
    cell:settle(other, reason)
  elseif not cell:settle(made, "handler") and not other then
    repair(cell)
  end
  if cell.answer ~= made then
    late(cell, made)
  end
end

local function decide(cell)
  if is_overloaded(cell.hook, cell.event) then
    fall_back(cell, "overload")
    return remember(cell, cell.answer)
  end
  local made, reason, complaint = call_handler(cell)
  if made then
    return publish(cell, made)
  end
  report(cell, complaint)
  if reason == "nonsense" then
    cell:settle(decision.decline(), reason)
  end
  fall_back(cell, is_over(cell.event) and "timeout" or reason)
  remember(cell, cell.answer)
end

-- What runs beside the one that answers.
local function work(cell)
  local whose, err = guard.claim(cell)
  if whose == "mine" then
    return decide(cell)
  elseif whose == "known" then
    cell.duplicate = true
    wait_for_other(cell)
  elseif whose == "changed" then
    cell:settle(changed(cell), "changed")
  elseif whose == "replay" then
    cell:settle(door.refusal(409, "a signed message under another action"), "replay")
  else
    store_failed(cell, err)
  end
end

local function guarded_work(cell)
  local hook = cell.hook
  local ok, err = cell.host.call(work, cell)
  hook.in_flight = hook.in_flight - 1
  hook.deciding[cell.id] = nil
  if not ok then
    report(cell, "internal: " .. tostring(err))
    cell:settle(decision.decline(), "error")
  end
end

local function start(cell)
  local hook = cell.hook
  hook.deciding[cell.id] = cell
  hook.in_flight = hook.in_flight + 1
  cell.host:spawn(guarded_work, cell)
end

-- Writes down what is answered already. Where something else was answered before, it is too late to
-- say so to anybody but the operator.
local function remember_late(cell)
  local other = remember(cell, cell.answer)
  if other and other.approved ~= cell.answer.approved then
    report(cell, cell.answer.approved and "approved, though it had been declined"
      or "declined, though it had been approved")
  end
end

local function guarded(cell, fn, ...)
  local ok, err = cell.host.call(fn, cell, ...)
  if not ok then
    report(cell, "internal: " .. tostring(err))
  end
end

-- The clock has decided. It is written down beside the answer, which has no time to lose.
local function give_up(cell, reason)
  if fall_back(cell, reason) then
    cell.host:spawn(guarded, cell, remember_late)
  end
end

-- There is no time to begin; but the store may know the answer, and often there is time to ask it.
local function look_up(cell, reason)
  local text = cell.hook.store:get("answer:" .. cell.key)
  if text and not cell.answer then
    adopt(cell, text)
  else
    give_up(cell, reason)
  end
end

local function refuse_to_begin(cell, reason)
  local hook, event = cell.hook, cell.event
  if hook.store.immediate then
    look_up(cell, reason)
  elseif is_over(event) then
    give_up(cell, reason)
  else
    cell.host:spawn(guarded, cell, look_up, reason)
    cell:wait(cell.host, event.deadline)
    give_up(cell, reason)
  end
end

local function first(cell)
  local hook, event = cell.hook, cell.event
  if is_over(event) then
    refuse_to_begin(cell, "timeout")
  elseif hook.in_flight >= hook.options.max_in_flight then
    refuse_to_begin(cell, "overload")
  else
    start(cell)
    cell:wait(cell.host, event.deadline)
    give_up(cell, "timeout")
  end
  return cell.answer, cell.reason, cell.duplicate
end

-- The same is being decided in this process.
local function again(cell, event, host)
  cell:wait(host, event.deadline)
  fall_back(cell, "timeout")
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
  elseif not question.is_complete(event.data) then
    hook:report(host, "an authorization without consume_no or amount; declined", event)
    return decision.decline(), "incomplete"
  end
  local facts = question.facts(event.data)
  local id = event.data.consume_no .. "|" .. facts
  local cell = hook.deciding[id]
  if cell then
    return again(cell, event, host)
  end
  return first(new_cell(hook, host, event, id, question.key(hook, event.data, facts), facts))
end

return authorize
