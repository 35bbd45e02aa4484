--- Runs an emulator in this process until it is told to stop: by SIGINT or SIGTERM, by the end of
--- its lifeline, or by the caller.
local needs = require "keysecure.emulator.needs"
local cqueues = needs "cqueues"
local signal = needs "cqueues.signal"
local clock = require "keysecure.emulator.clock"
local log = require "keysecure.emulator.log"
local options = require "keysecure.emulator.options"
local platform = require "keysecure.emulator.platform"

local run = {}

local function write_file(path, text)
  local file, err = io.open(path, "w")
  if not file then
    return nil, err
  end
  file:write(text)
  file:close()
  return true
end

-- The context for TLS and where its CA went; neither without TLS.
local function secure(config)
  if not config.tls then
    return true
  end
  local context, pem = require("keysecure.emulator.certificate").new()
  local path = config.ca_file or os.tmpname()
  local ok, err = write_file(path, pem)
  if not ok then
    return nil, err
  end
  return context, path
end

local function merchants_of(emulated)
  local result = {}
  for name, merchant in pairs(emulated.merchants.by_name) do
    result[name] = { api_key = merchant.api_key, api_secret = merchant.api_secret,
      mode = merchant.mode }
  end
  return result
end

local function spawner(cq, log_file)
  local protected = needs "http.util".yieldable_pcall
  return function(fn)
    cq:wrap(function()
      local ok, err = protected(fn)
      if not ok then
        log_file:failure("the background", err)
      end
    end)
  end
end

local function watch_signals(cq, stop)
  signal.block(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
  local listener = signal.listen(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
  cq:wrap(function()
    listener:wait()
    stop()
  end)
end

-- Standard input is held by the parent: a line "stop", or its end, ends the emulator.
local function watch_lifeline(cq, stop)
  cq:wrap(function()
    repeat
      cqueues.poll { pollfd = 0, events = "r" }
      local line = io.read("*l")
    until not line or line == "stop"
    stop()
  end)
end

local function address_of(config, port)
  local host = config.host:find(":", 1, true) and "[" .. config.host .. "]" or config.host
  return string.format("%s://%s:%d", config.tls and "https" or "http", host, port)
end

local function open(given, cq)
  local fault = options.config_fault(given, {}, false)
  if fault then
    return nil, fault
  end
  local config = options.defaults(given)
  local time = clock.new()
  local log_file, err = log.open(config.log, time)
  if not log_file then
    return nil, err
  end
  local data
  if config.data then
    data, err = require("keysecure.emulator.journal").open(config.data)
    if not data then
      return nil, err
    end
  end
  local emulated
  emulated, err = platform.new(given, { clock = time, log = log_file, journal = data,
    spawn = spawner(cq, log_file) })
  if not emulated then
    return nil, err
  end
  return emulated, config
end

local function close(emulated)
  if emulated.journal then
    emulated.journal:close()
  end
  emulated.log:close()
end

local function listen(emulated, config, cq)
  local context, ca_file = secure(config)
  if not context then
    return nil, ca_file
  end
  local listening, err = require("keysecure.emulator.server").listen(emulated, { cq = cq,
    host = config.host, port = config.port, context = config.tls and context or nil })
  if not listening then
    return nil, string.format("cannot listen on %s port %d: %s", config.host, config.port,
      tostring(err))
  end
  return { address = address_of(config, listening.port), ca_file = ca_file,
    data = config.data, merchants = merchants_of(emulated), server = listening.server }
end

local function loop(cq, stopping, log_failure)
  while not stopping.now do
    local ok, err = cq:step()
    if not ok then
      log_failure(err)
    end
  end
end

--- What to tell whoever waits for the emulator.
---@class keysecure.emulator.Ready
---@field address string
---@field ca_file? string                    CA certificate (PEM) to trust, with TLS
---@field data? string                       the file that keeps everything
---@field merchants table<string, table>     api_key, api_secret, mode by name

--- Serves until stopped.
---@param given table                        options
---@param hooks { ready: fun(ready: keysecure.emulator.Ready), lifeline: boolean|nil }
---@return boolean|nil ok  true once it has been stopped
---@return string|nil err  why it could not start
function run.serve(given, hooks)
  local cq = cqueues.new()
  local emulated, config = open(given, cq)
  if not emulated then
    return nil, config
  end
  local ready, err = listen(emulated, config, cq)
  if not ready then
    return nil, err
  end
  local stopping = {}
  local function stop()
    stopping.now = true
  end
  watch_signals(cq, stop)
  if hooks.lifeline then
    watch_lifeline(cq, stop)
  end
  cq:wrap(function() emulated.scheduler:run() end)
  hooks.ready(ready)
  loop(cq, stopping, function(reason) emulated.log:failure("the loop", reason) end)
  ready.server:close()
  if ready.ca_file then
    os.remove(ready.ca_file)
  end
  close(emulated)
  return true
end

return run
