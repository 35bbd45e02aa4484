--- `pcall`, also around functions that yield: PUC Lua 5.1's own does not let them.
local unpack = table.unpack or rawget(_G, "unpack")

if _VERSION ~= "Lua 5.1" or jit then -- LuaJIT calls itself 5.1
  return pcall
end

local function continue(co, ok, ...)
  if ok and coroutine.status(co) ~= "dead" then
    return continue(co, coroutine.resume(co, coroutine.yield(...)))
  end
  return ok, ...
end

return function(fn, ...)
  local arguments, count = { ... }, select("#", ...)
  local co = coroutine.create(function()
    return fn(unpack(arguments, 1, count))
  end)
  return continue(co, coroutine.resume(co))
end
