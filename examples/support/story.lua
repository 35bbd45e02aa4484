-- Tells a story in a terminal: numbered steps, under each what is called and what came back.
--
-- `tell:call` takes what a call of the library returns, value and error, as `assert` does: it
-- prints the value and returns it, or ends the story with the error.
local core = require "keysecure.core"

---@class Story
---@field steps integer  told so far
local Story = {}
Story.__index = Story

local story = {}

local CALLBACK_TIMEOUT = 3 -- seconds until a callback has to be here

--- Begins a story.
---@param title string
---@param receiver? table  of support.receiver: where callbacks come in; without one none is awaited
---@return Story
function story.begin(title, receiver)
  print(title)
  print(("="):rep(#title))
  return setmetatable({ steps = 0, receiver = receiver, began = core.monotonic() }, Story)
end

--- Begins the next step.
function Story:step(title)
  self.steps = self.steps + 1
  self.title = title
  print(string.format("\n%2d. %s", self.steps, title))
  io.stdout:flush()
end

local function line(left, right)
  print(string.format("      %-30s %s", left, right))
  io.stdout:flush()
end

local function plain_fields(row)
  local names = {}
  for name, value in pairs(row) do
    if type(value) ~= "table" then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  for i, name in ipairs(names) do
    names[i] = name .. " " .. tostring(row[name])
  end
  return table.concat(names, ", ")
end

-- The library's objects print themselves, without their secrets; other tables are lists or rows.
local function describe(value)
  local text = tostring(value)
  if type(value) ~= "table" or not text:find "^table: " then
    return text
  elseif #value > 0 then
    return #value == 1 and "1 row" or #value .. " rows"
  end
  return next(value) == nil and "nothing" or plain_fields(value)
end

--- What a call gave; ends the story where it failed.
function Story:call(called, value, err)
  line(called, describe(story.must(value, err)))
  return value
end

--- Something worth saying.
function Story:note(name, text)
  line(name, text)
end

--- Ends the story where something isn't what it has to be.
function Story:check(what, actual, expected)
  if actual ~= expected then
    error(string.format("%s is %s, not %s", what, tostring(actual), tostring(expected)), 0)
  end
end

--- Waits for the callback of an action about this card or consumption, and says what the receiver
-- made of it. Others, perhaps repeats of what an earlier run left unanswered, are passed over.
function Story:callback(action, number)
  if not self.receiver then
    return
  end
  local deadline, other = core.monotonic() + CALLBACK_TIMEOUT * 1000, nil
  repeat
    local came = self.receiver:line((deadline - core.monotonic()) / 1000)
    if came and came:find("^" .. action .. " ") and came:find(number, 1, true) then
      return line("  callback", came)
    end
    other = came or other
  until not came
  error(string.format("no %s callback for %s came to %s within %g s (%s)", action, number,
    self.receiver.url, CALLBACK_TIMEOUT, other and "but: " .. other
      or "is that where the merchant's callbacks go?"), 0)
end

--- Runs `fn(…)`, which tells a story; says where it failed, if it did.
---@return boolean ok
---@return any result  what `fn` returned
function story.run(fn, ...)
  local ok, result = pcall(fn, ...)
  if not ok then
    print("\nfailed: " .. tostring(result))
    io.stdout:flush()
  end
  return ok, result
end

--- Whether the script `name` is the one that was started, not one that another script loaded.
function story.is_main(name)
  local file = (arg[0] or ""):match "[^/]*$"
  return file == name .. ".lua"
end

--- What tells this run's numbers from those of other runs: the first argument, or the time.
function story.run_name()
  return arg[1] or string.format("%.0f", core.wall())
end

--- As `assert`, which PUC Lua 5.1 has for texts only.
function story.must(value, err)
  if not value then
    error(err, 0)
  end
  return value
end

--- The applicant's identity, as Sumsub shares it. The emulator takes any.
function story.share_token()
  local token = os.getenv "SUMSUB_SHARE_TOKEN" or ""
  return token ~= "" and token or "share-token"
end

--- Start and end of a time that today is in, in every time zone.
function story.days_around_today()
  local now = os.time()
  return { start_time = os.date("!%Y-%m-%d", now - 86400),
    end_time = os.date("!%Y-%m-%d", now + 86400) }
end

--- Ends the process after a story that ran alone.
function story.finish(ok, tell)
  if ok then
    print(string.format("\n%d steps, all as they should be", tell.steps))
  end
  os.exit(ok and 0 or 1)
end

return story
