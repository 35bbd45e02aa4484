-- Time is yours: the clock is moved, set wrong, and what falls due on the way happens.
local api = require "keysecure.api"
local core = require "keysecure.core"
local datetime = require "keysecure.datetime"
local support = require "spec.support.emulator"

local DAY = 86400

describe("the emulator's clock", function()
  local peer

  setup(function() peer = support.start { kyc_delay = 600, issue_delay = 600 } end)
  teardown(function() peer:stop() end)
  after_each(function() peer:reset() end)

  local function clock(change)
    return peer.emulator:clock(change)
  end

  local function advanced(seconds)
    return clock { advance = seconds }
  end

  it("says where it is", function()
    local where = peer:control("GET", "clock")
    assert.same({ 0, 0 }, { where.advanced, where.skew })
    assert.is_true(math.abs(where.now - core.wall()) < 5000)
    where = clock { advance = 3600, skew = -20 }
    assert.is_true(math.abs(where.life - core.wall() - 3600000) < 5000)
    assert.is_true(math.abs(where.now - core.wall() - 3580000) < 5000)
    assert.equal(-20, where.skew)
  end)

  it("moves KYC, step by step, each at its moment", function()
    local holder = peer:holder()
    local function status()
      return peer:ok("cardholders.info", { cardholder_no = holder }).status
    end
    assert.equal("Pending", status())
    advanced(590)
    assert.equal("Pending", status())
    advanced(11)
    assert.equal("In_progress", status())
    advanced(600)
    assert.equal("Approved", status())
  end)

  it("moves issuing, and tells at the moment when it was", function()
    support.run(function()
      local receiver = support.receiver()
      assert(peer:control("POST", "config", { callback_url = receiver.url, kyc_delay = 0 }))
      local card_no = peer:card()
      local due = peer:control("GET", "clock").life + 600000
      advanced(7 * DAY)
      local data = receiver.wait("Card_update", 1)[1].json.data
      assert.equal(card_no, data.card_no)
      assert.is_true(math.abs(data.time - due) < 5000)
    end)
  end)

  it("moves all repeats of a callback, and gives it up after the last", function()
    support.run(function()
      local receiver = support.receiver(function() return 500 end)
      assert(peer:control("POST", "config",
        { callback_url = receiver.url, kyc_delay = 0, issue_delay = 0 }))
      peer:card()
      receiver.wait("Card_update", 1)
      advanced(40)
      assert.equal(4, #receiver.events) -- after 1, 5 and 30 seconds
      advanced(DAY)
      assert.equal(5, #receiver.events) -- after 60
      advanced(DAY)
      assert.equal(5, #receiver.events)
      local stamps = {}
      for i, event in ipairs(receiver.events) do
        stamps[i] = tonumber(event.headers:get "timestamp")
      end
      for i, seconds in ipairs { 1, 5, 30, 60 } do
        local gap = (stamps[i + 1] - stamps[i]) / 1000
        assert.is_true(gap >= seconds and gap < seconds + 5, i .. ": " .. gap)
      end
    end)
  end)

  it("lets tokens expire", function()
    local token = peer:ok("merchant.token").access_token
    local headers = { ["Access-Token"] = token }
    advanced(DAY - 60)
    assert.equal(0, peer:call("cards.packages", {}, { headers = headers }).json.code)
    advanced(61)
    assert.equal(1007, peer:call("cards.packages", {}, { headers = headers }).json.code)
  end)

  it("sets the time, and turns the day over in lists and numbers", function()
    local before = peer:ok("cardholders.apply", peer:apply_values()).cardholder_no
    local target = os.date("!%Y-%m-%d", math.floor(core.wall() / 1000) + 40 * DAY)
    clock { set = target .. " 23:59:50" } -- of UTC+8
    peer.tokens = {} -- they have expired
    local late = peer:ok("cardholders.apply", peer:apply_values()).cardholder_no
    assert.equal("U" .. target:gsub("-", ""), late:sub(1, 9))
    assert.are_not.equal(before:sub(1, 9), late:sub(1, 9))
    advanced(10)
    local next_day = os.date("!%Y-%m-%d", math.floor(core.wall() / 1000) + 41 * DAY)
    local early = peer:ok("cardholders.apply", peer:apply_values()).cardholder_no
    assert.equal("U" .. next_day:gsub("-", ""), early:sub(1, 9))
    local function of_day(day)
      local rows = peer:ok("cardholders.list", { start_time = day, end_time = day }).list
      return #rows == 1 and rows[1].cardholder_no
    end
    assert.equal(late, of_day(target))
    assert.equal(early, of_day(next_day))
  end)

  it("bounds a window to the second, both ends included", function()
    assert(peer:control("POST", "config", { kyc_delay = 0 }))
    peer:holder()
    local made = math.floor(peer:control("GET", "state").cardholders[1].time / 1000)
    local function count(from, to)
      return #peer:ok("cardholders.list", {
        start_time = datetime.format(made + from, api.default_timezone),
        end_time = datetime.format(made + to, api.default_timezone) }).list
    end
    assert.same({ 1, 1, 0, 0 }, { count(-1, 0), count(0, 1), count(1, 2), count(-2, -1) })
  end)

  it("shows itself in Date, and takes the Timestamps of both times", function()
    advanced(10 * DAY)
    local function code(offset)
      local text = string.format("%.0f", core.wall() + offset * 1000)
      return peer:call("merchant.token", nil, { headers = { Timestamp = text } })
    end
    local answer = code(0)
    assert.equal(0, answer.json.code)
    local day = os.date("!%d %b %Y", math.floor(core.wall() / 1000) + 10 * DAY)
    assert.is_truthy(answer.headers:get("date"):find(day, 1, true))
    assert.equal(0, code(10 * DAY - 1).json.code)
    assert.equal(1005, code(5 * DAY).json.code)
    assert.equal(1005, code(5).json.code)
    assert.equal(1005, code(-61).json.code)
    assert.equal(1005, code(10 * DAY + 5).json.code)
    assert.equal(1005, code(10 * DAY - 61).json.code)
    assert.equal(1, peer:control("GET", "stats").future_timestamps)
  end)

  it("refuses what is no time, and the past", function()
    for _, change in ipairs { { advance = -1 }, { advance = "soon" }, { set = "yesterday" },
      { set = "2020-01-01" }, { set = 5 }, { set = true }, { skew = "much" }, { skew = 1e300 },
      { skew = -1e300 }, { days = 1 },
      { advance = 3661 * DAY } } do
      assert.is_nil((peer:control("POST", "clock", change)))
    end
    assert.equal(0, peer:control("GET", "clock").advanced)
    assert.error_matches(function() clock { advance = -1 } end,
      "emulator: time moves forward only")
  end)

  it("comes back at a reset", function()
    clock { advance = DAY, skew = 5 }
    peer:reset()
    local where = peer:control("GET", "clock")
    assert.same({ 0, 0 }, { where.advanced, where.skew })
  end)
end)
