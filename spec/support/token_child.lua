--- A process that makes calls with a shared token, for the specs: token_child.lua STORE COUNT;
--- STORE is file:DIRECTORY or redis:SOCKET, the rest comes from the environment. Says on its first
--- line that it begins, and on its second how many calls succeeded, and the first failure.
local keysecure = require "keysecure"

local which, count = arg[1], tonumber(arg[2])
local kind, path = which:match "^(%l+):(.*)$"
local ks = assert(keysecure.from_env { timeout = 60,
  token_store = require("keysecure.token_store." .. kind).new {
    [kind == "file" and "directory" or "path"] = path, timeout = kind == "redis" and 5 or nil },
  on_event = function(event)
    if event.event == "token_store" then
      print("broken " .. event.message)
    end
  end })

print "begun"
io.stdout:flush()
local succeeded, failure = 0, nil
for _ = 1, count do
  local list, err = ks.cards:packages()
  succeeded = succeeded + (list and 1 or 0)
  failure = failure or err
end
print(succeeded .. " " .. tostring(failure))
