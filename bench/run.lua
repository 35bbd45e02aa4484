--- `./dev bench [NAME…]`: runs the benchmarks named, or all, and writes build/bench.json.
local cjson = require "cjson"

local root = arg[0]:match("^(.*)/bench/run%.lua$") or "."
package.path = root .. "/?.lua;" .. package.path

local NAMES = { "calls", "openresty", "crypto", "authorization", "hosts", "emulator" }

local chosen = #arg > 0 and { (table.unpack or unpack)(arg) } or NAMES
local all = {}
for _, name in ipairs(chosen) do
  for key, value in pairs(require("bench." .. name)(root)) do
    all[key] = value
  end
end

local file = assert(io.open(root .. "/build/bench.json", "w"))
file:write(cjson.encode(all), "\n")
file:close()
print("\nwritten: build/bench.json")
