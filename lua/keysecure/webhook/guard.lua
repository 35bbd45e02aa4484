--- Keeps a signed message what it came as. `id` and `action`, which nothing signs [api.md 6], are
--- what anybody could change who got hold of one; so the store remembers signatures.
--
-- An authorization that is asked for the first time, as nearly all are, has no time to lose and
-- costs one entry: its claim, with the signature inside. For that a push about a purchase leaves
-- its own mark where the claim would be; whoever asks about this purchase afterwards looks closer.
-- Each check is one `add`, of an entry that both sides write: of two that come in the same moment,
-- one finds the other.
--
-- All of them may wait for the store.
local question = require "keysecure.webhook.question"

local guard = {}

local TOLD = "told" -- in place of facts, which have bars in them

local LONGER = 10 -- seconds that a claim outlives its answer, so that nobody claims it in between

local function add(hook, key, value)
  return hook.store:add(key, value, hook.options.remember + LONGER)
end

-- Whether this signature is new, or known as the same thing; nil and why where the store fails.
local function is_original(hook, event, name)
  local added, known = add(hook, "signature:" .. event.signature, name)
  if added == nil then
    return nil, known
  end
  return added or known == name
end

local function claim_of(facts, event)
  return facts .. "\n" .. event.signature
end

-- The facts of a claim, or TOLD; and the signature.
local function read(claim)
  local facts, signature = claim:match "^(.*)\n(%x+)$"
  return facts or claim, signature
end

-- Purchases can be asked about; of what can't be, no mark is needed. Data that are not plain may be
-- those of a question, put otherwise.
local function mark(hook, event)
  if not hook.handlers.Auth then
    return true
  elseif not question.is_complete(event.data) then
    return question.is_plain(event.data)
  end
  local key = question.key(hook, event.data, question.facts(event.data))
  local added, claim = add(hook, "claim:" .. key, claim_of(TOLD, event))
  if added ~= false then
    return added, claim
  end
  local facts, signature = read(claim)
  return facts == TOLD or signature ~= event.signature
end

--- Remembers a question that is not claimed.
---@param hook keysecure.Webhook
---@param event keysecure.webhook.Event
---@return boolean|nil original  nil: the store failed
---@return string|nil err
function guard.note(hook, event)
  return is_original(hook, event, "Auth")
end

--- Whether a push is what it says it is: nothing that was an authorization, or another push.
---@param hook keysecure.Webhook
---@param event keysecure.webhook.Event
---@return boolean|nil original  nil: the store failed
---@return string|nil err
function guard.admit(hook, event)
  local original, err = is_original(hook, event, event.id .. "\n" .. event.action)
  if original then
    return mark(hook, event)
  end
  return original, err
end

-- Whether the question is what it says it is; `claim` is what stands where it would have put its.
local function is_question(cell, facts, signature)
  if facts ~= TOLD and signature == cell.event.signature then
    return true
  end
  return is_original(cell.hook, cell.event, "Auth")
end

--- Claims the question for whoever asks it.
---@param cell keysecure.webhook.Cell
---@return "mine"|"known"|"changed"|"replay"|nil whose  known: asked before; changed: with other
---  facts; replay: it was a push; nil: the store failed
---@return string|nil err
function guard.claim(cell)
  local mine = claim_of(cell.facts, cell.event)
  local added, claim = add(cell.hook, "claim:" .. cell.key, mine)
  if added ~= false then
    return added and "mine", claim
  end
  local facts, signature = read(claim)
  local original, err = is_question(cell, facts, signature)
  if not original then
    return original == false and "replay" or nil, err
  elseif facts == TOLD then
    local marked = claim
    added, claim = add(cell.hook, "claim after all:" .. cell.key, mine)
    if added then
      -- The mark must not end before the claim that it points to.
      cell.hook.store:set("claim:" .. cell.key, marked, cell.hook.options.remember + 2 * LONGER)
      return "mine"
    elseif added == nil then
      return nil, claim
    end
    facts = read(claim)
  end
  return facts == cell.facts and "known" or "changed"
end

return guard
