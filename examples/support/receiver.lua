-- Runs callback_receiver.lua as a child of this process, which ends with it, and reads what it
-- prints.
local core = require "keysecure.core"

local Receiver = {}
Receiver.__index = Receiver

local receiver = {}

local HERE = debug.getinfo(1, "S").source:match "^@(.*/)"
local START_TIMEOUT = 5 -- seconds

local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function own_interpreter()
  local i = 0
  while arg[i - 1] do
    i = i - 1
  end
  return arg[i]
end

local function command_line(port, environment, output)
  local words = {}
  for name, value in pairs(environment) do
    words[#words + 1] = name .. "=" .. quoted(value)
  end
  words[#words + 1] = quoted(own_interpreter())
  words[#words + 1] = "-e " .. quoted(string.format("package.path, package.cpath = %q, %q",
    package.path, package.cpath))
  words[#words + 1] = quoted(HERE .. "../callback_receiver.lua")
  words[#words + 1] = string.format("%d --with-parent", port)
  return string.format("exec >%s 2>&1; %s; echo ended", quoted(output), table.concat(words, " "))
end

--- Starts a receiver and waits until it listens.
---@param port integer         0 takes a free one
---@param environment table<string, string>  variables for it; no secrets, other users can see them
---@return table receiver  with the address `url`; raises where it does not start
function receiver.start(port, environment)
  local path = os.tmpname()
  local lifeline = assert(io.popen(command_line(port, environment, path), "w"))
  local self = setmetatable({ lifeline = lifeline, output = assert(io.open(path, "r")), rest = "" },
    Receiver)
  local line = self:line(START_TIMEOUT)
  os.remove(path)
  self.url = line and line:match "^listening on (%S+)"
  if not self.url then
    self:stop()
    error(line or "the receiver did not start within " .. START_TIMEOUT .. " s", 0)
  end
  return self
end

--- The next line that it prints.
---@param seconds number  how long to wait for one
---@return string|nil
function Receiver:line(seconds)
  local deadline = core.monotonic() + seconds * 1000
  while true do
    self.rest = self.rest .. (self.output:read "*a" or "")
    local line, rest = self.rest:match "^([^\n]*)\n(.*)$"
    if line then
      self.rest = rest
      return line
    elseif core.monotonic() >= deadline then
      return nil
    end
    core.sleep(5)
  end
end

--- Ends it.
function Receiver:stop()
  self.lifeline:close()
  self.output:close()
end

return receiver
