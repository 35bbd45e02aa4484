--- Starts spec/support/wire_server.lua as a child and ends it again.
local wire = {}

--- The Lua that runs the specs, for children.
function wire.interpreter()
  local first = 0
  while arg[first - 1] do
    first = first - 1
  end
  return os.getenv "KS_INTERPRETER" or arg[first]
end

local function make_directory()
  local pipe = assert(io.popen("mktemp -d", "r"))
  local directory = pipe:read "*l"
  pipe:close()
  return assert(directory)
end

local Server = {}
Server.__index = Server

--- A server with `plain`, `tls`, `expired`, `h2`, `proxy` (ports), `pin`, `other_pin`, `ca_file`.
function wire.start()
  local directory = make_directory()
  local pipe = assert(io.popen(("echo $$; exec %s spec/support/wire_server.lua %s"):format(
    wire.interpreter(), directory), "r"))
  local self = setmetatable({ directory = directory, pipe = pipe, pid = pipe:read "*l",
    ca_file = directory .. "/ca.pem" }, Server)
  local line = pipe:read "*l"
  assert(line, "the server did not start")
  for key, value in line:gmatch "(%S-)=(%S+)" do
    self[key] = tonumber(value) or value
  end
  return self
end

function Server:stop()
  os.execute("kill " .. self.pid .. " 2>/dev/null")
  self.pipe:close()
  os.execute("rm -rf " .. self.directory)
end

--- A URL of the plain server.
function Server:url(path)
  return ("http://127.0.0.1:%d%s"):format(self.plain, path)
end

return wire
