--- Hands a callback that asks for nothing to its handler, once.
--
-- Taken is answered with 0, and whatever else with 1, so that the platform repeats it [A9]: when
-- the handler failed, when it is still at work, when the store can't be asked. `id`, which tells
-- repeats from new messages, is not signed: a signed message that comes again under another id or
-- action is a replay, and refused.
local decision = require "keysecure.webhook.decision"
local door = require "keysecure.webhook.door"
local guard = require "keysecure.webhook.guard"
local new_cell = require "keysecure.webhook.cell"

local deliver = {}

local CLAIMED, DONE = "claimed", "done"

local function answer(code, message)
  return { code = code, message = message, approved = code == 0 }
end

local function again_later(message)
  return answer(1, message)
end

local function store_failed(cell, err)
  cell:report("the store: " .. tostring(err))
  cell:settle(again_later "not now", "store")
end

local function call_handler(cell, handler)
  local ok, first, second = cell.host.call(handler, cell.event)
  if not ok then
    return false, "the handler raised: " .. tostring(first)
  end
  return decision.taken(first, second)
end

local function hand_over(cell, handler)
  local store, key = cell.hook.store, "push:" .. cell.event.id
  local taken, why = call_handler(cell, handler)
  local ok, err
  if taken then
    ok, err = store:set(key, DONE, cell.hook.options.remember)
  else
    cell:report(why)
    ok, err = store:delete(key)
  end
  if not ok then
    cell:report("the store: " .. tostring(err))
  end
  cell:settle(taken and answer(0, "") or again_later "not taken", taken and "handler" or "error")
end

local function work(cell, handler)
  local hook, event = cell.hook, cell.event
  local original, err = guard.admit(hook, event)
  if original == nil then
    return store_failed(cell, err)
  elseif not original then
    return cell:settle(door.refusal(409, "a signed message under another id or action"), "replay")
  elseif not handler then
    return cell:settle(answer(0, ""), "ignored")
  end
  local mine, known = hook.store:add("push:" .. event.id, CLAIMED, hook.options.lease)
  if mine then
    return hand_over(cell, handler)
  elseif mine == nil then
    return store_failed(cell, known)
  end
  cell.duplicate = true
  cell:settle(known == DONE and answer(0, "") or again_later "still at work", "duplicate")
end

local function guarded_work(cell, handler)
  local hook = cell.hook
  local ok, err = cell.host.call(work, cell, handler)
  hook.delivering[cell.id] = nil
  hook.handing = hook.handing - 1
  if not ok then
    cell:report("internal: " .. tostring(err))
    cell:settle(again_later "not taken", "error")
  end
end

local function first(hook, host, handler, event)
  local cell = new_cell(hook, host, event, event.signature .. event.id)
  if hook.handing >= hook.options.max_in_flight then
    cell:settle(again_later "not now", "overload")
    return cell
  end
  hook.delivering[cell.id] = cell
  hook.handing = hook.handing + 1
  host:spawn(guarded_work, cell, handler)
  return cell
end

--- Answers.
---@param hook keysecure.Webhook
---@param event keysecure.webhook.Event
---@param host table
---@return table answer  code and message; or a refusal, with a status
---@return string reason
---@return boolean|nil duplicate
function deliver.answer(hook, event, host)
  local handler = hook.handlers[event.action] or hook.handlers["*"]
  if not handler and not hook.handlers.Auth then
    return answer(0, ""), "ignored"
  end
  local cell = hook.delivering[event.signature .. event.id]
  local duplicate = cell ~= nil
  cell = cell or first(hook, host, handler, event)
  cell:wait(host, event.deadline)
  if not cell.answer then
    return again_later "still at work", "timeout", duplicate
  end
  return cell.answer, cell.reason, duplicate or cell.duplicate
end

return deliver
