--- Makes calls inside nginx for spec/support/matrix.lua, which looks on from outside. What comes
-- back goes as JSON, so that errors keep their fields and lose their methods.
local cjson = require "cjson"
local core = require "keysecure.core"
local keysecure = require "keysecure"

local nginx_calls = {}

local clients = {}

local FIELDS = { "kind", "outcome", "code", "name", "message", "field", "operation", "attempts",
  "http_status" }

local function plain_error(err)
  local plain = {}
  for _, name in ipairs(FIELDS) do
    plain[name] = err[name]
  end
  return plain
end

local function timed(ks, call)
  local started = core.monotonic()
  local value, err = ks:call(call.operation, call.fields, { timeout = call.timeout })
  return { value = value, err = err and plain_error(err),
    milliseconds = core.monotonic() - started }
end

--- All of `calls` at the same time by the client called `name`.
---@param name string
---@param options table  of the client, made when it is first asked for
---@param calls table[]
---@return table[]
function nginx_calls.perform(name, options, calls)
  clients[name] = clients[name] or assert(keysecure.new(options))
  local results, failures = clients[name]:parallel(#calls, calls, function(call)
    return timed(clients[name], call)
  end)
  assert(not failures, failures and tostring(select(2, next(failures))))
  setmetatable(results, cjson.array_mt)
  return results
end

--- Closes the client called `name`, where there is one.
function nginx_calls.close(name)
  if clients[name] then
    clients[name]:close()
    clients[name] = nil
  end
end

return nginx_calls
