rockspec_format = "3.0"
package = "keysecure"
version = "dev-1"

source = {
  url = "git+https://keysecure.example/keysecure.git", -- `luarocks make` in a clone does not ask it
}

description = {
  summary = "Issue payment cards and answer their authorizations on the KeySecure platform",
  detailed = [[
    A client for card issuing (cardholders, cards, funding, private card data, consumptions) and a
    receiver for signed real-time authorizations, with a C core for signatures, AES and transport.
    Runs in plain scripts, in hosts with a loop of their own, and in OpenResty; brings an emulator
    of the platform.
  ]],
  license = "MIT",
  labels = { "payments", "cards", "http", "openresty" },
}

dependencies = {
  "lua >= 5.1, < 5.5", -- LuaJIT counts as 5.1
  "lua-cjson",
}

-- No header is asked of CURL: LuaRocks looks in include/ only, and Debian keeps curl's headers in
-- include/<multiarch>/, where the compiler finds them by itself.
external_dependencies = {
  CURL = { library = "curl" },
  CRYPTO = { header = "openssl/evp.h", library = "crypto" },
}

-- LuaRocks copies the whole of lua/ by itself. spec/packaging_spec.lua compares the C files with
-- those of CMakeLists.txt and looks whether every Lua file was installed.
build = {
  type = "builtin",
  modules = {
    ["keysecure.core"] = {
      sources = {
        "csrc/core/text.c",
        "csrc/core/java.c",
        "csrc/core/json.c",
        "csrc/core/base64.c",
        "csrc/core/canonical.c",
        "csrc/core/cipher.c",
        "csrc/core/mac.c",
        "csrc/core/signature.c",
        "csrc/core/callback.c",
        "csrc/core/clock.c",
        "csrc/core/forks.c",
        "csrc/core/retry.c",
        "csrc/core/record.c",
        "csrc/core/seal.c",
        "csrc/core/token.c",
        "csrc/core/client.c",
        "csrc/core/call.c",
        "csrc/core/sharing.c",
        "csrc/lua/cipher.c",
        "csrc/lua/signature.c",
        "csrc/lua/values.c",
        "csrc/lua/callback.c",
        "csrc/lua/client.c",
        "csrc/lua/private.c",
        "csrc/lua/sharing.c",
        "csrc/lua/core.c",
      },
      incdirs = { "csrc", "$(CRYPTO_INCDIR)" },
      libdirs = { "$(CRYPTO_LIBDIR)" },
      libraries = { "crypto", "pthread" }, -- pthread_atfork, as below
    },
    ["keysecure.curl"] = {
      sources = {
        "csrc/curl/bytes.c",
        "csrc/curl/deadlines.c",
        "csrc/curl/engine.c",
        "csrc/curl/poller.c",
        "csrc/curl/request.c",
        "csrc/curl/transfer.c",
        "csrc/lua/curl.c",
      },
      incdirs = { "csrc", "$(CURL_INCDIR)" },
      libdirs = { "$(CURL_LIBDIR)" },
      libraries = { "curl", "pthread" }, -- pthread_atfork, outside libc before glibc 2.34
    },
  },
  install = {
    bin = { keysecure = "bin/keysecure" },
  },
}

test_dependencies = { "busted >= 2.0", "http", "argparse" }
test = { type = "busted" }
