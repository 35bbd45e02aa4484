--- `keysecure listen`: takes callbacks on this machine and prints them, until Ctrl-C.
--
-- A handler file returns handlers by action: `return { Auth = function(event) … end, … }`; or a
-- function that is given the webhook.
local listen = {}

local PORT = 8788

--- Adds the sub-command.
---@param parser table
function listen.describe(parser)
  local sub = parser:command("listen", "Take callbacks on this machine and print them.")
  sub:option("--port", "Port to listen on; 0 takes a free one."):convert(tonumber):default(PORT)
    :show_default(true)
  sub:option("--host", "Address to listen on."):default "127.0.0.1":show_default(true)
  sub:option("--handler", "Lua file that returns handlers; without one, every Auth is declined.")
  sub:option("--budget", "Seconds for an authorization (0.6)."):convert(tonumber)
  sub:option("--journal", "File to write what was answered into, as lines of JSON.")
end

local function say(...)
  io.stdout:write(...)
  io.stdout:write "\n"
  io.stdout:flush()
end

local function writer(path)
  if not path then
    return nil
  end
  return require("keysecure.webhook.journal").open(path)
end

local function make(arguments, journal)
  local describe = require "keysecure.webhook.describe"
  return require("keysecure.webhook").from_env {
    budget = arguments.budget,
    journal = function(entry)
      say(os.date "%H:%M:%S ", describe(entry))
      if journal then
        journal:write(entry)
      end
    end,
    on_refused = function(reason, status)
      say(os.date "%H:%M:%S ", string.format("%-12s %d %s", "refused", status, reason))
    end,
  }
end

local function add_handlers(hook, path)
  local chunk, err = loadfile(path)
  if not chunk then
    return nil, err
  end
  local handlers = chunk()
  if type(handlers) == "function" then
    handlers(hook)
  elseif type(handlers) == "table" then
    for action, handler in pairs(handlers) do
      hook:on(action, handler)
    end
  else
    return nil, path .. " returns neither handlers nor a function"
  end
  return true
end

local function nothing() end

local function refuse_all()
  return false, "nobody decides here"
end

local function prepare(arguments)
  local journal, err = writer(arguments.journal)
  if err then
    return nil, err
  end
  local hook
  hook, err = make(arguments, journal)
  if not hook then
    return nil, err
  end
  hook:on("*", nothing):on("Auth", refuse_all)
  local ok = true
  if arguments.handler then
    ok, err = add_handlers(hook, arguments.handler)
  end
  return ok and hook, err
end

local function stop_on_signal(server)
  local signal = require "cqueues.signal"
  signal.block(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
  local listener = signal.listen(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
  server.loop:wrap(function()
    listener:wait()
    server:close()
  end)
end

--- Serves until it is stopped.
---@param arguments table
---@return integer status
function listen.run(arguments)
  local hook, err = prepare(arguments)
  local server
  if hook then
    server, err = require("keysecure.webhook.server").listen { hook = hook,
      host = arguments.host, port = arguments.port }
  end
  if not server then
    io.stderr:write("keysecure listen: ", tostring(err), "\n")
    return 1
  end
  stop_on_signal(server)
  say("listening on ", server.url, " (Ctrl-C ends it)")
  local ok
  ok, err = server:run()
  if not ok then
    io.stderr:write("keysecure listen: ", tostring(err), "\n")
  end
  return ok and 0 or 1
end

return listen
