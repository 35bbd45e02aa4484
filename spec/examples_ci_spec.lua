-- examples/ci as its readers run it: busted in that folder, and the shell script.
local command = require "spec.support.command"

local function run(line)
  local pipe = assert(io.popen("( " .. line .. ' ) 2>&1 </dev/null; echo "status $?"'))
  local output, status = pipe:read "*a":match "^(.*)status (%d+)\n$"
  pipe:close()
  return output, tonumber(status)
end

local function copy_with(change)
  local pipe = assert(io.popen "mktemp -d")
  local folder = pipe:read "*l"
  pipe:close()
  os.execute("cp -R examples/ci " .. folder)
  local place = folder .. "/ci/" .. change.file
  local file = assert(io.open(place))
  local text = file:read "*a"
  file:close()
  local from, to = text:find(change.from, 1, true)
  assert(from, change.from)
  file = assert(io.open(place, "w"))
  file:write(text:sub(1, from - 1), change.to, text:sub(to + 1))
  file:close()
  return folder
end

-- `busted` itself, under the Lua that runs now.
local function busted_in(folder)
  return run(string.format("cd '%s' && echo \"require 'busted.runner' { standalone = false }\""
    .. " | '%s' - --output=TAP", folder, command.interpreter()))
end

describe("examples/ci #plain", function()
  it("runs from busted, on an emulator of its own that forgets between tests", function()
    local output, status = busted_in "examples/ci"
    assert.equal(0, status, output)
    assert.matches("ok 5 ", output)
    assert.is_nil(output:find "not ok")
  end)

  it("fails from busted where the program is wrong, or nothing is reset", function()
    for _, change in ipairs {
      { file = "shop.lua", from = "balance = customer.amount", to = 'balance = "1.00"' },
      { file = "spec/platform.lua", from = 'assert(running:control("POST", "reset"))', to = "" },
    } do
      local folder = copy_with(change)
      local output, status = busted_in(folder .. "/ci")
      os.execute("rm -rf " .. folder)
      assert.not_equal(0, status, output)
      assert.matches("not ok", output)
    end
  end)

  local function shell(script, more)
    return run(string.format("KEYSECURE='%s bin/keysecure' %s sh %s", command.interpreter(),
      more or "", script))
  end

  it("runs from a shell, and leaves no emulator behind", function()
    local output, status = shell("examples/ci/run.sh", "TMPDIR=/tmp")
    assert.equal(0, status, output)
    assert.equal(5, select(2, output:gsub("\nok: ", "\nok: ")) + 1)
    assert.matches("all as it should be\n$", output)
  end)

  it("fails from a shell where a check does", function()
    local folder = copy_with { file = "run.sh", from = "--balance 10.00", to = "--balance 1.00" }
    local output, status = shell(folder .. "/ci/run.sh")
    os.execute("rm -rf " .. folder)
    assert.equal(1, status, output)
    assert.matches("not ok: with money it is approved: expected 'approved', got 'declined'",
      output)
  end)

  it("says so where the emulator does not start", function()
    local output, status = run("KEYSECURE='false' sh examples/ci/run.sh")
    assert.equal(1, status, output)
    assert.matches("the emulator did not start", output)
  end)
end)
