--- An emulator as code inside nginx sees it, to run there what specs of other hosts run outside.
local cjson = require "cjson"
local support = require "spec.support.client"

local nginx_world = {}

local Handle = {}
Handle.__index = Handle

local function whole_answer(socket)
  local status = tonumber(assert(socket:receive "*l"):match "^HTTP/1%.%d (%d+)")
  local line, length = socket:receive "*l", nil
  while line and line ~= "" do
    length = tonumber(line:lower():match "^content%-length: *(%d+)") or length
    line = socket:receive "*l"
  end
  return status, assert(socket:receive(length or "*a"))
end

--- As that of keysecure.emulator, over a cosocket.
function Handle:control(method, path, body)
  local socket = ngx.socket.tcp()
  local host, port = self.address:match "^http://(.-):(%d+)$"
  assert(socket:connect(host, tonumber(port)))
  local text = body and cjson.encode(body) or ""
  assert(socket:send { method, " /_emulator/", path, " HTTP/1.1\r\nHost: ", host, "\r\n",
    "Connection: close\r\nContent-Type: application/json\r\nContent-Length: ", #text, "\r\n\r\n",
    text })
  local status, said = whole_answer(socket)
  socket:close()
  local answer = cjson.decode(said)
  if status ~= 200 then
    return nil, answer.error or "HTTP " .. status
  end
  return answer
end

--- Runs a body of spec/conformance with a client of its own.
---@param world {address: string, merchants: table, last: integer}  what the spec knows of it
---@param options table  of the client
function nginx_world.conform(world, part, index, options)
  local here = support.attach(setmetatable({ address = world.address,
    merchants = world.merchants }, Handle), world.last)
  local body = require("spec.conformance." .. part)[index]
  local given = { mode = body.mode, ca_file = false }
  for _, more in ipairs { options, body.options or {} } do
    for name, value in pairs(more) do
      given[name] = value
    end
  end
  local ks = here:client(given)
  here.ks = ks
  body[2](ks, here)
  assert(ks:pending() == 0, "something is pending")
  assert(next(ks.host.limited) == nil and next(ks.host.resting) == nil, "something waits")
  assert(next(ks.host.awaited) == nil, "a transfer is awaited")
  ks:close()
end

return nginx_world
