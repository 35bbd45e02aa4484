-- The fault matrix inside nginx: what becomes of writes and reads on a bad network under the host
-- of its workers. Without TLS, whose faults spec/transport_resty_spec.lua has: cosockets verify
-- names, and the network has none.
local errors = require "keysecure.errors"
local matrix = require "spec.support.matrix"
local nginx = require "spec.support.nginx"

-- Calls in a worker, as a host of the matrix.
local function host_of(server, transport)
  local made = 0
  return {
    start = function(options)
      made = made + 1
      local name = transport .. made
      options.transport, options.host = transport, "openresty"
      options.ca_file = nil
      return {
        perform = function(_, calls)
          local results = server:run(
            "return require 'spec.support.nginx_calls'.perform(...)", name, options, calls)
          for _, result in ipairs(results) do
            result.err = result.err and errors.new(result.err)
          end
          return results
        end,
        close = function()
          server:run("require 'spec.support.nginx_calls'.close(...)", name)
        end,
      }
    end,
  }
end

local function told(cells)
  local lines = {}
  for _, cell in ipairs(cells) do
    if cell.violation then
      lines[#lines + 1] = ("%s, attempt %d: %s"):format(cell.operation, cell.attempt,
        cell.violation)
    end
  end
  return table.concat(lines, "\n")
end

-- `every`: one fault in so many.
local function faults(transport, every)
  return function()
    local m, server
    local struck = 0

    lazy_setup(function()
      server = nginx.start { http = "lua_socket_log_errors off;" }
      m = matrix.start(host_of(server, transport))
    end)
    lazy_teardown(function()
      m:stop()
      server:stop()
    end)

    for number, fault in ipairs(matrix.faults) do
      if not fault.tls and number % every == 0 then
        it("'" .. fault.name .. "' no write is doubled, lost or mistaken", function()
          local cells = m:row(fault, { 1, 2 }, { "direct" })
          assert.equal("", told(cells))
          for _, cell in ipairs(cells) do
            struck = struck + (cell.struck and 1 or 0)
          end
        end)
      end
    end

    it("the faults came to be", function()
      assert.is_true(struck >= 400 / every, struck .. " cells")
    end)
  end
end

-- The pump's engine is that of scripts, which spec/fault_matrix_spec.lua tries throughout.
nginx.describe("by the pump, under the fault", faults("curl", 4))
nginx.describe_resty("over cosockets, under the fault", faults("resty", 1))
