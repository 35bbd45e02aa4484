-- lua/keysecure/webhook/probe.lua and the command of that name: against endpoints in a process of
-- their own, good ones and bad ones.
local background = require "spec.support.background"
local command = require "spec.support.command"
local probe = require "keysecure.webhook.probe"
local nginx = require "spec.support.nginx"

local KEYS = { KEYSECURE_API_KEY = "app", KEYSECURE_API_SECRET = "0123456789abcdef" }

describe("a probe", function()
  local target, address

  setup(function()
    target = background.start { command.interpreter(), "-e", string.format(
      "package.path, package.cpath = %q, %q", package.path, package.cpath),
      "spec/support/probe_target.lua" }
    address = "http://127.0.0.1:" .. assert(target:line())
  end)
  teardown(function() target:stop() end)

  local function options(path, changes)
    local result = { url = address .. path, api_key = "app", api_secret = "0123456789abcdef",
      rate = 200, seconds = 0.5, p999 = 30000 }
    for name, value in pairs(changes or {}) do
      result[name] = value
    end
    return result
  end

  local function run(path, changes)
    return assert(probe.run(options(path, changes)))
  end

  it("finds nothing wrong with a webhook of this library", function()
    local report = run "/good"
    assert.same({}, report.faults)
    assert.is_true(report.ok)
    assert.equal(100, report.sent)
    assert.equal(report.sent, report.new + report.repeated + report.tampered)
    assert.equal(report.new + report.repeated, report.approved)
    assert.equal(2, report.tampered)
    assert.is_true(report.repeated >= 4 and report.repeated <= 5, report.repeated)
    assert.is_true(report.p50 <= report.p99 and report.p99 <= report.p999
      and report.p999 <= report.most)
  end)

  it("asks each kind of question even where it asks little", function()
    local report = run("/good", { rate = 20, seconds = 0.25 })
    assert.equal(5, report.sent)
    assert.same({ 1, 1, 3 }, { report.tampered, report.repeated, report.new })
  end)

  it("asks about the purchases that it is told to", function()
    local report = run("/good", { data = { card_no = "C-bad" } })
    assert.is_true(report.ok)
    assert.same({ 0, report.new + report.repeated }, { report.approved, report.declined })
  end)

  local function faulty(path, pattern, changes)
    local report = run(path, changes)
    assert.is_false(report.ok)
    assert.equal(1, #report.faults, table.concat(report.faults, "; "))
    assert.matches(pattern, report.faults[1])
    return report
  end

  it("sees that what was tampered with is believed", function()
    local report = faulty("/trusting", "^2 of 2 questions that were tampered with")
    assert.equal(2, report.tampered_approved)
  end)

  it("sees that the same question gets another answer", function()
    faulty("/moody", "^%d+ of %d+ questions asked again got another answer", { duplicates = 0.2 })
  end)

  it("sees answers that are none", function()
    faulty("/page", "^98 without an answer: an answer without a code")
    faulty("/broken", "^98 without an answer: HTTP status 500")
  end)

  it("sees keys that are others", function()
    faulty("/good", "^98 without an answer: HTTP status 401", { api_secret = "another" })
  end)

  it("sees that nobody is there", function()
    faulty("", "without an answer: .*[Cc]onnect", { rate = 20,
      url = "http://127.0.0.1:" .. nginx.free_port() .. "/" })
  end)

  it("sees that answers take too long", function()
    assert.is_true(faulty("/slow", "^p50 is %d+%.%d ms, more than 20", { p50 = 20 }).p50 >= 50)
    faulty("/slow", "^p99 is %d+%.%d ms, more than 20", { p99 = 20 })
    faulty("/slow", "^p99%.9 is %d+%.%d ms, more than 20", { p999 = 20 })
  end)

  it("counts the time from when a question was due, not from when it could be sent", function()
    -- The one that stalls costs its followers on one connection as well: 400 ms less what each is
    -- younger. Timed from the sending, only one of a hundred would be slow.
    local report = run("/stalling", { connections = 1, rate = 100, seconds = 1 })
    assert.is_true(report.p999 >= 350, report.p999)
    assert.is_true(report.p50 < report.p999)
    local slow = probe.quantile({ 400, 1, 300, 2 }, 0.5)
    assert.equal(2, slow)
  end)

  it("refuses options that can't be, by name", function()
    for name, value in pairs { url = "http://example.com/", api_key = "", api_secret = false,
      rate = 0, seconds = -1, duplicates = 2, tampered = "1", p50 = -1, p99 = "x", p999 = -1,
      connections = 0, amount = "1e3" } do
      local report, err = probe.run(options("/good", { [name] = value }))
      assert.is_nil(report)
      assert.same({ "invalid", name }, { err.kind, err.field })
    end
  end)

  describe("on the command line", function()
    local function keysecure(words, environment)
      table.insert(words, 1, "probe")
      return command.run(words, { environment = environment or KEYS })
    end

    it("prints what it found and ends with 0, or with 1 where that was bad", function()
      local good = keysecure { address .. "/good", "--rate", "100", "--seconds", "0.3",
        "--p999", "30000", "--card-no", "C-bad" }
      assert.same({ 0, "" }, { good.status, good.err })
      assert.matches("sent +30\n", good.out)
      assert.matches("declined +29\n", good.out)
      assert.matches("\ngood\n$", good.out)
      local bad = keysecure { address .. "/trusting", "--rate", "100", "--seconds", "0.3",
        "--p999", "30000" }
      assert.equal(1, bad.status)
      assert.matches("\nFAULT +1 of 1 questions that were tampered with.*\nnot good\n$", bad.out)
    end)

    it("ends with 2 where it was called wrongly, and shows no secret", function()
      local wrong = keysecure { "http://example.com/" }
      assert.same({ 2, "" }, { wrong.status, wrong.out })
      assert.matches("^keysecure probe: url: must be https", wrong.err)
      local without = keysecure({ address .. "/good" }, { KEYSECURE_API_KEY = "" })
      assert.equal(2, without.status)
      assert.matches("api_key: is required", without.err)
    end)
  end)
end)
