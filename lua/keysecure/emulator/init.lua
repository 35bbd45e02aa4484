--- The platform on your own machine, as a child process.
--
--    local emulator = assert(require("keysecure.emulator").start { kyc_delay = 0 })
--    print(emulator.address, emulator.merchants.credit.api_key)
--    emulator:control("POST", "faults", { operation = "cards.apply", code = 1001 })
--    emulator:stop()
--
-- The child can't outlive its parent: its standard input is a pipe that the parent holds, and it
-- ends when that does. A handle that is collected as garbage ends it too.
local emulator = {}

--- A running emulator.
---@class keysecure.Emulator
---@field address string                  such as "http://127.0.0.1:40123"
---@field ca_file? string                 CA certificate (PEM) to trust, with tls
---@field merchants table<string, table>  api_key, api_secret and mode; "credit", "authorization"
---@field pid string                      of its process
local Emulator = {}
Emulator.__index = Emulator

local CONTROL_TIMEOUT = 60 -- seconds

-- Starting ------------------------------------------------------------------------------------

local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- The interpreter that runs now, or one of the same version where that can't be known.
local function own_interpreter()
  local arguments = rawget(_G, "arg") or {}
  local i = -1
  while arguments[i - 1] do
    i = i - 1
  end
  return arguments[i] or os.getenv("LUA") or (rawget(_G, "jit") and "luajit")
    or "lua" .. _VERSION:match("%d+%.%d+")
end

local function private_directory()
  local pipe = assert(io.popen([[mktemp -d "${TMPDIR:-/tmp}/keysecure-emulator.XXXXXX"]], "r"))
  local path = pipe:read("*l")
  pipe:close()
  return path
end

local function write_options(path, given)
  local json = require "keysecure.emulator.json"
  local file, err = io.open(path, "w")
  if not file then
    return nil, err
  end
  file:write(json.encode(given))
  file:close()
  return true
end

-- Lua that finds its modules where this process does, and says on standard output what went wrong.
local function bootstrap(options_path)
  return string.format([[package.path, package.cpath = %q, %q
    local ok, child = pcall(require, "keysecure.emulator.child")
    if ok then child.main(%q) end
    io.stdout:write(tostring(child), "\n") os.exit(1)]], package.path, package.cpath,
    options_path)
end

-- The shell opens the FIFO, so that a child that never comes up is an end of file and not a hang.
local function command_line(lua, fifo, options_path)
  local absent = "cannot start " .. lua .. ": no such interpreter"
  return string.format("exec >%s; command -v %s >/dev/null || { echo %s; exit 127; }; "
    .. "KS_EMULATOR_PID=$$ exec %s -e %s", quoted(fifo), quoted(lua), quoted(absent), quoted(lua),
    quoted(bootstrap(options_path)))
end

local function first_line(path)
  local file = assert(io.open(path, "r"))
  local line = file:read("*l")
  local rest = line and line:sub(1, 1) ~= "{" and file:read("*a")
  file:close()
  return rest and line .. "\n" .. rest or line
end

local function launch(lua, given, directory)
  local fifo, options_path = directory .. "/ready", directory .. "/options"
  local ok, err = write_options(options_path, given)
  if not ok then
    return nil, err
  end
  os.execute("mkfifo -m 600 " .. quoted(fifo))
  local lifeline = assert(io.popen(command_line(lua, fifo, options_path), "w"))
  local line = first_line(fifo)
  os.remove(fifo)
  os.remove(options_path)
  return lifeline, line
end

local function split_options(given)
  local options = require "keysecure.emulator.options"
  local rest = {}
  for name, value in pairs(given or {}) do
    rest[name] = value
  end
  local lua = rest.lua
  rest.lua = nil
  local fault = options.config_fault(rest, {}, false)
    or (lua ~= nil and type(lua) ~= "string" and "lua: string expected")
  if fault then
    error("emulator: " .. fault, 3)
  end
  return rest, lua or own_interpreter()
end

