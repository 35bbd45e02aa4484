--- Microseconds for a callback verified and a card datum decrypted, against libcrypto alone.
local compare = require "bench.support.compare"
local process = require "bench.support.process"

local ROUNDS = 5

return function(root)
  local programs = {
    bare = root .. "/build/lua54/bench/bare_crypto",
    lua54 = process.lua(root, "lua54", "crypto_here.lua"),
    luajit = process.lua(root, "luajit", "crypto_here.lua"),
  }
  -- One run of a program measures several things: each round runs it once.
  local latest = {}
  local function measured(program, name, first)
    return function()
      if first then
        latest[program] = process.json(programs[program])
      end
      return latest[program][name]
    end
  end
  local verification = compare.run({
    { name = "keyed HMAC alone, C", run = measured("bare", "hmac", true) },
    { name = "keysecure, Lua 5.4", run = measured("lua54", "verify", true) },
    { name = "keysecure, LuaJIT", run = measured("luajit", "verify", true) },
    { name = "the same and decoded, Lua 5.4", run = measured("lua54", "read") },
    { name = "the same and decoded, LuaJIT", run = measured("luajit", "read") },
    { name = "cjson + luaossl (wrong), Lua 5.4", run = measured("lua54", "verify_by_hand") },
    { name = "cjson + luaossl (wrong), LuaJIT", run = measured("luajit", "verify_by_hand") },
  }, ROUNDS)
  compare.print("one callback verified", "µs", verification)
  local decryption = compare.run({
    { name = "keyed AES alone, C", run = measured("bare", "decrypt", true) },
    { name = "keysecure, Lua 5.4", run = measured("lua54", "decrypt", true) },
    { name = "keysecure, LuaJIT", run = measured("luajit", "decrypt", true) },
  }, ROUNDS)
  compare.print("one card datum decrypted", "µs", decryption)
  return { verification = verification, decryption = decryption }
end
