--- Lua programs that specs start as processes of their own, and end.
local child = {}

--- The Lua that runs the specs.
function child.interpreter()
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

local Child = {}
Child.__index = Child

--- Starts a script, which is given a directory of its own and says on its first line, as words
--- `key=value`, what others should know: these become fields beside `directory` and `pid`.
---@param script string
function child.start(script)
  local directory = make_directory()
  local pipe = assert(io.popen(("echo $$; exec %s %s %s"):format(
    child.interpreter(), script, directory), "r"))
  local self = setmetatable({ directory = directory, pipe = pipe, pid = pipe:read "*l" }, Child)
  local line = pipe:read "*l"
  assert(line, script .. " did not start")
  for key, value in line:gmatch "(%S-)=(%S+)" do
    self[key] = tonumber(value) or value
  end
  return self
end

function Child:stop()
  os.execute("kill " .. self.pid .. " 2>/dev/null")
  self.pipe:close()
  os.execute("rm -rf " .. self.directory)
end

return child