--- Starts an emulator in a process of its own and waits until it listens.
--
-- Takes the options of `keysecure.emulator.options`, among them `port` (a free one), `tls`, `log`,
-- `data`, `callback_url`, `kyc_delay`, `issue_delay`, `merchants`, and `lua`, the interpreter to
-- run it with (the one that runs now). Raises for an option that there isn't or that can't be.
---@param given? table
---@return keysecure.Emulator|nil
---@return string|nil err
function emulator.start(given)
  local rest, lua = split_options(given)
  local directory = private_directory()
  if not directory then
    return nil, "cannot make a temporary directory"
  end
  if rest.tls and not rest.ca_file then
    rest.ca_file = directory .. "/ca.pem"
  end
  local lifeline, line = launch(lua, rest, directory)
  local ready = lifeline and line
    and require("keysecure.emulator.json").decode_object(line)
  if not ready then
    if lifeline then
      lifeline:close()
    end
    os.remove(directory)
    return nil, line or "the emulator ended before it was ready"
  end
  return setmetatable({ address = ready.address, ca_file = ready.ca_file,
    merchants = ready.merchants, pid = ready.pid, lifeline = lifeline }, Emulator)
end

-- Using ---------------------------------------------------------------------------------------

local function control_request(self, method, path, body)
  local needs = require "keysecure.emulator.needs"
  local json = require "keysecure.emulator.json"
  local request = needs "http.request".new_from_uri(self.address .. "/_emulator/" .. path)
  request.proxies, request.hsts, request.cookie_store = false, false, false
  request.headers:upsert(":method", method)
  request.headers:delete("user-agent")
  if body then
    request.headers:upsert("content-type", "application/json")
    request:set_body(json.encode(body))
    request.headers:delete("expect")
  end
  if self.ca_file then
    local context = needs "http.tls".new_client_context()
    local store = needs "openssl.x509.store".new()
    store:add(self.ca_file)
    context:setStore(store)
    request.ctx = context
  end
  return request
end

--- Asks a control endpoint.
---@param method "GET"|"POST"|"DELETE"
---@param path string   after `/_emulator/`, such as "stats"
---@param body? table
---@return table|nil answer
---@return string|nil err
function Emulator:control(method, path, body)
  local json = require "keysecure.emulator.json"
  local headers, stream = control_request(self, method, path, body):go(CONTROL_TIMEOUT)
  if not headers then
    return nil, tostring(stream)
  end
  local text, err = stream:get_body_as_string(CONTROL_TIMEOUT)
  stream:shutdown()
  local answer = text and json.decode_object(text)
  if not answer then
    return nil, err and tostring(err) or "no JSON in the answer"
  elseif headers:get ":status" ~= "200" then
    return nil, answer.error or "HTTP " .. headers:get ":status"
  end
  return answer
end

local function must(self, method, path, body)
  local answer, err = self:control(method, path, body)
  if not answer then
    error("emulator: " .. tostring(err), 3)
  end
  return answer
end

--- Breaks answers or callbacks to come, as `POST /_emulator/faults` does; raises where the fault is
--- none: `emulator:fault { operation = "cards.apply", answer = "closed", after = true }`.
---@param fault table
function Emulator:fault(fault)
  must(self, "POST", "faults", fault)
end

--- Moves the emulator's clock, as `POST /_emulator/clock` does: `advance` (seconds), `set` (a date
--- in UTC+8, or Unix milliseconds), `skew` (seconds that it is wrong). Comes back once all that
--- fell due on the way has happened.
---@param change { advance: number|nil, set: string|number|nil, skew: number|nil }
---@return { now: number, life: number, advanced: number, skew: number }
function Emulator:clock(change)
  return must(self, "POST", "clock", change)
end

--- Forgets everything.
function Emulator:reset()
  must(self, "POST", "reset")
end

--- Stops the emulator and waits until it has ended. May be called again.
function Emulator:stop()
  local lifeline = self.lifeline
  if lifeline then
    self.lifeline = nil
    lifeline:close()
  end
end

return emulator
