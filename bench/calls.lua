--- Calls per second, against libcurl alone on the same server in the same run.
local compare = require "bench.support.compare"
local nginx = require "bench.support.nginx"
local process = require "bench.support.process"

local ROUNDS = 5
local CALLS = { [1] = 10000, [64] = 60000 }

local function contestants(address, in_flight, root)
  local calls = CALLS[in_flight]
  local url = address .. "/open-api/v1/card/C202605220001/detail"
  local function program(command)
    return function()
      return process.json(command).per_second
    end
  end
  local function lua(flavour, script, target, collector)
    return program(process.lua(root, flavour,
      string.format("%s %s %d %d %s", script, target, calls, in_flight, collector or "")))
  end
  return {
    { name = "bare libcurl, C", run = program(string.format(
      "%s/build/lua54/bench/bare_libcurl %s %d %d", root, url, calls, in_flight)) },
    { name = "engine alone, Lua 5.4", run = lua("lua54", "engine.lua", url) },
    { name = "keysecure, Lua 5.4", run = lua("lua54", "client.lua", address) },
    { name = "the same, generational collector", run = lua("lua54", "client.lua", address,
      "generational") },
    { name = "keysecure, LuaJIT", run = lua("luajit", "client.lua", address) },
    { name = "lua-http by hand, Lua 5.4", run = lua("lua54", "rival_lua_http.lua", url) },
  }
end

return function(root)
  local server = nginx.start()
  local results = {}
  local ok, fault = pcall(function()
    for _, in_flight in ipairs { 1, 64 } do
      local found = compare.run(contestants(server.address, in_flight, root), ROUNDS)
      compare.print("calls with " .. in_flight .. " in flight", "calls/s", found)
      results["calls_" .. in_flight .. "_in_flight"] = found
    end
  end)
  server.stop()
  assert(ok, fault)
  return results
end
