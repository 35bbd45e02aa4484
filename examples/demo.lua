-- Both stories, told to an emulator on this machine: what `./dev demo` runs.
--
-- It starts the emulator and, for each story, a callback receiver; all of them are children that
-- end with this process. Ends with 0 when every step did what it should.
package.path = (arg[0]:match "^.*/" or "./") .. "?.lua;" .. package.path
local core = require "keysecure.core"
local emulators = require "keysecure.emulator"
local keysecure = require "keysecure"
local receivers = require "support.receiver"
local story = require "support.story"

local STORIES = {
  { mode = "credit", module = "credit_story" },
  { mode = "authorization", module = "authorization_story" },
}

-- The emulator's accounts are known to all, so a receiver finds its own by these; the variables of
-- whoever runs the demo, an account in the sandbox perhaps, are kept away from it.
local function start_receiver(mode)
  return receivers.start(0, { KEYSECURE_ENVIRONMENT = "emulator", KEYSECURE_MODE = mode,
    KEYSECURE_API_KEY = "", KEYSECURE_API_SECRET = "" })
end

local function tell_one(emulator, mode, module)
  local receiver = start_receiver(mode)
  story.must(emulator:control("POST", "config", {
    merchants = { [mode] = { callback_url = receiver.url } } }))
  local ks = story.must(keysecure.new {
    environment = "emulator", address = emulator.address, mode = mode, proxy = "" })
  print("")
  local ok, tell = story.run(require(module).tell, ks, "demo", receiver)
  ks:close()
  receiver:stop()
  return ok and tell.steps
end

-- How many steps were told; nothing where one failed.
local function tell_all(emulator)
  local steps = 0
  for _, entry in ipairs(STORIES) do
    local told = tell_one(emulator, entry.mode, entry.module)
    if not told then
      return nil
    end
    steps = steps + told
  end
  return steps
end

local began = core.monotonic()
local emulator, err = emulators.start()
if not emulator then
  print("failed: the emulator does not start: " .. tostring(err))
  os.exit(1)
end
print("The platform is an emulator on " .. emulator.address .. "; nothing leaves this machine.")

local ok, steps = story.run(tell_all, emulator)
emulator:stop()
if ok and steps then
  print(string.format("\ndemo: %d stories, %d steps, all as they should be, in %.1f s", #STORIES,
    steps, (core.monotonic() - began) / 1000))
else
  print("demo: failed")
end
os.exit(ok and steps and 0 or 1)
