--- What only the emulator needs is asked for by name when it is missing.

local ROCKS = {
  ["http"] = { name = "lua-http", rock = "http" },
  ["cqueues"] = { name = "cqueues", rock = "cqueues" },
  ["openssl"] = { name = "luaossl", rock = "luaossl" },
  ["socket"] = { name = "luasocket", rock = "luasocket" },
  ["luasql"] = { name = "LuaSQL with SQLite", rock = "luasql-sqlite3" },
}

--- `require`, with a message that says what to install.
---@param module string  such as "http.server"
---@return any
local function needs(module)
  local ok, result = pcall(require, module)
  if ok then
    return result
  end
  local rock = ROCKS[module:match("^%w+")]
  if tostring(result):find("module '" .. module .. "' not found", 1, true) then
    error("the emulator needs " .. rock.name .. ": luarocks install " .. rock.rock, 0)
  end
  error("the emulator needs " .. rock.name .. ", which does not load: " .. tostring(result), 0)
end

return needs
