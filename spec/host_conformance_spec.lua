-- The same under every host: spec/conformance, over HTTP.
local api = require "keysecure.api"
local hosts = require "spec.support.hosts"
local support = require "spec.support.client"

local PARTS = { "operations", "waiting", "failures" }

local available, missing = hosts.available()

for _, name in ipairs(missing) do
  pending("host " .. name .. ": the module " .. hosts[name].module .. " is not installed")
end

for _, name in ipairs(available) do
  local host = hosts[name]

  describe("host " .. name, function()
    local world

    setup(function()
      world = support.start()
    end)
    teardown(function()
      world:stop()
    end)
    after_each(function()
      world:no_faults()
    end)

    local function client(body)
      local options = { mode = body.mode }
      for _, more in ipairs { host.options, body.options or {} } do
        for option, value in pairs(more) do
          options[option] = value
        end
      end
      return world:client(options)
    end

    for _, part in ipairs(PARTS) do
      for _, body in ipairs(require("spec.conformance." .. part)) do
        it(part .. ": " .. body[1], function()
          local ks = client(body)
          host.run(ks, function()
            body[2](ks, world)
          end)
          assert.equal(0, ks:pending())
          assert.is_false(ks.host:busy())
          if not body.options then
            assert.equal(0, ks.transport.engine:pending())
          end
          ks:close()
        end)
      end
    end

    it("has called every operation", function()
      local requests = world:stats().requests
      for _, operation in ipairs(api.names) do
        assert.is_true((requests[operation] or 0) > 0, operation)
      end
    end)
  end)
end
