--- Runs a piece of Lua that a spec sends, inside nginx: the other end of `server:run`. The piece
--- gets the arguments that came with it; what it returns goes back as JSON.
local cjson = require "cjson"

local function pack(...)
  return { n = select("#", ...), ... }
end

local function listed(packed, first)
  local list = setmetatable({}, cjson.array_mt)
  for i = first, packed.n do
    local value = packed[i]
    list[i - first + 1] = value == nil and cjson.null or value
  end
  return list
end

local function body_of_request()
  ngx.req.read_body()
  return cjson.decode(ngx.req.get_body_data())
end

return function()
  local asked = body_of_request()
  local piece = assert(loadstring(asked.code, "=(sent by the spec)"))
  local count = #asked.arguments
  for i = 1, count do
    if asked.arguments[i] == cjson.null then
      asked.arguments[i] = nil
    end
  end
  local result = pack(xpcall(piece, debug.traceback, unpack(asked.arguments, 1, count)))
  local ok = result[1]
  ngx.print(cjson.encode { ok = ok, fault = not ok and tostring(result[2]) or nil,
    values = ok and listed(result, 2) or nil })
  ngx.eof() -- whatever the piece has left running
end
