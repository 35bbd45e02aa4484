--- `keysecure emulator`: the platform on your own machine, until Ctrl-C.
local api = require "keysecure.api"
local options = require "keysecure.emulator.options"

local emulator = {}

-- The well-known address is where a client that is told nothing looks.
local DEFAULTS = { port = api.environments.emulator.address:match(":(%d+)$"), log = "stderr" }

local function flag_of(option)
  return "--" .. option.name:gsub("_", "-")
end

local function add_option(parser, option)
  if option.type == "boolean" then
    parser:flag(flag_of(option), option.help):target(option.name)
    return
  end
  local default = DEFAULTS[option.name]
  if default == nil and type(option.default) ~= "table" then
    default = option.default
  end
  local help = option.help
  if default ~= nil then
    help = help .. " (" .. tostring(default) .. ")"
  end
  local added = parser:option(flag_of(option), help):target(option.name)
  if option.type == "numbers" then
    added:args("+")
  end
end

--- Adds the sub-command; its options are those of the emulator.
---@param parser table
function emulator.describe(parser)
  local sub = parser:command("emulator", "Run the platform on this machine.")
  sub:flag("--assumptions", "Say what is assumed where nothing is published, and end.")
  for _, option in ipairs(options.global) do
    add_option(sub, option)
  end
end

local NUMERIC = { number = true, integer = true }

local function numbers_of(texts)
  local result = {}
  for i, text in ipairs(texts) do
    result[i] = tonumber(text) or text
  end
  return result
end

local function value_of(option, value)
  if NUMERIC[option.type] then
    return tonumber(value) or value
  elseif option.type == "numbers" then
    return numbers_of(value)
  end
  return value
end

local function given_of(arguments)
  local given = {}
  for _, option in ipairs(options.global) do
    local value = arguments[option.name]
    if value == nil then
      value = DEFAULTS[option.name]
    end
    if value ~= nil then
      given[option.name] = value_of(option, value)
    end
  end
  return given
end

local function line_of(name, merchant)
  return string.format("  %-14s api_key %s  api_secret %s", name, merchant.api_key,
    merchant.api_secret)
end

local function how_to_point(ready)
  if ready.address == api.environments.emulator.address then
    return "  export KEYSECURE_ENVIRONMENT=emulator KEYSECURE_MODE=credit"
  end
  return "  export KEYSECURE_ENVIRONMENT=emulator KEYSECURE_MODE=credit KEYSECURE_ADDRESS="
    .. ready.address .. (ready.ca_file and " KEYSECURE_CA_FILE=" .. ready.ca_file or "")
end

local function announce(ready)
  print(string.format("keysecure emulator on %s (everything in %s; Ctrl-C ends it)", ready.address,
    ready.data or "memory"))
  local names = {}
  for name in pairs(ready.merchants) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    print(line_of(name, ready.merchants[name]))
  end
  print(how_to_point(ready))
  print(string.format("  page %s/  control %s/_emulator/… (docs/emulator.md)", ready.address,
    ready.address))
  io.stdout:flush()
end

local function print_assumptions()
  for _, assumption in ipairs(require "keysecure.assumptions") do
    print(string.format("%-4s %s", assumption.mark, assumption.text))
  end
  return 0
end

--- Serves until it is stopped.
---@param arguments table
---@return integer status
function emulator.run(arguments)
  if arguments.assumptions then
    return print_assumptions()
  end
  local ok, err = require("keysecure.emulator.run").serve(given_of(arguments),
    { ready = announce })
  if not ok then
    io.stderr:write("keysecure emulator: ", tostring(err), "\n")
    return 1
  end
  return 0
end

return emulator
