--- A real redis-server, listening on a Unix socket and a free port, keeping nothing on disk.
local core = require "keysecure.core"
local nginx = require "spec.support.nginx"

local redis = {}

---@class spec.Redis
---@field port integer
---@field address string  host and port
---@field path string     its Unix socket
local Server = {}
Server.__index = Server

local START_LIMIT = 20000 -- milliseconds

local function line_of(command)
  local pipe = assert(io.popen(command, "r"))
  local line = pipe:read "*l"
  pipe:close()
  return assert(line)
end

--- A client of redis-lua.
function Server:client()
  local unix = require "socket.unix"
  local stream = assert((type(unix) == "table" and unix.stream or unix)())
  stream:settimeout(5)
  assert(stream:connect(self.path))
  local client = require "redis".connect { socket = stream }
  if self.password then
    client:auth(self.password)
  end
  return client
end

-- It can't outlive its parent: a shell that holds it waits for the pipe from here to close.
function Server:launch()
  self.lifeline = assert(io.popen(("redis-server --port %d --bind 127.0.0.1 --unixsocket %s"
    .. " --save '' --appendonly no --dir %s %s >%s/log 2>&1 & echo $! >%s/pid; read _;"
    .. " kill -9 $(cat %s/pid)"):format(self.port, self.path, self.directory,
    self.password and "--requirepass " .. self.password or "", self.directory, self.directory,
    self.directory), "w"))
  local deadline = core.monotonic() + START_LIMIT
  repeat
    core.sleep(5)
    local ok, answer = pcall(function() return self:client():ping() end)
    if ok and answer then
      return self
    end
  until core.monotonic() > deadline
  error("redis-server did not start: " .. line_of("tail -n 1 " .. self.directory .. "/log"))
end

--- Starts a server.
---@param options? {password: string?}
function redis.start(options)
  local directory, port = line_of "mktemp -d", tonumber(nginx.free_port())
  return setmetatable({ directory = directory, path = directory .. "/socket", port = port,
    address = ("127.0.0.1:%d"):format(port), password = options and options.password },
    Server):launch()
end

--- Sends it a signal, such as "STOP" and "CONT".
function Server:signal(name)
  os.execute(("kill -%s $(cat %s/pid)"):format(name, self.directory))
end

--- Ends it; `launch` starts it again, empty.
function Server:halt()
  if self.lifeline then
    self.lifeline:close()
    self.lifeline = nil
  end
end

function Server:stop()
  self:halt()
  os.execute("rm -rf " .. self.directory)
end

return redis
