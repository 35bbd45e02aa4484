--- Hands a callback that asks for nothing to its handler, once.
--
-- Taken is answered with 0, and whatever else with 1, so that the platform repeats it [A9]: when
-- the handler failed, when it is still at work, when the store can't be asked. `id`, which tells
-- repeats from new messages, is not signed: a signed message that comes again under another id or
-- action is a replay, and refused.
local decision = require "keysecure.webhook.decision"
local door = require "keysecure.webhook.door"
local new_cell = require "keysecure.webhook.cell"

local deliver = {}

local CLAIMED, DONE = "claimed", "done"

local function answer(code, message)
  return { code = code, message = message, approved = code == 0 }
end

local function again_later(message)
  return answer(1, message)
end

local function store_failed(hook, host, event, cell, err)
  hook:report(host, "the store: " .. tostring(err), event)
  cell:settle(again_later "not now", "store")
end

local function call_handler(host, handler, event)
  local ok, first, second = host.call(handler, event)
  if not ok then
    return false, "the handler raised: " .. tostring(first)
  end
  return decision.taken(first, second)
end

local function hand_over(hook, host, handler, event, cell)
  local key = "push:" .. event.id
  local taken, why = call_handler(host, handler, event)
  local ok, err
  if taken then
    ok, err = hook.store:set(key, DONE, hook.options.remember)
  else
    hook:report(host, why, event)
    ok, err = hook.store:delete(key)
  end
  if not ok then
    hook:report(host, "the store: " .. tostring(err), event)
  end
  cell:settle(taken and answer(0, "") or again_later "not taken", taken and "handler" or "error")
end

local function work(hook, host, handler, event, cell)
  local original, err = door.is_original(hook, event, event.id .. "\n" .. event.action)
  if original == nil then
    return store_failed(hook, host, event, cell, err)
  elseif not original then
    return cell:settle(door.refusal(409, "a signed message under another id or action"), "replay")
  end
  local mine, known = hook.store:add("push:" .. event.id, CLAIMED, hook.options.lease)
  if mine then
    return hand_over(hook, host, handler, event, cell)
  elseif mine == nil then
    return store_failed(hook, host, event, cell, known)
  end
  cell.duplicate = true
  cell:settle(known == DONE and answer(0, "") or again_later "still at work", "duplicate")
end

local function first(hook, host, handler, event)
  local cell, key = new_cell(), event.signature .. event.id
  if hook.handing >= hook.options.max_in_flight then
    cell:settle(again_later "not now", "overload")
    return cell
  end
  hook.delivering[key] = cell
  hook.handing = hook.handing + 1
  host.spawn(function()
    local ok, err = host.call(work, hook, host, handler, event, cell)
    hook.delivering[key] = nil
    hook.handing = hook.handing - 1
    if not ok then
      hook:report(host, "internal: " .. tostring(err), event)
      cell:settle(again_later "not taken", "error")
    end
  end)
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
  if not handler then
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
