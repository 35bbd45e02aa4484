local api = require "keysecure.api"
local datetime = require "keysecure.datetime"
local errors = require "keysecure.errors"
local pager = require "keysecure.pager"

local operation = api.operations["cards.list"]

-- A platform with cards at the given times, which pages as the real one does.
local function platform(times, options)
  options = options or {}
  local self = { requests = {} }
  function self.fetch(fields)
    self.requests[#self.requests + 1] = { fields.start_time, fields.end_time, fields.page }
    local from = datetime.parse(fields.start_time, "UTC+8")
    local to = datetime.parse_end(fields.end_time, "UTC+8")
    assert(to - from <= 90 * 86400, "a window wider than 90 days was asked for")
    local found = {}
    for i, time in ipairs(times) do
      if time >= from and time <= to then
        found[#found + 1] = { card_no = "C" .. i, time = time }
      end
    end
    local page, size = {}, math.min(fields.size, options.cap or 100)
    for i = fields.page * size + 1, math.min(#found, (fields.page + 1) * size) do
      page[#page + 1] = found[i]
    end
    return page
  end
  return self
end

local function walk(fields, fetch)
  local seen, count = {}, 0
  for row in pager.each(operation, fields, "UTC+8", fetch) do
    assert.is_nil(seen[row.card_no], "twice: " .. row.card_no)
    seen[row.card_no] = true
    count = count + 1
  end
  return count
end

local START = (datetime.parse("2026-01-01", "UTC+8"))

local function every(seconds, count)
  local times = {}
  for i = 1, count do
    times[i] = START + (i - 1) * seconds
  end
  return times
end

describe("a walk", function()
  it("gives every row of every page once", function()
    for _, count in ipairs { 0, 1, 99, 100, 101, 250 } do
      assert.equal(count, walk({ start_time = "2026-01-01", end_time = "2026-01-10" },
        platform(every(60, count)).fetch))
    end
  end)

  it("splits a long time into windows and loses none at their edges", function()
    local times = every(90 * 86400, 5) -- each one on an edge
    for _, time in ipairs(every(86400, 400)) do
      times[#times + 1] = time
    end
    local server = platform(times)
    assert.equal(405, walk({ start_time = "2026-01-01", end_time = "2027-03-01" }, server.fetch))
    assert.same({ "2026-01-01 00:00:00", "2026-04-01 00:00:00", 0 }, server.requests[1])
  end)

  it("reaches to the end of a last day that is given as a date", function()
    local server = platform { (datetime.parse("2026-01-02 23:59:59", "UTC+8")) }
    assert.equal(1, walk({ start_time = "2026-01-01", end_time = "2026-01-02" }, server.fetch))
  end)

  it("walks on where the platform gives fewer rows than it was asked for", function()
    assert.equal(250, walk({ start_time = "2026-01-01", end_time = "2026-01-10" },
      platform(every(60, 250), { cap = 50 }).fetch))
  end)

  it("drops rows that shifted onto the next page", function()
    local times = every(60, 150)
    local server = platform(times)
    local seen, fetch = 0, server.fetch
    assert.equal(150, walk({ start_time = "2026-01-01", end_time = "2026-01-10" }, function(fields)
      local page = fetch(fields)
      seen = seen + 1
      if seen == 1 then -- the next page begins ten rows too early
        server.fetch(fields)
        return page
      elseif fields.page == 1 then
        local rows = {}
        for i = 91, 150 do
          rows[#rows + 1] = { card_no = "C" .. i }
        end
        return rows
      end
      return page
    end))
  end)

  it("raises where a page can't be had, instead of stopping short", function()
    local err = errors.new { kind = "api", code = 1001, message = "system error" }
    local server = platform(every(60, 150))
    local ok, raised = pcall(walk, { start_time = "2026-01-01", end_time = "2026-01-10" },
      function(fields)
        if fields.page == 1 then
          return nil, err
        end
        return server.fetch(fields)
      end)
    assert.is_false(ok)
    assert.equal(err, raised)
  end)

  it("raises where every page is the same", function()
    local ok, raised = pcall(walk, { start_time = "2026-01-01", end_time = "2026-01-10" },
      function()
        return { { card_no = "C1" } }
      end)
    assert.is_false(ok)
    assert.equal("protocol", raised.kind)
  end)

  it("raises for times that can't be walked", function()
    for _, fields in ipairs { {}, { start_time = "2026-01-01" },
      { start_time = "2026-01-02", end_time = "2026-01-01" },
      { start_time = "yesterday", end_time = "2026-01-01" } } do
      local ok, raised = pcall(walk, fields, error)
      assert.is_false(ok)
      assert.equal("invalid", raised.kind)
    end
    local _, message = pcall(walk, { page = 1, start_time = "2026-01-01",
      end_time = "2026-01-02" }, error)
    assert.is_truthy(tostring(message):find("begins at the first page", 1, true))
  end)

  it("walks lists without a window", function()
    local pages = {
      { { package_no = "P1" }, { package_no = "P2" } }, { { package_no = "P3" } }, {},
    }
    local found = {}
    for row in pager.each(api.operations["cards.packages"], {}, "UTC+8", function(fields)
      return pages[fields.page + 1]
    end) do
      found[#found + 1] = row.package_no
    end
    assert.same({ "P1", "P2", "P3" }, found)
  end)
end)
