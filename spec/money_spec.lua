local errors = require "keysecure.errors"
local money = require "keysecure.money"

-- Whole numbers of cents that a double holds exactly, as the model for random checks.
local function text_of_cents(cents)
  local sign = cents < 0 and "-" or ""
  cents = math.abs(cents)
  return string.format("%s%d.%02d", sign, math.floor(cents / 100), cents % 100)
end

describe("keysecure.money", function()
  describe("is", function()
    it("takes digits, one point with decimals, and a minus sign", function()
      for _, text in ipairs { "0", "100.00", "-0.5", "007", ("9"):rep(200) .. ".01" } do
        assert.is_true(money.is(text), text)
      end
    end)

    it("takes nothing else", function()
      local others = { "", ".", "1.", ".5", "+1", "1e3", " 1", "1 ", "1,0", "--1", "1.2.3", "0x1",
        "１", "-", "1\n", 12.5, true, {} }
      for _, value in ipairs(others) do
        assert.is_false(money.is(value), tostring(value))
      end
      assert.is_false(money.is(nil))
    end)
  end)

  describe("compare", function()
    it("goes by value, not by text", function()
      assert.equal(0, money.compare("1.0", "1.00"))
      assert.equal(0, money.compare("007.5", "7.50"))
      assert.equal(0, money.compare("-0.00", "0"))
      assert.equal(1, money.compare("10", "9.99"))
      assert.equal(-1, money.compare("0.1", "0.11"))
      assert.equal(-1, money.compare("-0.01", "0"))
      assert.equal(1, money.compare("0", "-0.01"))
      assert.equal(-1, money.compare("-2", "-1"))
      assert.equal(1, money.compare("-1", "-2"))
    end)

    it("tells numbers apart that are one and the same double", function()
      assert.equal(-1, money.compare("9007199254740992", "9007199254740993"))
      assert.equal(1, money.compare("0.30000000000000000001", "0.3"))
    end)
  end)

  describe("add and subtract", function()
    it("keep the larger number of decimals", function()
      assert.equal("99.50", money.subtract("100.00", "0.5"))
      assert.equal("100.500", money.add("100", "0.500"))
      assert.equal("3", money.add("1", "2"))
    end)

    it("give negative results, and zero without a sign", function()
      assert.equal("-0.01", money.subtract("1", "1.01"))
      assert.equal("0.00", money.subtract("1.00", "1"))
      assert.equal("0.0", money.add("-0.0", "-0.0"))
      assert.equal("-3", money.add("-1", "-2"))
      assert.equal("3", money.subtract("1", "-2"))
    end)

    it("carry and borrow over any length", function()
      assert.equal("1" .. ("0"):rep(60) .. ".00", money.add(("9"):rep(60) .. ".99", "0.01"))
      assert.equal(("9"):rep(60) .. ".99", money.subtract("1" .. ("0"):rep(60), "0.01"))
    end)

    it("are exact where doubles are not", function()
      assert.equal("0.3", money.add("0.1", "0.2"))
      assert.equal("9007199254740993.1", money.add("9007199254740992.0", "1.1"))
    end)

    it("drop needless leading zeros", function()
      assert.equal("7.5", money.add("007.5", "0"))
      assert.equal("0.5", money.add("00.5", "0"))
    end)

    it("agree with whole cents for random amounts", function()
      math.randomseed(7)
      for _ = 1, 2000 do
        local a, b = math.random(-2000000, 2000000), math.random(-2000000, 2000000)
        local x, y = text_of_cents(a), text_of_cents(b)
        assert.equal(text_of_cents(a + b), money.add(x, y))
        assert.equal(text_of_cents(a - b), money.subtract(x, y))
        assert.equal(a < b and -1 or a > b and 1 or 0, money.compare(x, y))
      end
    end)
  end)

  describe("multiply", function()
    it("is exact without a scale", function()
      assert.equal("0.02", money.multiply("0.1", "0.2"))
      assert.equal("12345678987654321", money.multiply("111111111", "111111111"))
      assert.equal("-1.50", money.multiply("-1.0", "1.5"))
      assert.equal("0.0", money.multiply("-0", "1.0"))
    end)

    it("rounds half away from zero", function()
      assert.equal("0.01", money.multiply("0.005", "1", 2))
      assert.equal("0.00", money.multiply("0.0049", "1", 2))
      assert.equal("-0.01", money.multiply("-0.005", "1", 2))
      assert.equal("0.19", money.multiply("12.50", "0.015", 2))
      assert.equal("1.00", money.multiply("0.999", "1", 2))
      assert.equal("10", money.multiply("9.5", "1", 0))
      assert.equal("1", money.multiply("0.5", "1", 0))
      assert.equal("0.00", money.multiply("0.000001", "0.1", 2))
      assert.equal("2.00", money.multiply("2", "1", 2))
    end)

    it("agrees with whole numbers for random factors", function()
      for _ = 1, 1000 do
        local a, b = math.random(0, 99999), math.random(0, 99999)
        assert.equal(string.format("%.0f", a * b),
          money.multiply(tostring(a), tostring(b)))
      end
    end)

    it("raises for a scale that is none", function()
      for _, scale in ipairs { -1, 1.5, "2" } do
        assert.has_error(function() money.multiply("1", "1", scale) end,
          "scale is a whole number of decimals")
      end
    end)
  end)

  describe("misuse and bad text", function()
    local two = { "compare", "add", "subtract", "multiply" }

    it("raises for a Lua number, on either side, where it was called", function()
      for _, name in ipairs(two) do
        for _, pair in ipairs { { 1, "1" }, { "1", 1.5 }, { nil, "1" }, { "1", {} } } do
          local ok, message = pcall(function()
            local result = money[name](pair[1], pair[2])
            return result
          end)
          assert.is_false(ok)
          assert.matches("money_spec%.lua:%d+: money is decimal text", message)
        end
      end
    end)

    it("answers nil and an error object for text that is no number", function()
      for _, name in ipairs(two) do
        for _, pair in ipairs { { "1.", "1" }, { "1", "ten" }, { "1e2", "1" } } do
          local result, err = money[name](pair[1], pair[2])
          assert.is_nil(result)
          assert.is_true(errors.is(err))
          assert.equal("invalid", err.kind)
          assert.equal("not_sent", err.outcome)
        end
      end
    end)
  end)
end)
