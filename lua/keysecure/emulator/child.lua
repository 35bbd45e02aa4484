--- The child process that `keysecure.emulator`.start makes: options come from a file that it
--- removes, one line of JSON on standard output says that it is ready, standard input is its
--- lifeline.
local json = require "keysecure.emulator.json"

local child = {}

local function say(line)
  io.stdout:write(line, "\n")
  io.stdout:flush()
end

local function read_options(path)
  local file = assert(io.open(path, "r"))
  local text = file:read("*a")
  file:close()
  os.remove(path)
  return assert(json.decode_object(text), "unreadable options")
end

local function serve(path)
  local given = read_options(path)
  local ok, err = require("keysecure.emulator.run").serve(given, {
    lifeline = true,
    ready = function(ready)
      say(json.encode { address = ready.address, ca_file = ready.ca_file,
        merchants = ready.merchants, pid = os.getenv "KS_EMULATOR_PID" })
    end,
  })
  if not ok then
    error(err, 0)
  end
end

--- Ends the process when done; the directory of the options goes with it.
---@param path string  the file with the options
function child.main(path)
  local ok, err = pcall(serve, path)
  if not ok then
    say(tostring(err))
  end
  os.remove((path:gsub("/[^/]*$", "")))
  os.exit(ok and 0 or 1)
end

return child
