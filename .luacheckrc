std = "max"
max_line_length = 100
ignore = { "212/_.*", "212/self" }
files["spec"].std = "max+busted"
exclude_files = { "build", "lua_modules", ".luarocks" }
