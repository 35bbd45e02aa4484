--- A real nginx with the library on the path of its Lua: for the specs of everything that runs
--- inside OpenResty, and for benchmarks.
--
--    local server = nginx.start { workers = 2, server = [[
--      location = /now { content_by_lua_block { ngx.say(require("keysecure.core").wall()) } }
--    ]] }
--    local answer = server:get "/now"      -- status, body, headers
--    server:stop()                         -- raises where a worker crashed
--
-- It can't outlive its parent: a shell holds it, whose standard input is a pipe from here. When
-- that ends, because `stop` closed it or because this process is gone, so does nginx.
local nginx = {}

local START_LIMIT = 20 -- seconds

local function line_of(command)
  local pipe = assert(io.popen(command))
  local line = pipe:read "*l"
  pipe:close()
  return line
end

local function read(path)
  local file = io.open(path, "r")
  if not file then
    return ""
  end
  local text = file:read "*a"
  file:close()
  return text
end

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

local function pause()
  require "cqueues".sleep(0.02)
end

-- Whether to run -------------------------------------------------------------------------------

local function flavour()
  return os.getenv "KS_FLAVOUR" or (rawget(_G, "jit") and "luajit") or "lua54"
end

--- As `describe`, in the run under LuaJIT alone. The code under test runs in nginx's own LuaJIT,
--- whichever Lua the spec looks on from, so once is enough; and it is in this run that the library
--- built for LuaJIT is sure to be there.
function nginx.describe(name, body)
  if flavour() == "luajit" then
    require "busted".describe(name .. " #plain", body)
  end
end

local HTTP_PLACES = { "/usr/local/openresty/site/lualib", "/usr/local/share/lua/5.1",
  "/usr/share/lua/5.1" }

--- The folder that holds resty/http.lua, lua-resty-http, which Debian has not: what RESTY_HTTP
--- names, or where LuaRocks and OpenResty put it; nil where there is none.
---@return string|nil
function nginx.resty_http()
  local named = os.getenv "RESTY_HTTP"
  for _, place in ipairs(named and { named } or HTTP_PLACES) do
    local file = io.open(place .. "/resty/http.lua", "r")
    if file then
      file:close()
      return place
    end
  end
end

--- As `nginx.describe`, for what needs lua-resty-http; without it a pending test says so.
function nginx.describe_resty(name, body)
  if nginx.resty_http() then
    nginx.describe(name, body)
  elseif flavour() == "luajit" then
    require "busted".pending(name .. ": SKIPPED, for there is no lua-resty-http; name the folder "
      .. "that holds resty/http.lua in RESTY_HTTP")
  end
end

-- Configuration --------------------------------------------------------------------------------

local FRAME = [[
daemon off;
master_process on;
worker_processes @workers@;
pid @dir@/nginx.pid;
error_log @dir@/error.log @log_level@;
@user@
@modules@
@main@
events { worker_connections 4096; }
http {
  access_log off;
  default_type application/json;
  keepalive_requests 100000000;
  keepalive_timeout 600s;
  client_body_temp_path @dir@/body; proxy_temp_path @dir@/proxy;
  fastcgi_temp_path @dir@/fastcgi; uwsgi_temp_path @dir@/uwsgi; scgi_temp_path @dir@/scgi;
  client_body_buffer_size 1m;
  @paths@
  @http@
  server {
    listen 127.0.0.1:@port@ backlog=4096;
    @run@
    @server@
  }
}
]]

local RUN = "location = /run { content_by_lua_block { require 'spec.support.nginx_run'() } }"

local MODULES = "/usr/lib/nginx/modules/" -- Debian's and Alpine's; OpenResty has them built in

