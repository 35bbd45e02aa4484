local datetime = require "keysecure.datetime"

describe("datetime", function()
  it("reads dates of any year and zone", function()
    local known = {
      { "1970-01-01", "UTC", 0 },
      { "1970-01-01 08:00:00", "UTC+8", 0 },
      { "2000-02-29", "UTC", 951782400 },
      { "2024-02-29 23:59:59", "UTC+8", 1709222399 },
      { "2026-11-23 00:00:00", "UTC-03:30", 1795404600 },
      { "1969-12-31 23:59:59", "UTC", -1 },
    }
    for _, case in ipairs(known) do
      assert.equal(case[3], (datetime.parse(case[1], case[2])), case[1])
    end
  end)

  it("agrees with the machine's calendar", function()
    for day = -25000, 60000, 97 do
      local text = os.date("!%Y-%m-%d %H:%M:%S", day * 86400 + 3661)
      assert.equal(day * 86400 + 3661, (datetime.parse(text, "UTC")), text)
      assert.equal(text, datetime.format(day * 86400 + 3661, "UTC"))
    end
  end)

  it("refuses what is no date", function()
    for _, text in ipairs { "", "2026", "2026-13-01", "2026-02-30", "2025-02-29", "1900-02-29",
      "2026-01-00", "2026-01-01T00:00:00", "2026-01-01 24:00:00", "2026-01-01 00:60:00",
      "2026-01-01 00:00:60", "2026-01-01 00:00", "26-01-01", " 2026-01-01", "2026-01-01 " } do
      assert.is_nil((datetime.parse(text, "UTC")), text)
    end
  end)

  it("takes a date alone as the end of that day [A13]", function()
    assert.equal(86399, datetime.parse_end("1970-01-01", "UTC"))
    assert.equal(60, datetime.parse_end("1970-01-01 00:01:00", "UTC"))
    assert.is_nil(datetime.parse_end("1970-02-31", "UTC"))
  end)

  it("knows zones", function()
    assert.equal(28800, datetime.zone_offset("UTC+8"))
    assert.equal(-12600, datetime.zone_offset("UTC-03:30"))
    assert.equal(20700, datetime.zone_offset("UTC+0545"))
    for _, zone in ipairs { "", "UTC+", "UTC+15", "GMT+8", "UTC+8:60", "UTC8", "utc+8" } do
      assert.is_nil(datetime.zone_offset(zone), zone)
    end
  end)
end)
