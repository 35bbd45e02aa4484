-- Walks over lists: through the client, over rows that the emulator really has, on several pages
-- and in several windows of time.
local core = require "keysecure.core"
local keysecure = require "keysecure"
local support = require "spec.support.client"

describe("a walk", function()
  local world, ks, holder, start_time

  -- 130 transfers today, 2 two hundred days ago, 3 a hundred and one days ago.
  setup(function()
    world = support.start()
    ks = world.ks
    local now = math.floor(select(2, core.now()) / 1000)
    start_time = os.date("!%Y-%m-%d", now - 210 * 86400)
    world:configure { clock_offset = -200 * 86400 }
    holder = world:holder()
    world:fund(holder, "1.00")
    world:fund(holder, "2.00")
    world:configure { clock_offset = -101 * 86400 }
    for i = 3, 5 do
      world:fund(holder, i .. ".00")
    end
    world:configure { clock_offset = 0 }
    local items = {}
    for i = 6, 135 do
      items[#items + 1] = i
    end
    local _, failures = ks:parallel(8, items, function(i)
      return holder:transfer { type = "In", balance = i .. ".00",
        transfer_unique_no = world:unique "transfer" }
    end)
    assert.is_nil(failures)
  end)
  teardown(function()
    world:stop()
  end)

  local function amounts(walk)
    local seen, count = {}, 0
    for row in walk do
      assert.is_nil(seen[row.balance], row.balance)
      seen[row.balance] = true
      count = count + 1
    end
    return seen, count
  end

  it("gives every row once, over pages and windows", function()
    local seen, count
    local counted = world:counted(function()
      seen, count = amounts(holder:transfers { start_time = start_time,
        end_time = support.window().end_time })
    end)
    assert.equal(135, count)
    for i = 1, 135 do
      assert.is_true(seen[i .. ".00"], i)
    end
    -- Three windows of at most 90 days: two pages, two pages, three pages.
    assert.equal(7, counted.of["accounts.transfers"])
  end)

  it("gives a row at the border of two windows once", function()
    world:configure { clock_offset = -100 * 86400 }
    local other = world:holder()
    world:fund(other)
    world:configure { clock_offset = 0 }
    local fields = support.window(110)
    fields.cardholder_no = other.cardholder_no
    fields.end_time = support.window(0, -21).end_time
    local time = assert(ks.accounts:transfers(fields))[1].time
    local function text(seconds)
      return os.date("!%Y-%m-%d %H:%M:%S", seconds)
    end
    local second = math.floor(time / 1000)
    local _, count = amounts(other:transfers({ start_time = text(second - 90 * 86400),
      end_time = text(second + 90 * 86400) }, { timezone = "UTC" }))
    assert.equal(1, count)
  end)

  it("takes a size", function()
    local count
    local counted = world:counted(function()
      local fields = support.window()
      fields.size = 50
      count = select(2, amounts(holder:transfers(fields)))
    end)
    assert.equal(130, count)
    assert.equal(4, counted.of["accounts.transfers"])
  end)

  it("may be left early", function()
    assert.equal(1, world:counted(function()
      local each = holder:transfers(support.window())
      assert.equal(holder.cardholder_no, each().cardholder_no)
    end).total)
  end)

  it("raises an error object instead of stopping short", function()
    local count = 0
    local fields = support.window()
    fields.size = 100
    local ok, err = pcall(function()
      for _ in holder:transfers(fields) do
        count = count + 1
        if count == 100 then
          world:fault("accounts.transfers", 1013)
        end
      end
    end)
    assert.is_false(ok)
    assert.is_true(keysecure.is_error(err))
    assert.equal(1013, err.code)
    assert.equal(100, count)
  end)

  it("checks its times and options before anything is sent", function()
    assert.equal(0, world:counted(function()
      for _, case in ipairs {
        { "end_time", { start_time = "2026-03-02", end_time = "2026-03-01" } },
        { "start_time", { end_time = "2026-03-01" } },
        { "timezone", support.window(), { timezone = "x\r\nApi-Key: other" } },
      } do
        local ok, err = pcall(ks.cards.each, ks.cards, case[2], case[3])
        assert.is_false(ok)
        assert.equal("invalid", err.kind)
        assert.equal(case[1], err.field)
        assert.equal("not_sent", err.outcome)
      end
    end).total)
  end)

  it("goes over offers without a time, and over the methods of groups", function()
    local count = 0
    for package in ks.cards:each_package() do
      count = count + 1
      assert.equal("P-" .. count, package.package_no)
    end
    assert.equal(3, count)
    for bin in world.authorization.cards:each_bin { size = 1 } do
      count = count + 1
      assert.matches("^B%-", bin.card_bin_no)
    end
    assert.equal(5, count)
    for row in ks.cardholders:each(support.window()) do
      assert.is_string(row.cardholder_no)
      count = count + 1
    end
    for row in ks.accounts:each_transfer(support.window()) do
      assert.is_string(row.transfer_no)
      count = count + 1
    end
    assert.is_true(count >= 135, count)
  end)
end)
