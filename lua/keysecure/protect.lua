--- `pcall`, also around functions that yield: PUC Lua 5.1's own does not let them.
local unpack = table.unpack or rawget(_G, "unpack")

local protect = {}

-- Coroutines that pass on to whoever resumed them what is yielded inside.
local transparent = setmetatable({}, { __mode = "k" })

--- Whether what the coroutine now running yields gets to the one around it.
---@return boolean
function protect.passes_on()
  local thread = coroutine.running()
  return thread ~= nil and transparent[thread] ~= nil
end

protect.call = pcall
if _VERSION ~= "Lua 5.1" or rawget(_G, "jit") then -- LuaJIT calls itself 5.1
  return protect
end

local function continue(thread, ok, ...)
  if ok and coroutine.status(thread) ~= "dead" then
    return continue(thread, coroutine.resume(thread, coroutine.yield(...)))
  end
  return ok, ...
end

function protect.call(fn, ...)
  local arguments, count = { ... }, select("#", ...)
  local thread = coroutine.create(function()
    return fn(unpack(arguments, 1, count))
  end)
  transparent[thread] = true
  return continue(thread, coroutine.resume(thread))
end

return protect
