--- The calls of the fault matrix: what each needs, how its request is known, and what the emulator
--- must hold afterwards.
--
-- `prepare(rows)` makes the rows that one call needs and returns `fields`, a `mark` (a text of this
-- request alone) and, of writes, `found(state)`: how many rows of the emulator's state are what was
-- asked for, and `is(value)`: whether what the client returned is that row; of reads, `is` alone.
local support = require "spec.support.client"

local calls = {}

local function count(rows, expected)
  local found, last = 0, nil
  for _, row in ipairs(rows) do
    local same = true
    for name, value in pairs(expected) do
      same = same and row[name] == value
    end
    if same then
      found, last = found + 1, row
    end
  end
  return found, last
end

-- Writes that add a row: it is counted by the merchant's number alone, and must be as asked.
local function adds(table_name, number, unique)
  return function(fields, asked)
    local call = { fields = fields, mark = fields[unique] }
    function call.found(state)
      local found, row = count(state[table_name], { [unique] = fields[unique] })
      call.number = row and row[number]
      return found, found ~= 1 or count({ row }, asked) == 1
    end
    function call.is(value)
      return value[number] == call.number and value[unique] == fields[unique]
    end
    return call
  end
end

-- Writes that change a row which is there already.
local function changes(table_name, number, after)
  return function(fields)
    local call = { fields = fields, mark = fields[number] }
    function call.found(state)
      local expected = { [number] = fields[number] }
      for name, value in pairs(after) do
        expected[name] = value
      end
      return count(state[table_name], expected), true
    end
    function call.is(value)
      return value == true or value[number] == fields[number]
    end
    return call
  end
end

calls.writes = {
  { operation = "cardholders.apply", prepare = function(rows)
    return adds("cardholders", "cardholder_no", "cardholder_unique_no")({
      cardholder_unique_no = rows:unique "holder", sumsub_share_token = "share",
    }, { status = "Approved" })
  end },
  { operation = "cards.apply", prepare = function(rows)
    return adds("cards", "card_no", "card_unique_no")({
      cardholder_no = rows.owner, card_unique_no = rows:unique "card",
      package_no = "P-1", card_type = "Virtual",
    }, { cardholder_no = rows.owner, card_type = "Virtual" })
  end },
  { operation = "accounts.transfer", prepare = function(rows)
    return adds("transfers", "transfer_no", "transfer_unique_no")({
      cardholder_no = rows.owner, transfer_unique_no = rows:unique "transfer",
      type = "In", balance = "12.34",
    }, { cardholder_no = rows.owner, type = "In", balance = "12.34" })
  end },
  { operation = "cards.activate", prepare = function(rows)
    local card = rows:card "Physical"
    return changes("cards", "card_no", { status = "Activated" }) {
      card_no = card.card_no, cardholder_no = card.cardholder_no, cvv = card.cvv,
      card_last_no = card.card_last_no,
    }
  end },
  { operation = "cards.update_status", prepare = function(rows)
    return changes("cards", "card_no", { status = "Frozen" }) {
      card_no = rows:card("Virtual").card_no, status = "Frozen",
    }
  end },
  -- Nobody can read a PIN: what the network saw executed has to do.
  { operation = "cards.set_pin", repeatable = true, unread = true, prepare = function(rows)
    local card = rows:activated()
    return changes("cards", "card_no", {}) {
      card_no = card.card_no, cardholder_no = card.cardholder_no, pin = "135790",
    }
  end },
  { operation = "simulate.auth", repeatable = true, prepare = function(rows)
    local card = rows:card "Virtual"
    local call = { fields = { card_no = card.card_no, amount = "7.89" }, mark = card.card_no }
    function call.found(state)
      call.rows = state.consumptions
      local found = count(call.rows, { card_no = card.card_no })
      return found, found == count(call.rows, { card_no = card.card_no, amount = "7.89" })
    end
    function call.is(value)
      return count(call.rows, { card_no = card.card_no, consume_no = value.consume_no }) == 1
    end
    return call
  end },
  { operation = "simulate.consumption_clear", prepare = function(rows)
    return changes("consumptions", "consume_no", { status = "Success" }) {
      consume_no = rows:purchase(),
    }
  end },
}

calls.reads = {
  { operation = "cards.detail", prepare = function(rows)
    local card = rows:card "Virtual"
    return { fields = { card_no = card.card_no }, mark = card.card_no, is = function(value)
      return value.card_no == card.card_no and value.status == "Activated"
    end }
  end },
  { operation = "accounts.info", prepare = function(rows)
    local holder = rows:holder()
    return { fields = { cardholder_no = holder.cardholder_no }, mark = holder.cardholder_no,
      is = function(value)
        return #value == 1 and value[1].cardholder_no == holder.cardholder_no
      end }
  end },
  { operation = "cards.list", prepare = function(rows)
    local card = rows:card "Virtual"
    local fields = support.window()
    fields.card_no = card.card_no
    return { fields = fields, mark = card.card_no, is = function(value)
      return #value == 1 and value[1].card_no == card.card_no
    end }
  end },
}

-- Rows to work with, made over a line without faults --------------------------------------------

local Rows = {}
Rows.__index = Rows

--- `world`: of spec.support.client.
function calls.rows(world)
  return setmetatable({ world = world, last = 0 }, Rows)
end

--- A text that is in no other: of one length, so that none is the beginning of another.
function Rows:unique(prefix)
  self.last = self.last + 1
  return ("%s-%06d"):format(prefix, self.last)
end

--- Makes the cardholder, with money, that all cards belong to.
function Rows:start()
  self.owner = self:holder().cardholder_no
  assert(self.world.ks.accounts:transfer { cardholder_no = self.owner, type = "In",
    balance = "1000.00", transfer_unique_no = self:unique "prepared" })
end

function Rows:holder()
  return (assert(self.world.ks.cardholders:apply {
    cardholder_unique_no = self:unique "prepared", sumsub_share_token = "share" }))
end

local function card_fields(rows, kind)
  return { cardholder_no = rows.owner, card_unique_no = rows:unique "prepared",
    card_type = kind, package_no = kind == "Physical" and "P-2" or "P-1",
    address_info = kind == "Physical" and support.address_info or nil }
end

--- A new card: its numbers and, of a physical one, what is printed on it.
function Rows:card(kind)
  local fields = card_fields(self, kind)
  local card = assert(self.world.ks.cards:apply(fields))
  local result = { card_no = card.card_no, cardholder_no = fields.cardholder_no }
  if kind == "Physical" then
    local plastic = self.world:plastic(card)
    result.cvv, result.card_last_no = plastic.cvv, plastic.card_last_no
  end
  return result
end

--- A physical card that is activated.
function Rows:activated()
  local card = self:card "Physical"
  assert(self.world.ks.cards:activate { card_no = card.card_no, cvv = card.cvv,
    cardholder_no = card.cardholder_no, card_last_no = card.card_last_no })
  return card
end

--- The number of an approved purchase.
function Rows:purchase()
  local card = self:card "Virtual"
  local purchase = assert(self.world.ks.simulate:auth { card_no = card.card_no, amount = "1.00" })
  return purchase.consume_no
end

return calls
