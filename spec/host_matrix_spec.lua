-- The fault matrix under every host but the script's, which spec/fault_matrix_spec.lua walks: here
-- each fault strikes the first attempt of each write and read, without TLS. The Luas share the
-- work: each takes every host through a third of the faults.
local core = require "keysecure.core"
local hosts = require "spec.support.hosts"
local keysecure = require "keysecure"
local matrix = require "spec.support.matrix"

-- A host as the matrix wants it.
local function for_matrix(host)
  return { start = function(options)
    for name, value in pairs(host.options) do
      options[name] = value
    end
    local ks = assert(keysecure.new(options))
    local function timed(call)
      local started = core.now()
      local value, err = ks:call(call.operation, call.fields, { timeout = call.timeout })
      return { value = value, err = err, milliseconds = core.now() - started }
    end
    return {
      perform = function(_, calls)
        local results
        host.run(ks, function()
          results = ks:parallel(#calls, calls, timed)
        end)
        return results
      end,
      close = function()
        ks:close()
      end,
    }
  end }
end

local SHARE = ({ lua54 = 0, luajit = 1, lua51 = 2 })[os.getenv "KS_FLAVOUR"] or 0

for position, name in ipairs(hosts.available()) do
  if name ~= "script" and name ~= "cqueues_outside" then
    describe("host " .. name .. " under the fault #plain", function()
      local m

      setup(function()
        m = matrix.start(for_matrix(hosts[name]))
      end)
      teardown(function()
        m:stop()
      end)

      for number, fault in ipairs(matrix.faults) do
        if not fault.tls and (number + position + SHARE) % 3 == 0 then
          it("'" .. fault.name .. "' no write is doubled, lost or mistaken", function()
            local cells = m:row(fault, { 1 }, { "direct" })
            local struck = 0
            for _, cell in ipairs(cells) do
              assert.is_nil(cell.violation, cell.operation)
              struck = struck + (cell.struck and 1 or 0)
            end
            assert.is_true(struck > 0)
          end)
        end
      end
    end)
  end
end
