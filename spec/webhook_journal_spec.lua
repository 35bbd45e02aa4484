-- lua/keysecure/webhook/journal.lua, report.lua and describe.lua.
local cjson = require "cjson"
local core = require "keysecure.core"
local describe_entry = require "keysecure.webhook.describe"
local journal = require "keysecure.webhook.journal"
local report = require "keysecure.webhook.report"

local function lines_of(path)
  local lines = {}
  for line in io.lines(path) do
    lines[#lines + 1] = line
  end
  return lines
end

describe("a journal", function()
  local path

  before_each(function() path = os.tmpname() end)
  after_each(function()
    os.remove(path)
    os.remove(path .. ".1")
  end)

  it("writes a line of JSON for each entry, behind what is there", function()
    local file = assert(io.open(path, "w"))
    file:write "before\n"
    file:close()
    local writer = assert(journal.open(path))
    writer:write { action = "Auth", ms = 3, amount = "12.50", text = "a\nb" }
    writer:write { action = "Auth", ms = 4 }
    local lines = lines_of(path) -- without closing: nothing lingers in a buffer
    assert.equal(3, #lines)
    assert.same({ action = "Auth", ms = 3, amount = "12.50", text = "a\nb" },
      cjson.decode(lines[2]))
    assert.same({ 2, 0 }, { writer.written, writer.dropped })
    writer:close()
    writer:write { ms = 5 } -- opens it again
    assert.equal(4, #lines_of(path))
    writer:close()
  end)

  it("says why it can't be opened", function()
    local writer, err = journal.open "/no/such/folder/journal"
    assert.is_nil(writer)
    assert.matches("No such file", err)
  end)

  it("follows its name when the file is moved away", function()
    local writer = assert(journal.open(path))
    writer:write { number = 1 }
    os.rename(path, path .. ".1")
    writer:write { number = 2 } -- perhaps still into the old one
    local limit = core.monotonic() + 20000
    repeat
      core.sleep(50)
      writer:write { number = 3 }
      local file = io.open(path)
      local found = file and file:read "*a" or ""
      if file then
        file:close()
      end
    until found ~= "" or core.monotonic() > limit
    assert.equal(0, writer.dropped)
    assert.equal(writer.written, #lines_of(path) + #lines_of(path .. ".1"))
    assert.is_true(#lines_of(path .. ".1") >= 2)
    writer:close()
  end)

  it("makes its file anew when it is gone", function()
    local writer = assert(journal.open(path))
    os.remove(path)
    writer.opened = writer.opened - 2000 -- two seconds later
    writer:write { number = 1 }
    assert.equal(1, #lines_of(path))
    writer:close()
  end)

  it("keeps the file that it has where it may not open it again", function()
    local writer = assert(journal.open(path))
    os.rename(path, path .. ".1")
    assert(os.execute("mkdir " .. path))
    writer.opened = writer.opened - 2000 -- two seconds later
    assert.is_true(writer:write { number = 1 })
    assert.same({ 1, 0 }, { writer.written, writer.dropped })
    assert.equal(1, #lines_of(path .. ".1"))
    writer:close()
  end)

  it("counts what a full disk does not take, and tells of it afterwards", function()
    os.remove(path)
    assert(os.execute("ln -s /dev/full " .. path))
    local writer = assert(journal.open(path))
    local written, err = writer:write { number = 1 }
    assert.is_nil(written)
    assert.matches("No space", err)
    for number = 2, 3 do
      assert.is_true(writer:write { number = number }) -- that was said
    end
    assert.same({ 0, 3 }, { writer.written, writer.dropped })
    os.remove(path) -- room again
    writer:write { number = 4 }
    writer:write { number = 5 }
    assert.same({ 2, 3 }, { writer.written, writer.dropped })
    local sums, numbers = report.new(), {}
    for _, line in ipairs(lines_of(path)) do
      sums:add(line)
      numbers[#numbers + 1] = line ~= "" and cjson.decode(line).number or nil
    end
    assert.equal(3, sums.dropped)
    assert.same({ 4, 5 }, numbers)
    writer:close()
  end)

  describe("with a delay", function()
    local writer, due

    before_each(function()
      due = {}
      writer = assert(journal.open(path, { delay = 0.5, later = function(seconds, fn)
        assert.equal(0.5, seconds)
        table.insert(due, fn)
        return true
      end }))
    end)

    after_each(function() writer:close() end)

    it("has lines wait for each other", function()
      writer:write { number = 1 }
      writer:write { number = 2 }
      assert.same({ 0, 1 }, { #lines_of(path), #due })
      due[1]()
      assert.same({ '{"number":1}', '{"number":2}' }, lines_of(path))
      assert.same({ 2, 0 }, { writer.written, writer.dropped })
      writer:write { number = 3 }
      assert.equal(2, #due)
      due[2]()
      assert.equal(3, #lines_of(path))
    end)

    it("but not for many, nor for the end", function()
      writer:write { text = ("x"):rep(40000) }
      assert.equal(1, #lines_of(path))
      writer:write { number = 2 } -- waits again
      assert.equal(1, #lines_of(path))
      writer:close()
      assert.equal(2, #lines_of(path))
      due[1]() -- too late, and harmless
      assert.equal(2, #lines_of(path))
    end)

    it("counts each of those that a full disk does not take", function()
      os.remove(path)
      assert(os.execute("ln -s /dev/full " .. path))
      writer.opened = writer.opened - 2000 -- two seconds later
      writer:write { number = 1 }
      writer:write { number = 2 }
      due[1]()
      assert.same({ 0, 2 }, { writer.written, writer.dropped })
      os.remove(path)
      writer:write { number = 3 }
      due[2]()
      assert.same({ 1, 2 }, { writer.written, writer.dropped })
      assert.equal(2, cjson.decode(lines_of(path)[2]).count)
    end)

    it("writes at once where it can't wait, or does not", function()
      for count, later in ipairs { function() return nil, "process exiting" end,
        function() error "no loop" end, function(_, fn)
          fn()
          return true
        end } do
        local now = assert(journal.open(path, { delay = 1, later = later }))
        now:write { number = 1 }
        now:write { number = 2 }
        assert.equal(2 * count, #lines_of(path))
        now:close()
      end
    end)

    it("must know how to wait, and how long", function()
      for _, case in ipairs { { { delay = 1 }, "later" }, { { delay = 0 }, "delay" },
        { { delay = "1" }, "delay" }, { { delay = 61 }, "delay" }, { { delay = 0 / 0 }, "delay" },
        { { delay = 1, later = 1 }, "later" } } do
        local ok, err = pcall(journal.open, path, case[1])
        assert.is_false(ok)
        assert.matches(case[2], tostring(err))
      end
    end)
  end)

  it("counts what can't be written as JSON", function()
    local writer = assert(journal.open(path))
    writer:write { text = print }
    assert.equal(1, writer.dropped)
    writer:close()
  end)

  it("keeps the lines of several processes apart #plain", function()
    local script = os.tmpname()
    local file = assert(io.open(script, "w"))
    file:write(string.format([[package.path, package.cpath = %q, %q
      local journal = assert(require("keysecure.webhook.journal").open(%q))
      for number = 1, 500 do
        journal:write { from = arg[1], number = number, text = ("x"):rep(number) }
      end]], package.path, package.cpath, path))
    file:close()
    local interpreter = require("spec.support.command").interpreter()
    os.execute(string.format("for i in 1 2 3 4; do '%s' %s $i & done; wait", interpreter, script))
    os.remove(script)
    local count = 0
    for _, line in ipairs(lines_of(path)) do
      local entry = cjson.decode(line)
      assert.equal(entry.number, #entry.text)
      count = count + 1
    end
    assert.equal(2000, count)
  end)
end)

describe("a report", function()
  local function feed(entries)
    local sums = report.new()
    for _, entry in ipairs(entries) do
      sums:add(type(entry) == "string" and entry or cjson.encode(entry))
    end
    return sums
  end

  local function auth(fields)
    local entry = { kind = "answer", action = "Auth", decision = "approve", reason = "handler",
      ms = 1, duplicate = false, amount = "10.00" }
    for name, value in pairs(fields) do
      entry[name] = value
    end
    return entry
  end

  local function use(fields)
    local entry = auth { action = "Consumption", decision = "taken", type = "Consumption",
      status = "Success" }
    for name, value in pairs(fields) do
      entry[name] = value
    end
    return entry
  end

  it("counts what was answered, and why", function()
    local sums = feed {
      auth { consume_no = "1" }, auth { consume_no = "1", duplicate = true, reason = "duplicate" },
      auth { consume_no = "2", decision = "decline", reason = "timeout", ms = 801 },
      auth { consume_no = "3", decision = "decline", reason = "overload", ms = 800 },
      auth { kind = "late", consume_no = "2" },
      auth { kind = "late", consume_no = "4", decision = "decline" },
      use { consume_no = "1" }, use { consume_no = "1", duplicate = true },
      use { consume_no = "5", decision = "not taken" }, use { reason = "ignored" },
      { kind = "dropped", count = 7 }, "no json", '{"a":1}', "", "[]",
    }
    assert.same({ count = 4, approved = 1, declined = 2, duplicates = 1, over_limit = 1,
      fallbacks = 2, reasons = { handler = 1, timeout = 1, overload = 1 } }, sums.authorizations)
    assert.same({ count = 2, approved = 1 }, sums.late)
    assert.same({ count = 4, taken = 1, not_taken = 1, ignored = 1, duplicates = 1 },
      sums.callbacks)
    assert.same({ 7, 3 }, { sums.dropped, sums.unreadable })
  end)

  it("has quantiles by nearest rank", function()
    assert.is_nil(report.new():times())
    local sums = report.new()
    for ms = 2000, 1, -1 do
      sums:add(cjson.encode(auth { ms = ms }))
    end
    assert.same({ p50 = 1000, p99 = 1980, p999 = 1998, max = 2000 }, sums:times())
    assert.same({ p50 = 5, p99 = 5, p999 = 5, max = 5 }, feed({ auth { ms = 5 } }):times())
  end)

  it("puts each clearing beside its authorization", function()
    local sums = feed {
      auth { consume_no = "same" }, use { consume_no = "same", amount = "10.0" },
      auth { consume_no = "more" }, use { consume_no = "more", amount = "11.00" },
      auth { consume_no = "odd" }, use { consume_no = "odd", amount = "1e1" },
      auth { consume_no = "no", decision = "decline" }, use { consume_no = "no" },
      use { consume_no = "unasked" }, use { consume_no = "fee", type = "Manage_fee" },
      auth { consume_no = "failed" }, use { consume_no = "failed", status = "Fail" },
      auth { consume_no = "open" }, use { consume_no = "open", status = "Pending" },
      auth { consume_no = "never" },
      auth { consume_no = "declined", decision = "decline" },
      -- An answer to other facts changes nothing about the first.
      auth { consume_no = "same", decision = "decline", reason = "changed", amount = "99.00" },
    }
    assert.same({ cleared = 1, failed = 1, open = 2, amount_differs = { "more", "odd" },
      not_approved = { "no", "unasked" } }, sums:reconciled())
  end)
end)

describe("the description of an entry", function()
  it("is one line that people read", function()
    local base = { kind = "answer", action = "Auth", amount = "12.50", local_currency = "EUR",
      consume_no = "S1", decision = "approve", message = "", reason = "handler", ms = 3 }
    local function line(changes)
      local entry = {}
      for _, fields in ipairs { base, changes } do
        for name, value in pairs(fields) do
          entry[name] = value ~= cjson.null and value or nil
        end
      end
      return describe_entry(entry)
    end
    assert.equal("Auth         12.50 EUR S1: approved (3 ms)", line {})
    assert.equal("Auth         12.50 EUR S1: declined (timeout, again, 601 ms)",
      line { decision = "decline", reason = "timeout", message = "declined", duplicate = true,
        ms = 601 })
    assert.equal("Auth         12.50 EUR S1: declined, no money (3 ms)",
      line { decision = "decline", message = "no money" })
    assert.equal("Auth         12.50 EUR S1: would have been approved, too late (900 ms)",
      line { kind = "late", reason = "late", ms = 900 })
    assert.equal("Consumption  1 S1: Refund Success (3 ms)", line { action = "Consumption",
      amount = "1", local_currency = cjson.null, type = "Refund", status = "Success",
      decision = "taken" })
    assert.equal("Card_update  C1: A -> B (3 ms)", line { action = "Card_update",
      consume_no = cjson.null, amount = cjson.null, local_currency = cjson.null, card_no = "C1",
      before_status = "A", after_status = "B", decision = "taken" })
    assert.equal("New?[2J?    12.50 EUR S1: not taken (error, 3 ms)", line {
      action = "New\27[2J\194\155", decision = "not taken", reason = "error" })
  end)
end)
