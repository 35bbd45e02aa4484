-- The operations on accounts through the client, over HTTP.
local support = require "spec.support.client"

describe("accounts", function()
  local world, ks

  setup(function()
    world = support.start()
    ks = world.ks
  end)
  teardown(function()
    world:stop()
  end)

  local function transfer(holder, changes)
    local fields = { cardholder_no = holder.cardholder_no, type = "In", balance = "10.00",
      transfer_unique_no = world:unique "transfer" }
    for name, value in pairs(changes or {}) do
      fields[name] = value
    end
    return ks.accounts:transfer(fields)
  end

  describe("accounts.transfer", function()
    it("works, in and out, exact to the last digit", function()
      local holder = world:holder()
      local row = assert(transfer(holder, { balance = "90071992547409.93" }))
      support.check_row("accounts.transfer", row)
      assert.matches("^T%d+$", row.transfer_no)
      assert.equal("0.00", row.before_balance)
      assert.equal("90071992547409.93", row.after_balance)
      assert.equal(holder.cardholder_no, row.cardholder_no)
      assert.equal("90071992547409.93", row.balance)
      row = assert(transfer(holder, { type = "Out", balance = "0.01" }))
      assert.equal("90071992547409.92", row.after_balance)
      assert.equal("90071992547409.93", row.before_balance)
      assert.matches("^transfer T%d+ Out 0.01$", tostring(row))
    end)

    it("takes its type in any letter case", function()
      local holder = world:holder()
      assert.equal("10.00", assert(transfer(holder, { type = "in" })).after_balance)
      assert.equal("0.00", assert(transfer(holder, { type = "OUT" })).after_balance)
    end)

    it("is refused with 2002 for a cardholder that there isn't", function()
      support.refused({ code = 2002, attempts = 1 }, transfer { cardholder_no = "U1" })
    end)

    it("is refused with 3001 above the balance, and nothing is moved", function()
      local holder = world:holder()
      world:fund(holder, "10.00")
      support.refused({ code = 3001, attempts = 1 },
        transfer(holder, { type = "Out", balance = "10.01" }))
      assert.equal("10.00", assert(holder:refresh()).total_balance)
    end)

    it("is refused with 1004 and the field where the number is taken", function()
      local holder = world:holder()
      local row = world:fund(holder)
      support.refused({ code = 1004, field = "transfer_unique_no" },
        ks.accounts:transfer({ cardholder_no = holder.cardholder_no, type = "In",
          balance = "1.00", transfer_unique_no = row.transfer_unique_no }, { settle = false }))
    end)
  end)

  describe("accounts.info", function()
    it("works: money as text", function()
      local holder = world:holder()
      world:fund(holder, "12.5")
      local list = assert(ks.accounts:info { cardholder_no = holder.cardholder_no })
      assert.equal(1, #list)
      support.check_row("accounts.info", list[1])
      assert.equal("TUSDT", list[1].symbol)
      assert.equal("12.50", list[1].balance)
      assert.equal("account TUSDT 12.50", tostring(list[1]))
    end)

    it("is refused with 2002 for a cardholder that there isn't", function()
      support.refused({ code = 2002, attempts = 1 }, ks.accounts:info { cardholder_no = "U1" })
    end)
  end)

  describe("accounts.transfers", function()
    it("works: newest first, found by each of its numbers", function()
      local holder = world:holder()
      local first, second = world:fund(holder, "1.00"), world:fund(holder, "2.00")
      local fields = support.window()
      fields.cardholder_no = holder.cardholder_no
      local list = assert(ks.accounts:transfers(fields))
      assert.equal(2, #list)
      for _, row in ipairs(list) do
        support.check_row("accounts.transfers", row)
        assert.equal("Success", row.status)
        assert.equal("In", row.type)
      end
      assert.equal(second.transfer_no, list[1].transfer_no)
      assert.equal("1.00", list[2].balance)
      for _, name in ipairs { "transfer_no", "transfer_unique_no" } do
        fields = support.window()
        fields[name] = first[name]
        list = assert(ks.accounts:transfers(fields))
        assert.equal(1, #list)
        assert.equal(first.transfer_no, list[1].transfer_no)
      end
    end)

    it("is refused by the platform with 1019 and 1020 where it counts otherwise", function()
      for _, code in ipairs { 1019, 1020 } do
        world:fault("accounts.transfers", code)
        support.refused({ code = code }, ks.accounts:transfers(support.window()))
      end
    end)
  end)
end)
