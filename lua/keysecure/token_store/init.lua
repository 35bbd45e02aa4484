--- What a token store is: the place where processes that use one Api-Key keep its access token, so
-- that one of them fetches it for all.
--
-- A store is given as the option `token_store`. Four come with the library:
--
--     require("keysecure.token_store.memory").new()                   the clients of one process
--     require("keysecure.token_store.file").new { directory = … }     the processes of a machine
--     require("keysecure.token_store.redis").new { host = … }         a fleet
--     require("keysecure.token_store.shdict").new "keysecure_tokens"  the workers of one nginx
--
-- Without one a client keeps its token to itself. A store of your own is a table with the methods
-- below. It is a small thing: it keeps texts under keys, for a time, and lets one at a time claim a
-- key. What the texts mean is not its business. They are sealed with a key that only those who know
-- the Api-Key and its secret can make: whoever reads a store learns nothing, and what somebody else
-- wrote into it is not believed. They are printable ASCII without spaces, at most `MAX_TEXT` bytes
-- long; a key is 32 hex digits, and tells neither the Api-Key nor the address.
--
-- Methods may yield, where the client's host lets them (not under PUC Lua 5.1, which can't yield
-- out of a protected call). Whatever goes wrong in the world is `nil, err` with a text that holds
-- no secret; then, and where a method raises, the client fetches a token by itself, as without a
-- store. A method must give up in time: a call waits for it. All of them are called at the few
-- moments when a token is wanted, never for each call.
--
-- `load(key)` returns the text that was saved under the key last, by whomever; `nil` alone where
-- there is none, where its time is over, and where what is there can't be trusted.
--
-- `save(key, text, seconds)` replaces it: whoever loads gets the old text or the new one, never a
-- mixture. It may be forgotten after so many seconds, or sooner: this is a cache.
--
-- `claim(key, owner, seconds)` returns `true` where nobody held the key, and now `owner` (16 hex
-- digits, anew for each claim) does for so many seconds; or where `owner` held it already. It
-- returns `false` where somebody else does; with the note behind it, where one was left. Of many
-- who claim at once one gets `true`. A claim lapses by itself, since its owner may be dead.
--
-- `release(key, owner, note, seconds)` ends the claim of `owner`, and no other's. With a note the
-- key stays claimed for so many more seconds, and whoever claims it then is given the note.
--
-- `now()` may be missing. It returns milliseconds of a clock that all who share the store read
-- alike, and a text that names this run of it: under another name a time says nothing (a machine's
-- monotonic clock starts anew with the machine). With it, what is known of the server's clock is
-- shared as well.

---@class keysecure.TokenStore
---@field load fun(self, key: string): string|nil, string|nil
---@field save fun(self, key: string, text: string, seconds: number): true|nil, string|nil
---@field claim fun(self, key: string, owner: string, seconds: number): boolean|nil, string|nil
---@field release fun(self, key: string, owner: string, note?: string, seconds?: number): true|nil,
---  string|nil
---@field now? fun(self): number|nil, string|nil

local token_store = {}

--- Bytes of a text or a note, at most.
token_store.MAX_TEXT = 8 * 1024

local METHODS = { "load", "save", "claim", "release" }

--- What is missing for `store` to be one.
---@param store table
---@return string|nil
function token_store.fault(store)
  for _, name in ipairs(METHODS) do
    if type(store[name]) ~= "function" then
      return "a table with a function '" .. name .. "' expected (keysecure.token_store)"
    end
  end
end

return token_store
