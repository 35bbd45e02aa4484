-- The nginx that other specs stand on: it must come up, go away, and tell of what went wrong.
local nginx = require "spec.support.nginx"

local function is_alive(pid)
  return os.execute("kill -0 " .. pid .. " 2>/dev/null") == 0
    or os.execute("kill -0 " .. pid .. " 2>/dev/null") == true
end

nginx.describe("nginx", function()
  it("answers, finds the library and files of the spec, and is gone after stop", function()
    local server = nginx.start { workers = 2,
      files = { ["greeting.lua"] = "return 'good day'" },
      http = "lua_shared_dict counts 100k;",
      server = [[
        location = /core {
          content_by_lua_block {
            local core, counts = require "keysecure.core", ngx.shared.counts
            ngx.print(core.version, " ", counts:incr("n", 1, 0), " ", require "greeting")
          }
        }
        location = /echo {
          content_by_lua_block {
            ngx.req.read_body()
            ngx.status = 201
            ngx.header["X-Seen"] = ngx.req.get_method() .. " " .. ngx.req.get_headers()["x-y"]
            ngx.print(ngx.req.get_body_data())
          }
        }
      ]] }
    local pids = server:workers()
    assert.equal(2, #pids)
    local version = require "keysecure.core".version
    assert.equal(version .. " 1 good day", server:get("/core").body)
    assert.equal(version .. " 2 good day", server:get("/core").body)
    local answer = server:get("/echo", { body = "a=1", headers = { ["X-Y"] = "z" } })
    assert.same({ 201, "POST z", "a=1" }, { answer.status, answer.headers:get "x-seen",
      answer.body })
    assert.equal(404, server:get("/nothing").status)
    server:stop()
    for _, pid in ipairs { server.pid, pids[1], pids[2] } do
      assert.is_false(is_alive(pid))
    end
    assert.is_nil(io.open(server.dir .. "/nginx.conf"))
    server:stop()
  end)

  it("has new workers after a reload", function()
    local server = nginx.start { server = "location / { return 200 '$pid'; }" }
    local before = server:get("/").body
    server:reload()
    server:wait(function()
      return server:get("/").body ~= before
    end)
    server:stop()
  end)

  it("says what is wrong with a configuration", function()
    local ok, fault = pcall(nginx.start, { server = "no_such_directive on;" })
    assert.is_false(ok)
    assert.matches('unknown directive "no_such_directive"', fault, 1, true)
  end)

  it("raises at stop where a worker crashed, and tells errors from notices", function()
    local server = nginx.start { server = [[
      location = /error { content_by_lua_block { error("on purpose") } }
      location = /crash {
        content_by_lua_block {
          require("ffi").cdef "int raise(int);"
          require("ffi").C.raise(11)
        }
      }
    ]] }
    assert.equal(500, server:get("/error").status)
    assert.equal(1, #server:logged "error")
    assert.matches("on purpose", server:logged("error")[1], 1, true)
    assert.same({}, server:logged("alert", "emerg", "crit"))
    pcall(server.get, server, "/crash")
    server:wait(function()
      return #server:logged "alert" > 0
    end)
    local ok, fault = pcall(server.stop, server)
    assert.is_false(ok)
    assert.matches("exited on signal 11", fault, 1, true)
  end)
end)
