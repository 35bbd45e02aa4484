--- The command line. Each sub-command is a module of this folder with `describe(parser)`, which
--- adds its options, and `run(arguments)`, which answers the exit status.
local core = require "keysecure.core"

local command = {}

local SUBCOMMANDS = { "emulator" }

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

local function build(new_parser)
  local parser = new_parser("keysecure", "Issues payment cards on the KeySecure platform.")
  parser:flag("--version", "Say which version this is."):action(version)
  parser:require_command(true)
  parser:command_target "subcommand"
  for _, name in ipairs(SUBCOMMANDS) do
    require("keysecure.command." .. name).describe(parser)
  end
  return parser
end

--- Runs what the arguments ask for.
---@param arguments string[]
---@return integer status  for os.exit
function command.main(arguments)
  local new_parser = argparse()
  if not new_parser then
    return 1
  end
  local parsed = build(new_parser):parse(arguments)
  local ok, status = pcall(require("keysecure.command." .. parsed.subcommand).run, parsed)
  if not ok then
    io.stderr:write("keysecure: ", tostring(status), "\n")
    return 1
  end
  return status
end

return command
