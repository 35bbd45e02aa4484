local protect = require "keysecure.protect"
local unpack = table.unpack or rawget(_G, "unpack")

describe("protect", function()
  local function drive(fn)
    local thread, seen = coroutine.create(fn), {}
    local result = { coroutine.resume(thread) }
    while coroutine.status(thread) ~= "dead" do
      seen[#seen + 1] = result[2]
      result = { coroutine.resume(thread, #seen) }
    end
    return seen, unpack(result, 2)
  end

  it("returns what a function returns or raises", function()
    assert.same({ true, 1, nil, 3 }, { protect.call(function(...) return ... end, 1, nil, 3) })
    local thrown = {}
    assert.same({ false, thrown }, { protect.call(error, thrown) })
    assert.same({ false, "late" }, { protect.call(function() error("late", 0) end) })
  end)

  it("lets it yield, and tells it what it is resumed with", function()
    local seen, ok, value = drive(function()
      return protect.call(function()
        local first = coroutine.yield "a"
        local second = coroutine.yield "b"
        return first .. second
      end)
    end)
    assert.same({ "a", "b" }, seen)
    assert.same({ true, "12" }, { ok, value })
  end)

  it("returns what is raised after that", function()
    local seen, ok, fault = drive(function()
      return protect.call(function()
        coroutine.yield "a"
        error("broken", 0)
      end)
    end)
    assert.same({ "a" }, seen)
    assert.same({ false, "broken" }, { ok, fault })
  end)

  it("knows its own coroutines from others'", function()
    local inside, foreign
    coroutine.wrap(function()
      foreign = protect.passes_on()
      protect.call(function() inside = protect.passes_on() end)
    end)()
    assert.is_false(foreign)
    assert.equal(protect.call ~= pcall, inside) -- where pcall will do, there is no other coroutine
    assert.is_false(protect.passes_on())
  end)
end)
