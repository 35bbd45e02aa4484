-- What people install: LuaRocks and CMake must build the same things, and what they install must be
-- whole and link to nothing that it should not.

local root = "."

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- Runs a shell command; returns whether it succeeded, and all that it said.
local function run(command)
  local pipe = assert(io.popen("{ " .. command .. "\n} 2>&1 </dev/null; echo \"$?\""))
  local text = pipe:read "*a"
  pipe:close()
  local output, status = text:match "^(.-)(%d+)\n$"
  return status == "0", output
end

local function must(command)
  local ok, output = run(command)
  assert(ok, command .. "\n…" .. output:sub(-2000))
  return output
end

local function lines(text)
  local found = {}
  for line in text:gmatch "[^\n]+" do found[#found + 1] = line end
  table.sort(found)
  return found
end

local function files(folder, pattern)
  return lines(must(("cd %s && find %s -type f -name %s"):format(
    quote(root), folder, quote(pattern))))
end

local function has(program)
  return (run("command -v " .. program))
end

-- The C files of a list in CMakeLists.txt.
local function cmake_list(name)
  local body = assert(read(root .. "/CMakeLists.txt"):match("set%(" .. name .. "%s(.-)%)"), name)
  local found = {}
  for path in body:gsub("#[^\n]*", ""):gmatch "%S+" do found[#found + 1] = path end
  table.sort(found)
  return found
end

local function rockspec()
  local env = {}
  local path = root .. "/keysecure-dev-1.rockspec"
  local chunk
  if setfenv then
    chunk = setfenv(assert(loadfile(path)), env)
  else
    chunk = assert(loadfile(path, "t", env))
  end
  chunk()
  return env
end

local function rock_list(module)
  local found = {}
  for index, path in ipairs(rockspec().build.modules[module].sources) do found[index] = path end
  table.sort(found)
  return found
end

describe("the two lists of C files", function()
  it("are the same for keysecure.core", function()
    assert.same(cmake_list "KS_CORE_SOURCES", rock_list "keysecure.core")
  end)

  it("are the same for keysecure.curl", function()
    assert.same(cmake_list "KS_CURL_SOURCES", rock_list "keysecure.curl")
  end)

  it("hold every C file there is", function()
    local seen, listed = {}, {}
    for _, name in ipairs { "KS_CORE_SOURCES", "KS_CURL_SOURCES" } do
      for _, path in ipairs(cmake_list(name)) do
        if not seen[path] then listed[#listed + 1] = path end
        seen[path] = true
      end
    end
    table.sort(listed)
    assert.same(files("csrc", "*.c"), listed)
  end)

  it("keep libcurl out of the core and OpenSSL out of the transport", function()
    for _, path in ipairs(cmake_list "KS_CORE_SOURCES") do
      assert.is_nil(read(root .. "/" .. path):find "#%s*include%s*<curl/", path)
    end
    for _, path in ipairs(cmake_list "KS_CURL_SOURCES") do
      assert.is_nil(read(root .. "/" .. path):find "#%s*include%s*<openssl/", path)
    end
  end)
end)

describe("the layers of C", function()
  it("let only csrc/lua include Lua's headers", function()
    for _, pattern in ipairs { "*.c", "*.h" } do
      for _, folder in ipairs { "csrc/core", "csrc/curl" } do
        for _, path in ipairs(files(folder, pattern)) do
          assert.is_nil(read(root .. "/" .. path):find "#%s*include%s*[<\"]l[ua][au]%w*%.h", path)
        end
      end
    end
  end)
end)

-- The module as this run found it.
local function built(name)
  local place = (name:gsub("%.", "/"))
  for template in package.cpath:gmatch "[^;]+" do
    local path = template:gsub("%?", place)
    local file = io.open(path, "rb")
    if file then
      file:close()
      return path
    end
  end
  error("no " .. name .. " on " .. package.cpath)
end

-- What the dynamic linker is told and asked: libraries needed, symbols offered, symbols wanted.
local function linkage(path)
  local found = { needed = {}, offered = {}, wanted = {} }
  for library in must("readelf -d " .. quote(path)):gmatch "%(NEEDED%)[^\n]*%[(.-)%]" do
    table.insert(found.needed, library)
  end
  for line in must("nm -D " .. quote(path)):gmatch "[^\n]+" do
    local kind, name = line:match "(%a) ([%w_]+)"
    if kind == "U" then
      table.insert(found.wanted, name)
    elseif kind:find "[TDBRVW]" and not name:find "^_" and line:find "^%x" then
      table.insert(found.offered, name)
    end
  end
  return found
end

local function assert_none(names, pattern)
  for _, name in ipairs(names) do assert.is_nil(name:find(pattern), name) end
end

describe("the built modules #plain", function()
  if not (has "readelf" and has "nm" and has "ldd") then
    pending("needs readelf, nm and ldd")
    return
  end

  it("core: libcrypto, and neither libcurl nor libssl, not even at second hand", function()
    local path = built "keysecure.core"
    local core = linkage(path)
    assert_none(core.needed, "curl")
    assert_none(core.needed, "libssl")
    assert_none(core.wanted, "^curl_")
    assert_none(core.wanted, "^SSL_")
    local all = must("ldd " .. quote(path))
    assert.is_nil(all:find("libcurl", 1, true))
    assert.is_nil(all:find("libssl", 1, true))
    assert.is_truthy(all:find("libcrypto", 1, true))
  end)

  it("core: only what OpenSSL 1.1.1 and 3 both have", function()
    -- Macros of 1.1.1 that became functions, and functions of 3.x alone.
    for _, name in ipairs {
      "^EVP_MAC_", "^EVP_MD_fetch", "^EVP_CIPHER_fetch", "^EVP_[%w_]+_get_", "^EVP_[%w_]+_get0_",
      "^OSSL_", "^EVP_PKEY_[%w_]+_ex$", "^EVP_Q_", "^ERR_get_error_all",
    } do
      assert_none(linkage(built "keysecure.core").wanted, name)
    end
  end)

  it("curl: libcurl, and nothing of OpenSSL by name", function()
    local curl = linkage(built "keysecure.curl")
    assert_none(curl.needed, "libcrypto")
    assert_none(curl.needed, "libssl")
    for _, prefix in ipairs {
      "EVP_", "SSL_", "CRYPTO_", "OPENSSL_", "HMAC", "ERR_", "BIO_", "X509", "RAND_", "AES_",
    } do
      assert_none(curl.wanted, "^" .. prefix)
    end
  end)

  it("neither links a Lua of its own", function()
    for _, name in ipairs { "keysecure.core", "keysecure.curl" } do
      assert_none(linkage(built(name)).needed, "lua")
    end
  end)

  it("each offers the function that require calls, and nothing else", function()
    assert.same({ "luaopen_keysecure_core" }, linkage(built "keysecure.core").offered)
    assert.same({ "luaopen_keysecure_curl" }, linkage(built "keysecure.curl").offered)
  end)
end)

-- Lua files that an installation must hold, as module paths: keysecure/init.lua, …
local function lua_files()
  return files("lua", "*.lua")
end

local function assert_holds_all(share)
  for _, path in ipairs(lua_files()) do
    local file = io.open(share .. "/" .. path:gsub("^lua/", ""), "rb")
    assert(file, path .. " was not installed")
    file:close()
  end
end

-- Issues one call over HTTP; fails when a module comes from anywhere but the tree.
local script = [[
local tree = arg[1]
local emulator = assert(require("keysecure.emulator").start {})
local keysecure = require "keysecure"
local ok, problem = pcall(function()
  local ks = assert(keysecure.new {
    address = emulator.address, mode = "credit",
    api_key = emulator.merchants.credit.api_key,
    api_secret = emulator.merchants.credit.api_secret,
  })
  local packages = assert(ks.cards:packages {})
  assert(#packages > 0, "no package")
  assert(emulator:control("GET", "view").fixed, "no view")
end)
emulator:stop()
assert(ok, problem)
local function at(module, path)
  local place = module:gsub("%.", "/")
  for template in path:gmatch "[^;]+" do
    local candidate = template:gsub("%?", place)
    local file = io.open(candidate, "rb")
    if file then file:close() return candidate end
  end
end
for name in pairs(package.loaded) do
  if name:find "^keysecure" then
    local from = at(name, package.path) or at(name, package.cpath) or ""
    assert(from:sub(1, #tree) == tree, name .. " came from " .. from)
  end
end
print "called from the tree"
]]

describe("a LuaRocks tree #plain", function()
  if not has "luarocks" then
    pending("needs luarocks")
    return
  end

  local version = _VERSION:match "%d%.%d"
  local folder, tree

  lazy_setup(function()
    folder = must("mktemp -d"):match "[^\n]+"
    tree = folder .. "/tree"
    -- LuaRocks leaves objects beside the sources; in a copy they disturb nobody.
    must(("mkdir %s/source && cp -R csrc lua bin LICENSE keysecure-dev-1.rockspec %s/source")
      :format(folder, folder))
    must(("cd %s/source && env -u LUA_PATH -u LUA_CPATH luarocks --lua-version %s make"
      .. " --deps-mode none --tree %s keysecure-dev-1.rockspec"):format(folder, version, tree))
  end)

  lazy_teardown(function()
    if folder then must("rm -rf " .. quote(folder)) end
  end)

  it("holds every module and the command", function()
    assert_holds_all(("%s/share/lua/%s"):format(tree, version))
    for _, name in ipairs { "core", "curl" } do
      assert(io.open(("%s/lib/lua/%s/keysecure/%s.so"):format(tree, version, name))):close()
    end
    must(("test -x %s/bin/keysecure"):format(tree))
  end)

  it("has modules that link as those of CMake do", function()
    if not (has "readelf" and has "nm") then return end
    local core = linkage(("%s/lib/lua/%s/keysecure/core.so"):format(tree, version))
    local curl = linkage(("%s/lib/lua/%s/keysecure/curl.so"):format(tree, version))
    assert_none(core.needed, "curl")
    assert_none(core.needed, "libssl")
    assert_none(curl.needed, "libcrypto")
    assert_none(curl.needed, "libssl")
    assert_none(curl.wanted, "^EVP_")
  end)

  it("calls the emulator with nothing but what was installed", function()
    local file = assert(io.open(folder .. "/call.lua", "w"))
    file:write(script)
    file:close()
    local suffix = version == "5.1" and "" or "_" .. version:gsub("%.", "_")
    local output = must(("cd %s && env -u LUA_PATH -u LUA_CPATH LUA_PATH%s=%s LUA_CPATH%s=%s %s"
      .. " call.lua %s"):format(
      folder,
      suffix, quote(("%s/share/lua/%s/?.lua;%s/share/lua/%s/?/init.lua;;"
        .. "/usr/share/lua/5.1/?.lua;/usr/share/lua/5.1/?/init.lua")
        :format(tree, version, tree, version)),
      suffix, quote(("%s/lib/lua/%s/?.so;;"):format(tree, version)),
      os.getenv "KS_INTERPRETER" or arg[-1], tree))
    assert.equal("called from the tree\n", output)
  end)
end)

describe("an installation by CMake #plain", function()
  local build = os.getenv "KS_BUILD"
  if not (build and has "cmake") then
    pending("needs cmake and a build by ./dev")
    return
  end

  it("holds every module and the command", function()
    local prefix = must("mktemp -d"):match "[^\n]+"
    must(("cmake --install %s --prefix %s"):format(quote(build), prefix))
    local version = _VERSION:match "%d%.%d"
    assert_holds_all(("%s/share/lua/%s"):format(prefix, version))
    for _, name in ipairs { "core", "curl" } do
      assert(io.open(("%s/lib/lua/%s/keysecure/%s.so"):format(prefix, version, name))):close()
    end
    must(("test -x %s/bin/keysecure"):format(prefix))
    must("rm -rf " .. quote(prefix))
  end)
end)
