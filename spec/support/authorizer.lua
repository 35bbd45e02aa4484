--- examples/openresty_authorizer in an nginx of spec.support.nginx: at /callback what the platform
--- asks, at /accounts/HOLDER the balances.
local nginx = require "spec.support.nginx"

local authorizer = {}

local FOLDER = "examples/openresty_authorizer/"
local FILES = { "authorizer.lua", "connection.lua", "ledger.lua", "script.lua" }

local SERVER = [[
  location = /callback { content_by_lua_block { require("authorizer").callback() } }
  location ~ ^/accounts/(?<holder>[\w-]+)$ {
    content_by_lua_block { require("authorizer").account(ngx.var.holder) }
  }
]]

local function contents()
  local found = {}
  for _, name in ipairs(FILES) do
    local file = assert(io.open(FOLDER .. name))
    found[name] = file:read "*a"
    file:close()
  end
  return found
end

--- Starts it, with the emulator's keys; its journal is journal.jsonl in the server's folder.
---@param store spec.Redis
---@param workers integer
---@return spec.Nginx
function authorizer.start(store, workers)
  return nginx.start {
    workers = workers, log_level = "error", files = contents(),
    main = "env KEYSECURE_ENVIRONMENT=emulator; env REDIS_ADDRESS=" .. store.address
      .. "; env JOURNAL=@dir@/journal.jsonl;",
    http = "lua_socket_log_errors off; init_by_lua_block { require 'authorizer' }",
    server = SERVER,
  }
end

return authorizer
