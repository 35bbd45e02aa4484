-- `keysecure emulator` as a command.
local command = require "spec.support.command"

describe("keysecure emulator --assumptions #plain", function()
  it("prints every assumption by its mark and ends", function()
    local result = command.run { "emulator", "--assumptions" }
    assert.equal(0, result.status)
    local count = 0
    for line in result.out:gmatch "[^\n]+" do
      count = count + 1
      assert.matches("^A" .. count .. " +%S", line)
    end
    assert.equal(#require "keysecure.assumptions", count)
  end)
end)
