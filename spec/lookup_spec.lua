-- One look at a write in doubt, against an emulator over HTTP; what is made of the looks is in
-- spec/settle_spec.lua.
local api = require "keysecure.api"
local lookup = require "keysecure.lookup"
local support = require "spec.support.client"

describe("a look", function()
  local world, ks, holder

  setup(function()
    world = support.start()
    ks = world.ks
    holder = world:holder()
  end)
  teardown(function()
    world:stop()
  end)
  after_each(function()
    world:no_faults()
    world:configure { clock_offset = 0 }
  end)

  local function look(name, fields, changes)
    local doubt = { client = ks, operation = api.operations[name], fields = fields, attempts = 1,
      waited = 0, lookups = 0 }
    for key, value in pairs(changes or {}) do
      doubt[key] = value
    end
    local verdict, value = lookup.look(doubt, ks.now() + 20000)
    assert.equal(1, doubt.lookups)
    return verdict, value
  end

  local function transfer(number, changes)
    local fields = { cardholder_no = holder.cardholder_no, type = "In", balance = "5.00",
      transfer_unique_no = number }
    for name, value in pairs(changes or {}) do
      fields[name] = value
    end
    return fields
  end

  it("finds a row, with what was asked filled in", function()
    local fields = { cardholder_no = holder.cardholder_no, package_no = "P-1",
      card_type = "Virtual", card_unique_no = world:unique "C" }
    local card = assert(ks.cards:apply(fields))
    local verdict, row = look("cards.apply", fields)
    assert.equal("found", verdict)
    assert.equal(card.card_no, row.card_no)
    assert.equal("P-1", row.package_no)
    assert.equal("Activated", assert(row:refresh()).status)
  end)

  it("finds nothing where nothing is", function()
    assert.same({ "nothing" }, { look("accounts.transfer", transfer "T-none") })
    assert.same({ "nothing" }, { look("cards.apply", { card_unique_no = "C-none" }) })
    assert.same({ "nothing" }, { look("cardholders.apply", { cardholder_unique_no = "U" }) })
  end)

  it("compares what it knows of the question, and what the row tells", function()
    local number = world:unique "T"
    assert(ks.accounts:transfer(transfer(number)))
    for _, same in ipairs { {}, { balance = "5" }, { balance = "05.000" }, { type = "IN" } } do
      assert.equal("found", (look("accounts.transfer", transfer(number, same))))
    end
    assert.equal("found", (look("accounts.transfer", { transfer_unique_no = number })))
    for field, value in pairs { balance = "5.001", type = "Out", cardholder_no = "U1" } do
      local verdict, err = look("accounts.transfer", transfer(number, { [field] = value }))
      assert.equal("differs", verdict)
      assert.same({ "unique_number_taken", field, "refused" },
        { err.name, err.field, err.outcome })
    end
  end)

  it("looks a day around the Timestamp, or back from now, or since a moment", function()
    local number = world:unique "T"
    local now = os.time()
    assert(ks.accounts:transfer(transfer(number)))
    local function at(changes)
      return (look("accounts.transfer", transfer(number), changes))
    end
    assert.equal("found", at { stamp = now * 1000 })
    assert.equal("found", at { stamp = (now + 80000) * 1000 })
    assert.equal("nothing", at { stamp = (now + 90000) * 1000 })
    assert.equal("found", at { since = now - 300 * 86400 })
    assert.equal("nothing", at { since = now + 90000 })
    for _, timezone in ipairs { "UTC", "UTC+14", "UTC-12" } do
      assert.equal("found", at { stamp = now * 1000, timezone = timezone })
    end
  end)

  it("reads the card whose status was to change", function()
    local card = world:card()
    local fields = { card_no = card.card_no, status = "Frozen" }
    assert.same({ "nothing" }, { look("cards.update_status", fields) })
    assert(card:freeze())
    assert.same({ "found", true }, { look("cards.update_status", fields) })
    local plastic = world:card "Physical"
    assert.same({ "nothing" }, { look("cards.activate", { card_no = plastic.card_no }) })
    assert.same({ "found", true }, { look("cards.activate", {
      card_no = world:activated_physical().card_no }) })
  end)

  it("is not sure of a second application as long as it is rejected", function()
    local number = world:unique "U"
    local rejected = assert(ks.cardholders:apply { cardholder_unique_no = number,
      sumsub_share_token = "reject" })
    local fields = { cardholder_no = rejected.cardholder_no, cardholder_unique_no = number }
    assert.same({ "unsure" }, { look("cardholders.apply", fields) })
    assert(ks.cardholders:apply { cardholder_no = rejected.cardholder_no,
      cardholder_unique_no = number, sumsub_share_token = "share" })
    local verdict, row = look("cardholders.apply", fields)
    assert.same({ "found", "Approved" }, { verdict, row.status })
  end)

  it("that can't be had is not sure, and says why", function()
    for _, case in ipairs { { "accounts.transfer", transfer "T", "accounts.transfers" },
      { "cards.update_status", { card_no = "C1", status = "Frozen" }, "cards.detail" } } do
      world:fault(case[3], 1013)
      local verdict, err = look(case[1], case[2])
      assert.same({ "unsure", 1013, case[3] }, { verdict, err.code, err.operation })
    end
    local verdict, err = lookup.look({ client = ks, operation = api.operations["cards.apply"],
      fields = { card_unique_no = "C" }, attempts = 1, waited = 0, lookups = 0 }, ks.now() - 1)
    assert.same({ "unsure", "timeout" }, { verdict, err.kind })
  end)

  it("that can't tell the package is not sure", function()
    local fields = { cardholder_no = holder.cardholder_no, package_no = "P-1",
      card_type = "Virtual", card_unique_no = world:unique "C" }
    assert(ks.cards:apply(fields))
    for _, name in ipairs { "cards.detail", "cards.packages" } do
      world:fault(name, 1013)
      assert.equal("unsure", (look("cards.apply", fields)))
    end
  end)
end)
