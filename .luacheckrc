std = "max"
max_line_length = 100
ignore = { "212/_.*", "212/self" }
files["spec"].std = "max+busted"
for _, path in ipairs { "lua/keysecure/host/openresty", "lua/keysecure/transport/resty",
  "lua/keysecure/token_store/shdict", "spec/support/nginx_run",
  "spec/support/nginx_world" } do
  files[path .. ".lua"].read_globals = { "ngx" }
end
files["examples/openresty/app.lua"].globals = { "ngx" }
exclude_files = { "build", "lua_modules", ".luarocks" }
