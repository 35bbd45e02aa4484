-- A client made in init_by_lua, before nginx forks, under reloads, load, and nginx's own TLS.
local certificates = require "spec.support.certificates"
local child = require "spec.support.child"
local nginx = require "spec.support.nginx"
local support = require "spec.support.client"
local wire = require "spec.support.wire"

local RELOADS = 20

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

local function line_of(command)
  local pipe = assert(io.popen(command))
  local line = pipe:read "*l"
  pipe:close()
  return line
end

local function descriptors(pid)
  return tonumber(line_of("ls /proc/" .. pid .. "/fd | wc -l"))
end

local function memory(pid)
  return tonumber(line_of("awk '/^VmRSS/ { print $2 }' /proc/" .. pid .. "/status"))
end

-- The client is made, and a call refused with words, before there is a worker.
local INIT = [[
  lua_shared_dict tokens 1m;
  lua_socket_log_errors off;
  lua_ssl_trusted_certificate %s;
  resolver 127.0.0.1:%d ipv6=off;
  init_by_lua_block {
    local app = require "app"
    local store = require "keysecure.token_store.shdict".new "tokens"
    local ks = app.client("made early", { transport = "%s", host = "openresty",
      address = "%s", token_store = store })
    local ok, message = pcall(function() return ks.cards:packages() end)
    assert(not ok and message:find("init_by_lua", 1, true), message)
    app.client("not trusted", { transport = "%s", host = "openresty", address = "%s",
      timeout = 5 })
  }
]]
local SERVER = [[
  listen 127.0.0.1:%s ssl;
  ssl_certificate @dir@/server.pem;
  ssl_certificate_key @dir@/server.key;
  location = /call {
    content_by_lua_block {
      local rows, err = require "app".client "made early".cards:packages()
      ngx.print(rows and "ok" or tostring(err))
    }
  }
  location = /not_trusted {
    content_by_lua_block {
      local rows, err = require "app".client "not trusted".cards:packages()
      ngx.print(rows and "trusted" or err.outcome .. " " .. err.message)
    }
  }
  location = /through { proxy_pass %s/_emulator/stats; proxy_ssl_session_reuse off; }
  location = /pid { content_by_lua_block { ngx.print(ngx.worker.pid()) } }
]]

-- Every request of it is a TLS connection of its own, in and, by turns, out of nginx.
local LOAD = [[
  i=0; bad=0
  while { [ ! -e %s/enough ] || [ $i -lt 60 ]; } && [ $i -lt 5000 ]; do
    for path in call not_trusted through; do
      i=$((i + 1))
      said=$(curl -sk --max-time 20 https://127.0.0.1:%s/$path)
      case "$path $said" in
        'call ok' | 'not_trusted not_sent '*certificate* | 'through {'*) ;;
        *) bad=$((bad + 1)); echo "$path: $said" >>%s/bad ;;
      esac
    done
  done
  echo "$i $bad" >%s/load
]]

local function story(transport)
  return function()
    local world, names, untrusted, server, tls_port

    lazy_setup(function()
      world = support.start { tls = true }
      untrusted = wire.start()
      names = child.start "spec/support/name_server.lua"
      tls_port = nginx.free_port()
      local authority, key = certificates.authority "nginx of the specs", certificates.key()
      local address = world.address:gsub("127%.0%.0%.1", "localhost")
      local expired = ("https://localhost:%d"):format(untrusted.expired)
      server = nginx.start_for(world, { workers = 2,
        http = INIT:format(world.emulator.ca_file, names.port, transport, address, transport,
          expired),
        server = SERVER:format(tls_port, world.address),
        files = { ["server.key"] = key:toPEM "private",
          ["server.pem"] = certificates.server(authority, key):toPEM() } })
    end)
    lazy_teardown(function()
      names:stop()
      untrusted:stop()
      world:stop()
      server:stop()
    end)

    it("is used in every worker that is forked", function()
      local seen, count = {}, 0
      server:wait(function()
        assert.equal("ok", server:get "/call".body)
        local pid = server:get "/pid".body
        count = count + (seen[pid] and 0 or 1)
        seen[pid] = true
        return count == 2
      end, "one worker takes everything")
      for pid in pairs(seen) do
        assert.is_true(tonumber(pid) ~= tonumber(server.pid))
      end
    end)

    it("is refused nobody's certificate, and says what it missed", function()
      assert.matches("^not_sent .*certificate", server:get "/not_trusted".body)
    end)

    it("stays clean under " .. RELOADS .. " reloads and nginx's own TLS", function()
      local dir = server.dir
      write(dir .. "/load.sh", LOAD:format(dir, tls_port, dir, dir))
      os.execute(("sh %s/load.sh >/dev/null 2>&1 &"):format(dir))
      local before
      for i = 1, RELOADS do
        server:reload()
        for _ = 1, 3 do
          assert.equal("ok", server:get "/call".body)
        end
        if i == 5 then
          before = { descriptors(server.pid), memory(server.pid) }
        end
      end
      write(dir .. "/enough", "")
      local count = server:wait(function()
        local file = io.open(dir .. "/load")
        local line = file and file:read "*l"
        return line and { line:match "^(%d+) (%d+)$" }
      end, "the load does not end")
      local requests, bad = tonumber(count[1]), tonumber(count[2])
      local file = io.open(dir .. "/bad")
      assert.equal(0, bad, file and file:read "*a")
      assert.is_true(requests >= 60, requests .. " requests")
      server:wait(function()
        return #server:workers() == 2
      end, "old workers stay")
      assert.is_true(descriptors(server.pid) <= before[1], "descriptors of the master")
      local grown = memory(server.pid) - before[2]
      assert.is_true(grown < 4096, grown .. " KiB more in the master")
    end)

    it("keeps a worker's descriptors and memory level", function()
      local function call(times)
        for _ = 1, times do
          server:together(8, [[
            local ks = require "app".client "made early"
            assert(ks.cards:packages())
            require "app".client "not trusted".cards:packages()
          ]])
        end
        local all = { 0, 0 }
        for _, pid in ipairs(server:workers()) do
          all[1], all[2] = all[1] + descriptors(pid), all[2] + memory(pid)
        end
        return all
      end
      local before = call(20)
      local after = call(60)
      -- Connections that are kept, by each of two workers, come and go.
      assert.is_true(after[1] <= before[1] + 16, after[1] .. " after " .. before[1])
      assert.is_true(after[2] < before[2] + 6144, after[2] .. " KiB after " .. before[2])
    end)

    it("leaves nothing on OpenSSL's queue for others to find", function()
      local log = server:log()
      assert.is_nil(log:find("stale global SSL error", 1, true))
      assert.same({}, server:logged("alert", "emerg", "crit"))
      for _, answer in ipairs(server:together(8, [[
        return require "keysecure.core".openssl_error() or ""
      ]])) do
        assert.equal("", answer[1])
      end
    end)
  end
end

nginx.describe("a client made in init_by_lua, by the pump,", story "curl")
nginx.describe_resty("a client made in init_by_lua, over cosockets,", story "resty")
