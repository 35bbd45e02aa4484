-- Rules that no case generated from `api` can show: see spec/conformance for those.
local core = require "keysecure.core"
local support = require "spec.support.emulator"

describe("the emulator's rules", function()
  local peer

  setup(function() peer = support.start() end)
  teardown(function() peer:stop() end)

  it("count characters, not bytes", function()
    local values = { cardholder_unique_no = ("é"):rep(64), sumsub_share_token = "s" }
    assert.equal(0, peer:call("cardholders.apply", values).json.code)
    values.cardholder_unique_no = ("é"):rep(65)
    assert.equal(1004, peer:call("cardholders.apply", values).json.code)
  end)

  it("ask less of the address of a virtual card", function()
    local needed = { "postal_code", "country", "state", "city", "address_line1" }
    local function apply(kind, address)
      return peer:call("cards.apply", { package_no = "P-1", cardholder_no = "U1", card_type = kind,
        card_unique_no = "c", address_info = address }).json
    end
    local function pick(names)
      local address = {}
      for _, name in ipairs(names) do
        address[name] = support.address_info[name]
      end
      return address
    end
    assert.equal(2002, apply("Virtual", nil).code)
    assert.equal(2002, apply("Virtual", pick(needed)).code)
    assert.equal("address_info.first_name invalid parameter", apply("Physical", pick(needed)).msg)
    assert.equal("address_info invalid parameter", apply("Physical", nil).msg)
    for i = 1, #needed do
      local names = {}
      for j, name in ipairs(needed) do
        names[#names + 1] = j ~= i and name or nil
      end
      assert.equal("address_info." .. needed[i] .. " invalid parameter",
        apply("Virtual", pick(names)).msg)
    end
  end)
end)

describe("the emulator's lists", function()
  local peer, HOLDERS = nil, 25

  setup(function()
    peer = support.start()
    for i = 1, HOLDERS do
      peer:ok("cardholders.apply", { cardholder_unique_no = "n" .. i, sumsub_share_token = "s" })
    end
  end)
  teardown(function() peer:stop() end)

  local function date(shift, zone_hours, form)
    return os.date(form or "!%Y-%m-%d %H:%M:%S",
      math.floor(core.wall() / 1000) + shift + zone_hours * 3600)
  end

  local function list(values, headers)
    values.start_time = values.start_time or date(-3600, 8)
    values.end_time = values.end_time or date(3600, 8)
    return peer:call("cardholders.list", values, { headers = headers }).json
  end

  local function numbers(answer)
    local result = {}
    for i, row in ipairs(answer.data.list) do
      result[i] = row.cardholder_unique_no
    end
    return result
  end

  it("begin at page 0 with ten rows, newest first", function()
    local first = numbers(list {})
    assert.equal(10, #first)
    assert.equal("n25", first[1])
    assert.equal("n16", first[10])
    assert.same(first, numbers(list { page = 0, size = 10 }))
    assert.equal("n15", numbers(list { page = 1 })[1])
    assert.same({ "n5", "n4", "n3", "n2", "n1" }, numbers(list { page = 2 }))
    assert.same({}, numbers(list { page = 3 }))
    assert.same({}, numbers(list { page = 1e15 }))
  end)

  it("take sizes from 1 to 100", function()
    assert.same({ "n25" }, numbers(list { size = 1 }))
    assert.same({ "n24" }, numbers(list { size = 1, page = 1 }))
    assert.equal(HOLDERS, #numbers(list { size = 100 }))
    assert.same({ "n1" }, numbers(list { size = 24, page = 1 }))
  end)

  it("are narrowed by what is asked", function()
    assert.same({ "n7" }, numbers(list { cardholder_unique_no = "n7" }))
    assert.same({}, numbers(list { cardholder_unique_no = "n7", page = 1 }))
    assert.same({}, numbers(list { cardholder_unique_no = "nobody" }))
    assert.same({}, numbers(list { cardholder_unique_no = "n7", cardholder_no = "U1" }))
  end)

  it("hold what lies in the window, both ends included", function()
    assert.same({}, numbers(list { start_time = date(60, 8), end_time = date(120, 8) }))
    assert.same({}, numbers(list { start_time = date(-120, 8), end_time = date(-60, 8) }))
    local answer = list { start_time = date(-60, 8), end_time = date(60, 8), size = 100 }
    assert.equal(HOLDERS, #numbers(answer))
  end)

  it("take days by the Timezone header, UTC+8 without it, and an end day to its end", function()
    for zone, hours in pairs { ["UTC"] = 0, ["UTC+8"] = 8, ["UTC-11"] = -11, ["UTC+14"] = 14,
      ["UTC+05:30"] = 5.5 } do
      local today = date(0, hours, "!%Y-%m-%d")
      local headers = { Timezone = zone }
      local same_day = list({ start_time = today, end_time = today }, headers)
      assert.equal(10, #numbers(same_day), zone)
      local tomorrow = date(86400, hours, "!%Y-%m-%d")
      assert.same({}, numbers(list({ start_time = tomorrow, end_time = tomorrow }, headers)))
      local now = { start_time = date(-60, hours), end_time = date(60, hours) }
      assert.equal(10, #numbers(list(now, headers)), zone)
    end
    local now = { start_time = date(-60, 0), end_time = date(60, 0) }
    assert.equal(10, #numbers(list(now, { Timezone = "UTC" })))
    assert.same({}, numbers(list({ start_time = now.start_time, end_time = now.end_time })))
  end)
end)
