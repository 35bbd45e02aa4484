-- The cases that are generated from `api`, on both stores; and that a difference is recorded.
local api = require "keysecure.api"
local backends = require "spec.conformance.backend"
local cases = require "spec.conformance.cases"
local child = require "spec.support.child"
local runner = require "spec.conformance.runner"
local support = require "spec.support.emulator"

local function remove(path)
  for _, suffix in ipairs { "", "-wal", "-shm" } do
    os.remove(path .. suffix)
  end
end

local function all_pass(backend)
  local report = runner.run(backend)
  backend:stop()
  local first = report.differences[1] or { id = "none", expected = "", got = "" }
  assert.equal(0, #report.differences, string.format("%s: expected %s, got %s", first.id,
    first.expected, first.got))
  assert.same({}, report.skipped)
  assert.equal(#cases, report.same)
end

describe("conformance", function()
  it("has cases enough, of every operation, none twice", function()
    local count, seen = {}, {}
    for _, case in ipairs(cases) do
      assert.is_nil(seen[case.id .. case.mode], case.id)
      seen[case.id .. case.mode] = true
      count[case.operation] = (count[case.operation] or 0) + 1
    end
    for _, name in ipairs(api.names) do
      assert.is_true((count[name] or 0) >= 15, name .. ": " .. tostring(count[name]))
    end
    print(string.format("\n%d generated conformance cases", #cases))
  end)

  it("is the emulator's in memory", function()
    all_pass(backends.emulator())
  end)

  it("is the emulator's with a file #plain", function()
    local path = os.tmpname()
    os.remove(path)
    all_pass(backends.emulator { data = path })
    remove(path)
  end)

  it("is recorded where a platform differs #plain", function()
    local peer = support.start()
    peer.emulator:fault { operation = "cards.packages", code = 1001, times = "always" }
    local merchant = peer.emulator.merchants.credit
    local path = os.tmpname()
    local status = os.execute(string.format("KS_BACKEND=%s KS_CASES='^car.*s%%.[bp]' "
      .. "KEYSECURE_MODE=credit "
      .. "KEYSECURE_API_KEY=%s KEYSECURE_API_SECRET='%s' %s spec/conformance/run.lua %s >/dev/null",
      peer.address, merchant.api_key, merchant.api_secret, child.interpreter(), path))
    peer:stop()
    assert.is_truthy(status == nil or status ~= 0)
    local file = assert(io.open(path))
    local page = file:read "*a"
    file:close()
    os.remove(path)
    local same, different = page:match "(%d+) cases are as expected, (%d+) differ"
    assert.is_true(tonumber(same) > 20, page)
    local named = 0
    for id in page:gmatch "\n| ([%w._]+: [^|]*) |" do
      named = named + 1
      assert.matches("^cards%.packages", id)
    end
    assert.equal(tonumber(different), named)
    assert.is_true(named > 20)
    assert.is_truthy(page:find("| cards.packages: type out of its enum | code 1004 for type "
      .. "| HTTP 200, code 1001, system error, try later |", 1, true))
    assert.is_nil(page:find(merchant.api_secret, 1, true))
  end)
end)
