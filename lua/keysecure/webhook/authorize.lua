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

local function is_over(event)
  return core.monotonic() > event.deadline
end

-- The store ------------------------------------------------------------------------------------

local function changed(cell)
  cell:report("asked again with another amount, currency or card; declined")
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

-- Writes an answer down. Where somebody has answered before: what, and the reason; false and why
-- where the store does not say so much.
local function remember(cell, made)
  local hook = cell.hook
  local ok, added, known = cell.host.call(hook.store.add, hook.store, "answer:" .. cell.key,
    entry_of(cell, made), hook.options.remember)
  if not ok or added == nil then
    return false, ok and known or added
  elseif not added then
    return read_entry(cell, known)
  end
end

local function not_remembered(cell, err)
  cell:report("the answer can't be remembered: " .. tostring(err))
end

-- Who answered in time may have written just before the clock decided otherwise.
local function repair(cell)
  local hook = cell.hook
  local ok, err = hook.store:set("answer:" .. cell.key, entry_of(cell, cell.answer),
    hook.options.remember)
  if not ok then
    not_remembered(cell, err)
  end
end

-- Answers with `made`, unless somebody has answered before.
local function conclude(cell, made, reason)
  local other, why = remember(cell, made)
  if other then
    cell:settle(other, why)
    return
  elseif other == false then
    not_remembered(cell, why)
  end
  if not cell:settle(made, reason) then
    repair(cell)
  end
end

-- Writes down what is answered already. Where something else was answered before, it is too late to
-- say so to anybody but the operator; unless that is of this very question, whose handler's side
-- repairs it.
local function remember_late(cell)
  local whose = cell.claimed or guard.claim(cell)
  if whose == "replay" or whose == "changed" then
    return
  end
  local other, err = remember(cell, cell.answer)
  if other == false then
    not_remembered(cell, err)
  elseif other and whose ~= "mine" and other.approved ~= cell.answer.approved then
    cell:report(cell.answer.approved and "approved, though it had been declined"
      or "declined, though it had been approved")
  end
end

local function guarded(cell, fn, ...)
  local ok, err = cell.host.call(fn, cell, ...)
  if not ok then
    cell:report("internal: " .. tostring(err))
  end
end

-- The clock has decided. A store that need not be waited for is asked first; else it is told beside
-- the answer, which has no time to lose.
local function give_up(cell, reason)
  if cell.answer then
    return
  end
  local made = fallback(cell, reason)
  if cell.hook.store.immediate and not cell.answer then
    conclude(cell, made, reason)
  elseif cell:settle(made, reason) then
    cell.host:spawn(guarded, cell, remember_late)
  end
end

-- Nothing is decided without the store: better a no than two answers.
local function store_failed(cell, err)
  cell:report("the store: " .. tostring(err))
  if not cell.answer and cell:settle(fallback(cell, "store"), "store") then
    remember(cell, cell.answer) -- perhaps it is back
  end
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
  give_up(cell, "timeout")
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
      cell:report("on_late raised: " .. tostring(err))
    end
  elseif made.approved and not answered.approved then
    cell:report("approved too late, and there is no on_late")
  end
end

-- The handler has decided. Its decision counts when it is in the store and in the cell, in that
-- process and moment; else it is late.
local function publish(cell, made)
  if is_over(cell.event) then
    give_up(cell, "timeout")
  elseif not cell.answer then
    local other, why = remember(cell, made)
    if other then
      cell:settle(other, why)
    elseif other == false then
      not_remembered(cell, why)
      cell:settle(fallback(cell, "store"), "store")
      repair(cell)
    elseif not cell:settle(made, "handler") then
      repair(cell)
    end
  end
  if cell.answer ~= made then
    late(cell, made)
  end
end

local function decide(cell)
  if is_overloaded(cell.hook, cell.event) then
    return conclude(cell, fallback(cell, "overload"), "overload")
  end
  local made, reason, complaint = call_handler(cell)
  if made then
    return publish(cell, made)
  end
  cell:report(complaint)
  if is_over(cell.event) then
    give_up(cell, "timeout")
  elseif reason == "nonsense" then
    conclude(cell, decision.decline(), reason)
  else
    conclude(cell, fallback(cell, reason), reason)
  end
end

-- Claims the question; whether there is more to do. Else it is answered.
local function claim(cell)
  local whose, err = guard.claim(cell)
  cell.claimed, cell.duplicate = whose or false, whose == "known"
  if whose == "changed" then
    cell:settle(changed(cell), "changed")
  elseif whose == "replay" then
    cell:settle(door.refusal(409, "a signed message under another action"), "replay")
  elseif whose == nil then
    store_failed(cell, err)
  end
  return whose == "mine" or whose == "known"
end

-- What runs beside the one that answers.
local function work(cell)
  if not claim(cell) then
    return
  elseif cell.claimed == "mine" then
    decide(cell)
  else
    wait_for_other(cell)
  end
end

local function guarded_work(cell)
  local hook = cell.hook
  local ok, err = cell.host.call(work, cell)
  hook.in_flight = hook.in_flight - 1
  hook.deciding[cell.id] = nil
  if not ok then
    cell:report("internal: " .. tostring(err))
    cell:settle(decision.decline(), "error")
  end
end

local function start(cell)
  local hook = cell.hook
  hook.deciding[cell.id] = cell
  hook.in_flight = hook.in_flight + 1
  cell.host:spawn(guarded_work, cell)
end

-- There is no time to begin; but somebody may have answered before.
local function look_up(cell, reason)
  if claim(cell) then
    conclude(cell, fallback(cell, reason), reason)
  end
end

local function guarded_look_up(cell, reason)
  local hook = cell.hook
  guarded(cell, look_up, reason)
  hook.looking = hook.looking - 1
end

-- A store that has to be waited for is asked as long as there is time, and not by too many.
local function refuse_to_begin(cell, reason)
  local hook, event = cell.hook, cell.event
  if hook.store.immediate then
    guarded(cell, look_up, reason)
  elseif not is_over(event) and hook.looking < hook.options.max_in_flight then
    hook.looking = hook.looking + 1
    cell.host:spawn(guarded_look_up, cell, reason)
    cell:wait(cell.host, event.deadline)
  end
  give_up(cell, reason)
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
  give_up(cell, "timeout")
  return cell.answer, cell.reason, true
end

-- A question that nobody is asked is a question all the same, and must not come as a push.
local function nobody_asked(hook, host, event, reason, message)
  hook:report(host, message, event)
  host:spawn(host.call, guard.note, hook, event)
  return decision.decline(), reason
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
    return nobody_asked(hook, host, event, "no handler", "there is no handler for Auth; declined")
  elseif not question.is_complete(event.data) then
    return nobody_asked(hook, host, event, "incomplete",
      "an authorization without consume_no or amount; declined")
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
