local changes = require "keysecure.emulator.changes"
local cqueues = require "cqueues"
local support = require "spec.support.emulator"

describe("emulator.changes", function()
  it("has another version after every change, and in every run", function()
    local one, other = changes.new(), changes.new()
    assert.not_equal(one:version(), other:version())
    local before = one:version()
    assert.equal(before, one:version())
    one:note()
    assert.not_equal(before, one:version())
  end)

  it("does not wait where there is news already", function()
    support.run(function()
      local watched = changes.new()
      local began = cqueues.monotime()
      watched:wait("older", 60)
      assert.is_true(cqueues.monotime() - began < 30)
    end)
  end)

  it("waits for a change, and not longer than told", function()
    support.run(function()
      local watched, ended = changes.new(), 0
      local version = watched:version()
      watched:wait(version, 0.05)
      assert.equal(version, watched:version())
      support.together(function()
        watched:wait(version, 60)
        ended = ended + 1
      end, function()
        cqueues.sleep(0.05)
        assert.equal(0, ended)
        watched:note()
      end)
      assert.equal(1, ended)
    end)
  end)

  it("lets no more than so many wait", function()
    support.run(function(loop)
      local watched, ended = changes.new(), 0
      for _ = 1, 20 do
        loop:wrap(function()
          watched:wait(watched:version(), 60)
          ended = ended + 1
        end)
      end
      support.wait(function() return ended > 0 end)
      assert.equal(4, ended)
      watched:note()
      support.wait(function() return ended == 20 end)
    end)
  end)
end)