-- What makes ngx_lua of an nginx that doesn't have it built in.
local function module_lines()
  local lines = {}
  for _, name in ipairs { "ndk_http_module", "ngx_http_lua_module" } do
    local file = io.open(MODULES .. name .. ".so", "r")
    if file then
      file:close()
      lines[#lines + 1] = "load_module " .. MODULES .. name .. ".so;"
    end
  end
  return table.concat(lines, "\n")
end

-- `first`: folders to look in before anything else.
local function path_lines(first)
  local root = line_of "pwd"
  local build = (os.getenv "KS_BUILD" or root .. "/build/luajit"):gsub("[^/]+$", "luajit")
  local folders = {}
  for _, folder in ipairs(first) do
    folders[#folders + 1] = folder .. "/?.lua;"
  end
  return string.format("lua_package_path '%s%s/lua/?.lua;%s/lua/?/init.lua;%s/?.lua;;"
    .. "%s/spec/support/debian/?.lua';\nlua_package_cpath '%s/?.so;;';", table.concat(folders),
    root, root, root, root, build)
end

local function fill(text, values)
  return (text:gsub("@([%l_]+)@", values))
end

-- The frame's own words, then those that the caller's texts may use: @dir@, @port@.
local function configuration(options, dir, port)
  local paths = { dir, nginx.resty_http() }
  local lua = options.lua ~= false
  local text = fill(FRAME, {
    workers = options.workers or 1,
    log_level = options.log_level or "notice",
    user = line_of "id -u" == "0" and "user root;" or "",
    modules = lua and module_lines() or "",
    paths = lua and path_lines(paths) or "",
    run = lua and RUN or "",
    main = options.main or "", http = options.http or "", server = options.server or "",
  })
  return fill(text, { dir = dir, port = port })
end

--- A port that nothing listens on now.
---@return string
function nginx.free_port()
  local socket = require "cqueues.socket"
  local listener = assert(socket.listen { host = "127.0.0.1", port = 0 })
  assert(listener:listen())
  local _, _, port = listener:localname()
  listener:close()
  return string.format("%d", port)
end

-- Its process ----------------------------------------------------------------------------------

-- A line on the lifeline is an orderly end; an end without one, and the folder goes as well.
local HOLDER = "exec >/dev/null; nginx -p %s -c %s/nginx.conf 2>%s/stderr & pid=$!; "
  .. "read -r _; orderly=$?; kill -TERM $pid 2>/dev/null; wait $pid; "
  .. "[ $orderly -eq 0 ] || rm -rf %s"

local function launch(dir)
  return assert(io.popen(string.format(HOLDER, dir, dir, dir, dir), "w"))
end

local function release(lifeline)
  lifeline:write "stop\n"
  lifeline:close()
end

-- A running server -----------------------------------------------------------------------------

---@class spec.Nginx
---@field address string  such as "http://127.0.0.1:40123"
---@field port string
---@field dir string      its prefix, where files may be put; gone after `stop`
---@field pid string      of the master
local Server = {}
Server.__index = Server

--- A request to it; answers { status, body, headers }.
---@param path string
---@param options? {method: string?, headers: table?, body: string?, timeout: number?}
function Server:get(path, options)
  options = options or {}
  local request = require "http.request".new_from_uri(self.address .. path)
  request.proxies, request.hsts, request.cookie_store = false, false, false
  request.headers:upsert(":path", path)
  if options.body then
    request:set_body(options.body)
    request.headers:delete "expect"
  end
  request.headers:upsert(":method", options.method or (options.body and "POST" or "GET"))
  for name, value in pairs(options.headers or {}) do
    request.headers:upsert(name:lower(), value)
  end
  local limit = options.timeout or 60
  local headers, stream = request:go(limit)
  assert(headers, tostring(stream) .. "\n" .. self:log())
  local body = assert(stream:get_body_as_string(limit))
  stream:shutdown()
  return { status = tonumber(headers:get ":status"), headers = headers, body = body }
end

-- A piece of Lua and its arguments on their way to spec/support/nginx_run.lua …
local function encoded(code, ...)
  local cjson = require "cjson"
  local arguments = { ... }
  for i = 1, select("#", ...) do
    if arguments[i] == nil then
      arguments[i] = cjson.null
    end
  end
  local text = cjson.encode { code = code, arguments = arguments }
  return (text:gsub('"arguments":{}', '"arguments":[]'))
end

-- … and what came of it on its way back.
local function decoded(text)
  local cjson = require "cjson"
  local said = cjson.decode(text)
  if not said.ok then
    error(said.fault, 0)
  end
  local values, count = said.values, #said.values
  for i = 1, count do
    if values[i] == cjson.null then
      values[i] = nil
    end
  end
  return (table.unpack or unpack)(values, 1, count)
end

--- Runs a piece of Lua inside a worker and answers what it returns; raises what it raises. The
--- arguments reach it as `...`; they and the results go as JSON.
---@param code string
function Server:run(code, ...)
  local answer = self:get("/run", { body = encoded(code, ...) })
  assert(answer.status == 200, answer.body .. "\n" .. self:log())
  return decoded(answer.body)
end

--- As `run` for `count` requests at once; answers a list of their results for each.
---@param count integer
---@param code string
function Server:together(count, code, ...)
  local controller = require "cqueues".new()
  local results, arguments, given = {}, { ... }, select("#", ...)
  for i = 1, count do
    controller:wrap(function()
      results[i] = { self:run(code, (table.unpack or unpack)(arguments, 1, given)) }
    end)
  end
  assert(controller:loop())
  return results
end

-- A request under way.
local Begun = {}
Begun.__index = Begun

--- As `run`, without waiting: the answer has a method `finish`, which waits and returns what `run`
--- would, and `cancel`, which hangs up.
function Server:begin(code, ...)
  local body = encoded(code, ...)
  local socket = require "cqueues.socket".connect { host = "127.0.0.1", port = self.port }
  socket:setmode("b", "bf")
  assert(socket:write(string.format("POST /run HTTP/1.0\r\nContent-Length: %d\r\n\r\n", #body),
    body))
  assert(socket:flush())
  return setmetatable({ socket = socket }, Begun)
end

function Begun:finish()
  local answer = assert(self.socket:read "*a")
  self:cancel()
  return decoded(answer:match "\r\n\r\n(.*)$")
end

function Begun:cancel()
  self.socket:close()
end

--- All that is in its error log.
function Server:log()
  return read(self.dir .. "/error.log")
end

--- The lines of its error log at these levels: "alert", "emerg", "crit", "error", "warn" …
function Server:logged(...)
  local wanted, found = {}, {}
  for _, level in ipairs { ... } do
    wanted[level] = true
  end
  for line in self:log():gmatch "[^\n]+" do
    if wanted[line:match "^%S+ %S+ %[(%l+)%]"] then
      found[#found + 1] = line
    end
  end
  return found
end

--- The process ids of its workers, those on their way out included.
---@return string[]
function Server:workers()
  local pids = {}
  for pid in read("/proc/" .. self.pid .. "/task/" .. self.pid .. "/children"):gmatch "%d+" do
    pids[#pids + 1] = pid
  end
  return pids
end

--- Waits until `fn` answers something true, and returns that.
function Server:wait(fn, what)
  local core = require "keysecure.core"
  local limit = core.monotonic() + START_LIMIT * 1000
  repeat
    local result = fn()
    if result then
      return result
    end
    pause()
  until core.monotonic() > limit
  error((what or "waited in vain") .. "\n" .. self:log(), 2)
end

--- Starts new workers and waits until the old ones have been told to go.
function Server:reload()
  local old = {}
  for _, pid in ipairs(self:workers()) do
    old[pid] = true
  end
  os.execute("kill -HUP " .. self.pid)
  self:wait(function()
    for _, pid in ipairs(self:workers()) do
      if not old[pid] then
        return true
      end
    end
  end, "no new workers")
end

--- Ends it and waits for that; raises where its log tells of a crash or anything as bad.
---@param options? {forgive: string?}  lines that hold this are none
function Server:stop(options)
  if not self.lifeline then
    return
  end
  local lifeline = self.lifeline
  self.lifeline = nil
  release(lifeline)
  local forgive = options and options.forgive
  local bad = {}
  for _, line in ipairs(self:logged("alert", "emerg")) do
    if not (forgive and line:find(forgive, 1, true)) then
      bad[#bad + 1] = line
    end
  end
  os.execute("rm -rf " .. self.dir)
  if #bad > 0 then
    error("nginx complained:\n" .. table.concat(bad, "\n"), 2)
  end
end

-- Starting -------------------------------------------------------------------------------------

local function is_up(self)
  local connection = require "cqueues.socket".connect { host = "127.0.0.1", port = self.port }
  connection:onerror(function(_, _, code)
    return code
  end)
  local up = connection:connect(1)
  connection:close()
  return up
end

--- Another server than ours, to be asked by `get`.
---@param port string
function nginx.at(port)
  return setmetatable({ port = port, address = "http://127.0.0.1:" .. port, dir = "" }, Server)
end

--- Waits until something listens on `port`.
---@param port string
function nginx.wait_for(port)
  local server = nginx.at(port)
  server:wait(function()
    return is_up(server)
  end, "nobody listens on " .. port)
end

-- True once it listens, or why it never will.
local function wait_until_up(self)
  local core = require "keysecure.core"
  local limit = core.monotonic() + START_LIMIT * 1000
  repeat
    local fault = (self:log() .. read(self.dir .. "/stderr")):match "[^\n]*%[emerg%][^\n]*"
    if fault then
      return false, fault
    end
    local pid = read(self.dir .. "/nginx.pid"):match "%d+"
    if pid and is_up(self) then
      self.pid = pid
      return true
    end
    pause()
  until core.monotonic() > limit
  return false, "nginx does not come up"
end

local function try(options, dir)
  local port = nginx.free_port()
  local self = setmetatable({ dir = dir, port = port, address = "http://127.0.0.1:" .. port },
    Server)
  write(dir .. "/nginx.conf", configuration(options, dir, port))
  self.lifeline = launch(dir)
  local up, fault = wait_until_up(self)
  if up then
    return self
  end
  release(self.lifeline)
  return nil, fault
end

--- Starts one on a free port and waits until it listens.
--
-- In the texts `@dir@` stands for its folder and `@port@` for its port.
---@class spec.NginxOptions
---@field workers? integer          1
---@field main? string              goes into the main context: `env NAME;`
---@field http? string              into http: shared dicts, init_by_lua, more servers
---@field server? string            into the server that listens: locations
---@field files? table<string, string>  files for its folder, which is on lua_package_path
---@field log_level? string         of the error log ("notice")
---@field lua? boolean              false: do without ngx_lua
---@param options spec.NginxOptions
---@return spec.Nginx
function nginx.start(options)
  local dir = line_of [[mktemp -d "${TMPDIR:-/tmp}/keysecure-nginx.XXXXXX"]]
  for name, text in pairs(options.files or {}) do
    write(dir .. "/" .. name, text)
  end
  local fault
  for _ = 1, 5 do
    local self
    self, fault = try(options, dir)
    if self then
      return self
    elseif not fault:find("bind() to", 1, true) then
      break
    end
    os.remove(dir .. "/error.log")
  end
  os.execute("rm -rf " .. dir)
  error(fault, 2)
end

-- A client of an emulator inside -----------------------------------------------------------------

local APP = [[
local cjson = require "cjson"
local core = require "keysecure.core"
local app, clients = {}, {}
local GIVEN = cjson.decode [==[@options@]==]

--- The options of a client of the spec's world; under transport "resty" nginx.conf says whom to
--- trust.
function app.options(changes)
  local options = {}
  for name, value in pairs(GIVEN) do
    options[name] = value
  end
  for name, value in pairs(changes or {}) do
    options[name] = value
  end
  if options.transport == "resty" then
    options.ca_file = nil
  end
  return options
end

--- The client called `name`, made when it is first asked for. `changes`: options, or a function
--- that makes them.
function app.client(name, changes)
  if not clients[name] then
    local more = type(changes) == "function" and changes() or changes
    clients[name] = assert(require "keysecure".new(app.options(more)))
  end
  return clients[name]
end

function app.forget(name)
  clients[name] = nil
end

function app.numbers(count)
  local list = {}
  for i = 1, count do
    list[i] = i
  end
  return list
end

--- A text that nothing had before.
function app.unique(prefix)
  return prefix .. "-" .. core.nonce()
end

return app
]]

--- As `start`, with a module `app` inside that makes clients of `world` (spec.support.client).
---@param world table
---@param options spec.NginxOptions
---@return spec.Nginx
function nginx.start_for(world, options)
  local text = require "cjson".encode(world:options { timeout = 30 })
  local files = { ["app.lua"] = fill(APP, { options = text }) }
  for name, content in pairs(options.files or {}) do
    files[name] = content
  end
  options.files = files
  return nginx.start(options)
end

return nginx
