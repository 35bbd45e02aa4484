--- Runs a program that prints one line of JSON and gives back what it says.
local cjson = require "cjson"

local process = {}

---@param command string
---@return table
function process.json(command)
  local pipe = assert(io.popen(command))
  local line = pipe:read("*l")
  pipe:close()
  local ok, value = pcall(cjson.decode, line or "")
  if not ok then
    error("no result from: " .. command, 0)
  end
  return value
end

local INTERPRETER = { lua54 = "lua5.4", luajit = "luajit", lua51 = "lua5.1" }

--- The command that runs a script of bench/ under one of the Luas, with the library on its path.
---@param root string
---@param flavour "lua54"|"luajit"|"lua51"
---@param script string  such as "client.lua 1 2"
---@return string
function process.lua(root, flavour, script)
  local share = "/usr/share/lua/5.1" -- where Debian keeps pure Lua, for any version
  return string.format("env -u LUA_PATH_5_4 -u LUA_CPATH_5_4 "
    .. "LUA_PATH='%s/lua/?.lua;%s/lua/?/init.lua;;%s/?.lua;%s/?/init.lua' "
    .. "LUA_CPATH='%s/build/%s/?.so;;' %s %s/bench/%s", root, root, share, share, root, flavour,
    INTERPRETER[flavour], root, script)
end

return process
