-- The operations on cardholders through the client, over HTTP.
local keysecure = require "keysecure"
local support = require "spec.support.client"

describe("cardholders", function()
  local world, ks

  setup(function()
    world = support.start()
    ks = world.ks
  end)
  teardown(function()
    world:stop()
  end)
  after_each(function()
    world:configure { kyc_delay = 0 }
  end)

  describe("cardholders.apply", function()
    it("works: the row can be worked on at once", function()
      local unique = world:unique "holder"
      local holder = assert(ks.cardholders:apply { cardholder_unique_no = unique,
        sumsub_share_token = "share" })
      support.check_row("cardholders.apply", holder)
      assert.matches("^U%d+$", holder.cardholder_no)
      assert.equal(unique, holder.cardholder_unique_no)
      assert.is_nil(holder.sumsub_share_token)
      assert.equal("Approved", assert(holder:refresh()).status)
    end)

    it("applies again after a rejection, with the number", function()
      local holder = assert(ks.cardholders:apply { cardholder_unique_no = world:unique "holder",
        sumsub_share_token = "reject-1" })
      assert.equal("Rejected", assert(holder:refresh()).status)
      local again = assert(ks.cardholders:apply { cardholder_no = holder.cardholder_no,
        cardholder_unique_no = holder.cardholder_unique_no, sumsub_share_token = "share" })
      assert.equal(holder.cardholder_no, again.cardholder_no)
      assert.equal("Approved", assert(again:refresh()).status)
    end)

    it("is refused with 2001 where the merchant's number is taken", function()
      local holder = world:holder()
      support.refused({ code = 2001, operation = "cardholders.apply", attempts = 1 },
        ks.cardholders:apply({ cardholder_unique_no = holder.cardholder_unique_no,
          sumsub_share_token = "share" }, { settle = false }))
    end)

    local function apply_again(holder, unique)
      return ks.cardholders:apply { cardholder_no = holder.cardholder_no,
        cardholder_unique_no = unique or holder.cardholder_unique_no,
        sumsub_share_token = "share" }
    end

    it("is refused with 2002 for a cardholder that there isn't", function()
      support.refused({ code = 2002 }, apply_again({ cardholder_no = "U1" }, "other"))
    end)

    it("is refused with 2003 once approved, and with 2004 while under way", function()
      support.refused({ code = 2003 }, apply_again(world:holder()))
      world:configure { kyc_delay = 60 }
      support.refused({ code = 2004 }, apply_again(world:holder()))
    end)

    it("is refused with 2005 and 2006 where the KYC data won't do", function()
      local CODES = { unverified = 2005, nodata = 2006 }
      for token, code in pairs(CODES) do
        support.refused({ code = code }, ks.cardholders:apply {
          cardholder_unique_no = world:unique "holder", sumsub_share_token = token })
      end
    end)

    it("is refused with 2011 where the merchant's number is another", function()
      support.refused({ code = 2011 }, apply_again(world:holder(), "other"))
    end)
  end)

  describe("cardholders.list", function()
    it("works: rows with methods, newest first", function()
      local first, second = world:holder(), world:holder()
      local list = assert(ks.cardholders:list(support.window()))
      assert.equal(second.cardholder_no, list[1].cardholder_no)
      assert.equal(first.cardholder_no, list[2].cardholder_no)
      for _, holder in ipairs(list) do
        support.check_row("cardholders.list", holder)
        assert.is_function(holder.apply_card)
      end
      assert.equal("Approved", list[1].status)
      assert.equal(second.time, list[1].time)
      assert.equal(list[1], list[1]:refresh())
    end)

    it("finds one by either number, and nothing outside the time", function()
      local holder = world:holder()
      for _, name in ipairs { "cardholder_no", "cardholder_unique_no" } do
        local fields = support.window()
        fields[name] = holder[name]
        local list = assert(ks.cardholders:list(fields))
        assert.equal(1, #list)
        assert.equal(holder.cardholder_no, list[1].cardholder_no)
      end
      assert.same({}, ks.cardholders:list { start_time = "2020-01-01", end_time = "2020-02-01" })
    end)

    it("gives the page asked for", function()
      for _ = 1, 3 do
        world:holder()
      end
      local fields = support.window()
      fields.size = 2
      local first = assert(ks.cardholders:list(fields))
      fields.page = 1
      local second = assert(ks.cardholders:list(fields))
      assert.equal(2, #first)
      assert.is_true(first[2].cardholder_no > second[1].cardholder_no)
      fields.page = 1000
      assert.same({}, ks.cardholders:list(fields))
    end)

    it("takes days by the timezone of the client or of the call", function()
      -- A moment that is one day in UTC+14 and the day before in UTC-12.
      world:configure { clock_offset = -200 * 86400 }
      local holder = world:holder()
      local seconds = math.floor(holder.time / 1000)
      local function found(zone)
        local function day(shift)
          return os.date("!%Y-%m-%d", seconds + shift * 3600)
        end
        local date = day(14)
        local fields = { start_time = date, end_time = date,
          cardholder_no = holder.cardholder_no }
        return #assert(ks.cardholders:list(fields, { timezone = zone })), date == day(-12)
      end
      assert.equal(1, (found "UTC+14"))
      local count, same_day = found "UTC-12"
      assert.equal(same_day and 1 or 0, count)
      local far = world:client { timezone = "UTC-12" }
      local date = os.date("!%Y-%m-%d", seconds - 12 * 3600)
      assert.equal(1, #assert(far.cardholders:list { start_time = date, end_time = date,
        cardholder_no = holder.cardholder_no }))
      world:configure { clock_offset = 0 }
    end)

    it("is refused by the platform with 1019 and 1020 where it counts otherwise", function()
      for _, code in ipairs { 1019, 1020 } do
        world:fault("cardholders.list", code)
        support.refused({ code = code }, ks.cardholders:list(support.window()))
      end
    end)
  end)

  describe("cardholders.info", function()
    it("works: balance as text, its cards with methods", function()
      local holder = world:holder()
      world:fund(holder, "70.10")
      local card = world:card("Virtual", ks, holder)
      local info = assert(ks.cardholders:info { cardholder_no = holder.cardholder_no })
      support.check_row("cardholders.info", info)
      assert.equal("70.10", info.total_balance)
      assert.equal("Approved", info.status)
      assert.equal(1, #info.card_list)
      assert.equal(card.card_no, info.card_list[1].card_no)
      assert.equal("Activated", assert(info.card_list[1]:refresh()).status)
    end)

    it("is refused with 2002 for a cardholder that there isn't, or is another's", function()
      local err = support.refused({ code = 2002, attempts = 1 },
        ks.cardholders:info { cardholder_no = "U1" })
      assert.is_true(keysecure.is_error(err))
      support.refused({ code = 2002 }, world.authorization.cardholders:info {
        cardholder_no = world:holder().cardholder_no })
    end)
  end)
end)
