-- spec/conformance inside nginx: the bodies that run under every other host, unchanged.
local api = require "keysecure.api"
local nginx = require "spec.support.nginx"
local support = require "spec.support.client"

local PARTS = { "operations", "waiting", "failures" }

local function conformance(transport)
  return function()
    local world, server
    local last = 0

    lazy_setup(function()
      world = support.start()
      server = nginx.start { http = "lua_socket_log_errors off;" }
    end)
    lazy_teardown(function()
      world:stop()
      server:stop()
    end)
    after_each(function()
      world:no_faults()
    end)

    for _, part in ipairs(PARTS) do
      for index, body in ipairs(require("spec.conformance." .. part)) do
        it(part .. ": " .. body[1], function()
          last = last + 1000
          server:run("require 'spec.support.nginx_world'.conform(...)",
            { address = world.address, merchants = world.merchants, last = last }, part, index,
            { transport = transport, host = "openresty" })
        end)
      end
    end

    it("has called every operation", function()
      local requests = world:stats().requests
      for _, operation in ipairs(api.names) do
        assert.is_true((requests[operation] or 0) > 0, operation)
      end
    end)
  end
end

nginx.describe("the host of nginx workers, by the pump,", conformance "curl")
nginx.describe_resty("the host of nginx workers, over cosockets,", conformance "resty")
