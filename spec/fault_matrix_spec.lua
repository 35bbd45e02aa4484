-- What becomes of writes and reads on a bad network: see spec/support/matrix.lua. Here one fault in
-- two goes without TLS, the others behind it; `./dev faults` walks and prints all of the matrix.
local matrix = require "spec.support.matrix"

local function told(cells)
  local lines = {}
  for _, cell in ipairs(cells) do
    if cell.violation then
      lines[#lines + 1] = ("%s, attempt %d, %s: %s"):format(cell.operation, cell.attempt, cell.way,
        cell.violation)
    end
  end
  return table.concat(lines, "\n")
end

local function struck(cells)
  local count = 0
  for _, cell in ipairs(cells) do
    count = count + (cell.struck and 1 or 0)
  end
  return count
end

describe("under the fault #plain", function()
  local m
  local writes = 0

  setup(function()
    m = matrix.start(matrix.script)
  end)

  teardown(function()
    m:stop()
  end)

  local function check(fault, attempts, way)
    local cells = m:row(fault, attempts, { way })
    assert.equal("", told(cells))
    -- Where time is short, a busy machine may use it up before anything goes wrong.
    local hurried = fault.silent or fault.gate or fault.reaches == "never"
    local least = hurried and 1 or #cells
    assert.is_true(struck(cells) >= least, "the fault did not come to be")
    for _, cell in ipairs(cells) do
      writes = writes + (cell.read and 0 or 1)
    end
  end

  for number, fault in ipairs(matrix.faults) do
    local way, other = matrix.ways[number % 2 + 1], matrix.ways[2 - number % 2]
    if fault.tls then
      way, other = "tls", "tls"
    end

    it("'" .. fault.name .. "' no write is doubled, lost or mistaken", function()
      check(fault, { 1, 2 }, way)
    end)

    if not fault.silent then
      it("'" .. fault.name .. "' of a request for a token neither", function()
        check(fault, { 0 }, other)
      end)
    end
  end

  it("all of them come to a great many writes", function()
    assert.is_true(writes >= 300, writes .. " writes")
  end)
end)
