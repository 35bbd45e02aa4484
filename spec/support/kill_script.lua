-- What spec/kill_spec.lua kills: issues and funds a card per order, each with numbers made of the
-- order's, from the first order that the file of progress does not name as done.
--
--    lua kill_script.lua ADDRESS PROGRESS ORDERS
--
-- Says a word after each answer, so that it can be killed at any of them.
local keysecure = require "keysecure"

local address, progress, orders = arg[1], arg[2], tonumber(arg[3])
io.stdout:setvbuf "no"

local ks = assert(keysecure.new { environment = "emulator", address = address, mode = "credit",
  timeout = 20, on_event = function(event)
    print(event.event, event.operation, event.outcome)
  end })

local function certain(row, err)
  if not row and err.outcome == "unknown" then
    row, err = err:wait_settled()
  end
  return keysecure.assert(row, err)
end

local function issue(order)
  local holder = certain(ks.cardholders:apply { cardholder_unique_no = "U-" .. order,
    sumsub_share_token = "share" })
  certain(holder:apply_card { card_unique_no = "C-" .. order, package_no = "P-1",
    card_type = "Virtual" })
  certain(holder:transfer { transfer_unique_no = "T-" .. order, type = "In",
    balance = order .. ".25" })
end

local function done()
  local file = io.open(progress, "r")
  local count = file and file:read "*n" or 0
  if file then
    file:close()
  end
  return count
end

local function remember(count)
  local file = assert(io.open(progress .. ".new", "w"))
  file:write(count)
  file:close()
  assert(os.rename(progress .. ".new", progress))
end

for order = done() + 1, orders do
  issue(order)
  remember(order)
end
print "finished"
