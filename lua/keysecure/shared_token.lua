--- Shares a client's access token with other processes through a token store
-- (keysecure.token_store): what a call's "seek" and "share" (csrc/core/sharing.h) come to.
--
-- Of the processes that want a token one claims the fetch. It fetches as it would alone, saves, and
-- ends its claim. The others look again with growing pauses until they find what it saved, or the
-- reason it left for having none; where the old token still serves they go on with that at once.
-- A claim lapses, so that nobody waits for a process that was killed; and whoever has waited for
-- longer than two claims can last fetches by itself, whatever the store says.
--
-- Nothing that a store does or fails to do ends a call.
local core = require "keysecure.core"

local shared_token = {}

local LEASE = 5 -- seconds; a fetch takes a fraction of one, and retries rarely more
local PATIENCE = 2 * LEASE * 1000 -- milliseconds
local REASON_KEPT = 1 -- seconds, as long as a client remembers a failure of its own
local FIRST_PAUSE, LAST_PAUSE = 10, 200 -- milliseconds
local AVOIDED = 1000 -- milliseconds for which a store that failed isn't asked again
local MESSAGE_MAX = 200

---@class keysecure.SharedToken
local Shared = {}
Shared.__index = Shared

--- Shares the token of `client`, which was made to share.
---@param client table  core, now, host, options
---@param store keysecure.TokenStore
---@return keysecure.SharedToken
function shared_token.new(client, store)
  return setmetatable({
    host = client.host, now = client.now, on_event = client.options.on_event,
    store = store, key = client.core:store_key(), avoided_until = 0,
    owners = setmetatable({}, { __mode = "k" }), -- call -> the name it claimed by
  }, Shared)
end

function Shared.__tostring()
  return "shared access token"
end

-- The store -----------------------------------------------------------------------------------

-- Told once, until the store works again.
function Shared:note_failure(what, message)
  self.avoided_until = self.now() + AVOIDED
  if self.failed then
    return
  end
  self.failed = true
  if self.on_event then
    local text = tostring(message):gsub("%c", " "):sub(1, MESSAGE_MAX)
    pcall(self.on_event, { event = "token_store", message = what .. ": " .. text })
  end
end

-- Whether the store could be asked, then its answer.
function Shared:ask(method, ...)
  if self.now() < self.avoided_until then
    return false
  end
  local ok, first, second = pcall(self.store[method], self.store, self.key, ...)
  if not ok or (first == nil and second ~= nil) then
    self:note_failure(method, ok and second or first)
    return false
  end
  self.failed = false
  return true, first, second
end

-- A moment of the clock that all who share the store have; see csrc/lua/sharing.c.
function Shared:common_time()
  if not self.store.now then
    return
  end
  local before = (self.now())
  local ok, at, epoch = pcall(self.store.now, self.store)
  if ok and type(at) == "number" and at >= 0 and at < 2 ^ 53 and type(epoch) == "string" then
    return at, epoch, before
  end
end

-- Both of this process's clocks, and the common one where there is one.
function Shared:times()
  local at, epoch, before = self:common_time()
  local monotonic, wall = self.now()
  return monotonic, wall, at, epoch, before
end

-- Seeking -------------------------------------------------------------------------------------

-- Whether the store had a token for the call; nil where it can't be asked.
function Shared:take(call, search)
  local asked, text = self:ask("load")
  if not asked then
    return nil
  end
  if type(text) ~= "string" or text == search.seen then
    return false
  end
  search.seen = text
  local monotonic, wall, at, epoch, before = self:times()
  return call:adopt(monotonic, wall, text, at, epoch, before)
end

-- Holding the claim: fetches, unless whoever had it before has just saved what it fetched.
function Shared:fetch_or_take(call, search)
  if self:take(call, search) then
    self:ask("release", search.owner)
    return
  end
  self.owners[call] = search.owner
  call:elected()
end

-- One look at the store, and what follows from it.
function Shared:look(call, search)
  local taken = self:take(call, search)
  if taken then
    return
  end
  local asked, claimed, note = false, nil, nil
  if taken == false and search.owner and self.now() < search.give_up then
    asked, claimed, note = self:ask("claim", search.owner, LEASE)
  end
  if not asked then
    call:elected()
  elseif claimed then
    self:fetch_or_take(call, search)
  else
    local monotonic, wall = self.now()
    if not (type(note) == "string" and call:told(monotonic, wall, note)) then
      call:stand_back(monotonic, wall)
    end
  end
end

--- Finds the call a token, or has it fetch one. Returns what the call does next.
function Shared:seek(call)
  local search = { owner = core.nonce(), give_up = self.now() + PATIENCE, pause = FIRST_PAUSE }
  self:look(call, search)
  local action, first, second, third, fourth = call:next(self.now())
  while action == "seek" do
    if not self.host:wait(self.now() + search.pause, false) then
      return call:cancel()
    end
    search.pause = math.min(search.pause * 2, LAST_PAUSE)
    action, first, second, third, fourth = call:next(self.now())
    if action == "seek" then -- its time isn't over
      self:look(call, search)
      action, first, second, third, fourth = call:next(self.now())
    end
  end
  return action, first, second, third, fourth
end

-- Sharing -------------------------------------------------------------------------------------

--- Leaves what came of the call's fetch, and ends its claim. Returns what the call does next.
function Shared:share(call)
  local owner = self.owners[call]
  self.owners[call] = nil
  local kind, text, lasts = call:record(self:times())
  if kind == "token" then
    self:ask("save", text, math.ceil(lasts / 1000))
  end
  if owner and kind == "failure" then
    self:ask("release", owner, text, REASON_KEPT)
  elseif owner then
    self:ask("release", owner)
  end
  call:shared()
  return call:next(self.now())
end

return shared_token
