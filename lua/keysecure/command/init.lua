--- The command line. Each part is a module of this folder with `describe(parser)`, which adds its
--- sub-commands and may answer their names (otherwise it has one, of the module's name), and
--- `run(arguments)`, which answers the exit status.
local core = require "keysecure.core"

local command = {}

local PARTS = { "operations", "emulator", "listen", "journal", "probe" }

local MISUSE = 2

local function argparse()
  local ok, result = pcall(require, "argparse")
  if ok then
    return result
  end
  io.stderr:write("the command line needs argparse: luarocks install argparse\n")
  return nil
end

local function version()
  print("keysecure " .. core.version)
  os.exit(0)
end

-- The parser, and which module runs which sub-command.
local function build(new_parser)
  local parser = new_parser("keysecure", "Issues payment cards on the KeySecure platform.",
    "keysecure help COMMAND [VERB] says more; docs/command.md all of it.")
  parser:flag("--version", "Say which version this is."):action(version)
  parser:require_command(true)
  parser:command_target "subcommand"
  local modules = {}
  for _, part in ipairs(PARTS) do
    local module = require("keysecure.command." .. part)
    for _, name in ipairs(module.describe(parser) or { part }) do
      modules[name] = module
    end
  end
  return parser, modules
end

-- `keysecure help cards apply` is `keysecure cards apply --help`.
local function normalized(arguments)
  if arguments[1] ~= "help" then
    return arguments
  end
  local result = {}
  for i = 2, #arguments do
    result[i - 1] = arguments[i]
  end
  result[#result + 1] = "--help"
  return result
end

local function complain(problem)
  local line = tostring(problem):gsub("\nDid you", "; did you"):gsub("%c+", " ")
  io.stderr:write("keysecure: ", line, "\n")
end

--- Runs what the arguments ask for.
---@param arguments string[]
---@return integer status  for os.exit
function command.main(arguments)
  local new_parser = argparse()
  if not new_parser then
    return 1
  end
  local parser, modules = build(new_parser)
  local ok, parsed = parser:pparse(normalized(arguments))
  if not ok then
    complain(parsed .. (#arguments == 0 and ": keysecure help lists them" or ""))
    return MISUSE
  end
  local ran, status = pcall(modules[parsed.subcommand].run, parsed)
  if not ran then
    complain(status)
    return 1
  end
  return status
end

return command
