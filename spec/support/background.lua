--- Runs a program beside the specs, reads what it prints, and ends it; it can't outlive this
--- process.
local core = require "keysecure.core"

local background = {}

local Background = {}
Background.__index = Background

local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- Ends the program when the pipe from here ends.
local HOLDER = "exec >/dev/null 2>&1; %s >%s 2>&1 & pid=$!; read -r _; kill -TERM $pid; "
  .. "wait $pid; echo \"ended with $?\" >>%s"

--- Starts it.
---@param words string[]
---@param environment? table<string, string>
function background.start(words, environment)
  local line = { "env" }
  for name, value in pairs(environment or {}) do
    line[#line + 1] = name .. "=" .. quoted(value)
  end
  for _, word in ipairs(words) do
    line[#line + 1] = quoted(word)
  end
  local path = os.tmpname()
  local lifeline = assert(io.popen(HOLDER:format(table.concat(line, " "), path, path), "w"))
  return setmetatable({ lifeline = lifeline, path = path, output = assert(io.open(path)),
    rest = "" }, Background)
end

--- The next line that it prints, or nil when none comes within so many seconds (20).
function Background:line(seconds)
  local limit = core.monotonic() + (seconds or 20) * 1000
  repeat
    self.rest = self.rest .. (self.output:read "*a" or "")
    local line, rest = self.rest:match "^([^\n]*)\n(.*)$"
    if line then
      self.rest = rest
      return line
    end
    core.sleep(5)
  until core.monotonic() > limit
end

--- The next line with this in it; raises where none comes.
function Background:expect(part)
  local seen = {}
  repeat
    local line = self:line()
    seen[#seen + 1] = line
    if line and line:find(part, 1, true) then
      return line
    end
  until not line
  error("no '" .. part .. "' in:\n" .. table.concat(seen, "\n"), 2)
end

--- Ends it as Ctrl-C would; answers what it still printed, its status in the last line.
function Background:stop()
  if not self.lifeline then
    return ""
  end
  self.lifeline:close()
  self.lifeline = nil
  local rest = self.rest .. (self.output:read "*a" or "")
  self.output:close()
  os.remove(self.path)
  return rest
end

return background
