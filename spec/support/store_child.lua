--- A process that uses a token store, for the specs: store_child.lua WHAT STORE KEY [N]; STORE is
--- file:DIRECTORY or redis:SOCKET.
local core = require "keysecure.core"

local what, which, key, number = arg[1], arg[2], arg[3], arg[4]
local kind, path = which:match "^(%l+):(.*)$"
local store = require("keysecure.token_store." .. kind).new {
  [kind == "file" and "directory" or "path"] = path, timeout = kind == "redis" and 5 or nil }
local acts = {}

function acts.use()
  local saved, err = store:save(key, "text", 60)
  io.write(saved and "saved" or "not saved: " .. err, " ")
  io.write(store:claim(key, "owner", 60) and "claimed" or "not claimed", "\n")
end

-- Of all who run this, one wins each of 200 claims.
function acts.elect()
  for i = 1, 200 do
    local claimed, err
    repeat -- the lock may be busy on a busy machine
      claimed, err = store:claim(key .. i, number, 60)
    until claimed ~= nil
    assert(err == nil)
    print(claimed and "won" or "lost")
  end
end

local TEXTS = { ("a"):rep(8000), ("b"):rep(4000), "c" }

function acts.write()
  for i = 1, 3000 do
    assert(store:save(key, TEXTS[i % 3 + 1], 60))
  end
  assert(store:save(key, "end", 60))
end

function acts.read()
  local deadline = core.monotonic() + 60000
  local text
  repeat
    text = store:load(key)
    local whole = text == nil or text == "end"
    for _, one in ipairs(TEXTS) do
      whole = whole or text == one
    end
    if not whole then
      print("half: " .. #text)
      os.exit(1)
    end
  until text == "end" or core.monotonic() > deadline
  print(text == "end" and "whole" or "never ended")
end

acts[what]()
