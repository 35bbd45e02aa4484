--- Small breakages of the emulator's rules, each of which some spec must notice: `./dev mutate
--- emulator`. `file` is below lua/keysecure/emulator/; `from` stands there once; `specs` are those
--- that ought to see it.
local mutations = {}

local function add(file, from, to, ...)
  mutations[#mutations + 1] = { file = file, from = from, to = to, specs = { ... } }
end

-- Who may call
add("gate.lua", "age < 0 or age > OLDEST", "age > OLDEST", "emulator_spec")
add("gate.lua", "age < 0 or age > OLDEST", "age < 0", "emulator_spec")
add("gate.lua", "disabled = 1010", "disabled = 1011", "emulator_refusals")
add("gate.lua", "not contains(merchant.ip_whitelist, request.peer)", "false", "emulator_refusals")
add("gate.lua", "operation.mode ~= merchant.mode", "false", "emulator_refusals")
add("merchants.lua", "row.expires > life", "row.expires > 0", "emulator_life")
add("merchants.lua", "find(\"tokens\", \"token\", token, merchant.api_key)",
  "find(\"tokens\", \"token\", token)", "emulator_operations")
add("merchants.lua", "(single and row.owner == merchant.api_key)", "false", "emulator_life")
add("merchants.lua", "calls.count > merchant.rate_limit", "false", "emulator_refusals")
add("clock.lua", "age > oldest and at_home >= 0", "false", "emulator_clock")
add("clock.lua", "age > oldest and at_home >= 0", "age > oldest", "emulator_clock")

-- Lives
add("life.lua", 'find("^reject") and "Rejected"', 'find("^reject") and "Approved"',
  "emulator_life")
add("life.lua", 'status = "In_progress",', 'status = "Pending",', "emulator_life")
add("life.lua", '"Physical" and "ToActivate"', '"Physical" and "Activated"', "emulator_operations")
add("life.lua", "row.due <= platform.clock:life()", "row.due <= platform.clock:now()",
  "emulator_life")
add("operations/cards.lua", 'holder.status ~= "Approved"', "false", "emulator_refusals")
add("operations/cards.lua", "Frozen = { Activated = true, Delete = true }",
  "Frozen = { Activated = true }", "emulator_life")
add("operations/cards.lua", "card.cvv ~= call.values.cvv", "false", "emulator_operations")
add("operations/cards.lua", "card.card_last_no ~= call.values.card_last_no", "false",
  "emulator_operations")
add("operations/cards.lua", "card.cardholder_no ~= holder.cardholder_no", "false",
  "emulator_operations")
add("operations/cards.lua", 'card.card_type ~= "Physical"', "false", "emulator_refusals")
add("operations/cards.lua", "not product[call.values.card_type]", "false", "emulator_operations")
add("operations/cardholders.lua", "In_progress = 2004", "In_progress = 2003",
  "emulator_conformance")
add("operations/pci.lua", "row.card_no ~= call.values.card_no", "false", "emulator_refusals")
add("plastic.lua", "(10 - sum % 10) % 10", "(11 - sum % 10) % 10", "emulator_operations")

-- Money
add("operations/accounts.lua", "available(holder)) > 0", "holder.balance) > 0", "emulator_life")
add("operations/accounts.lua", 'values.type == "Out" and money.subtract',
  'values.type == "out" and money.subtract', "emulator_operations")
add("purchases.lua", "money.add(row.amount, row.fee)) >= 0", "row.amount) >= 0", "emulator_money")
add("purchases.lua", 'approved and card.status ~= "Activated"', "false", "emulator_money")
add("purchases.lua", "values.final == false and", "false and", "emulator_money")
add("purchases.lua", "money.compare(amount, open) < 0", "true", "emulator_money")
add("purchases.lua", "not ledger.is_zero(row.cleared)", "false", "emulator_money")
add("purchases.lua", "money.compare(amount, rest) > 0", "false", "emulator_life")
add("purchases.lua", "amount = row.cleared, returned", "returned", "emulator_money")
add("purchases.lua", 'card.status ~= "Delete"', "false", "emulator_money")
add("purchases.lua", "platform.store ~= store", "false", "emulator_money")
add("ledger.lua", "money.subtract(amount, row.held)", "amount", "emulator_money")
add("fees.lua", '"0.01", 2)', '"0.01", 3)', "emulator_money")
add("fees.lua", 'row.local_currency ~= "USD"', "false", "emulator_money")
add("fees.lua", "and not row.small_free", "", "emulator_money")
add("fees.lua", "#used < count", "#used <= count", "emulator_money")
add("fees.lua", "money.compare(fee, detail.atm_min_fee) < 0", "false", "emulator_money")
add("fees.lua", "consume_cancel_threshold) >= 0", "consume_cancel_threshold) > 0",
  "emulator_money")
add("fees.lua", "ledger.at_most(detail.decline_fee, ledger.available(platform, card))",
  "detail.decline_fee", "emulator_money")
add("limits.lua", "allowed[rule.name]) > 0", "allowed[rule.name]) >= 0", "emulator_money")
add("limits.lua", 'row.status ~= "Fail" and', "", "emulator_money")
add("limits.lua", "(7 * DAY)) * 7", "(6 * DAY)) * 6", "emulator_money")
add("limits.lua", "money.subtract(row.amount, row.returned)", "row.amount", "emulator_money")
add("charges.lua", "30 * 86400000", "31 * 86400000", "emulator_money")
add("charges.lua", "not IN_USE[card.status]", "false", "emulator_money")
add("charges.lua", "money.compare(sum, threshold) >= 0", "false", "emulator_money")
add("life.lua", "charges.undo_opening(platform, card)", "", "emulator_money")

-- Callbacks
add("callbacks.lua", "answer.code ~= 0", "false", "emulator_callbacks")
add("callbacks.lua", "status ~= 200", "status >= 400", "emulator_callbacks")
add("callbacks.lua", "order = merchant.signature_order", 'order = "document"',
  "emulator_callbacks")
add("callbacks.lua", "api.decision_limit, fault.bad_signature", "5, fault.bad_signature",
  "emulator_callbacks")
add("callbacks.lua", "badly_signed = false, due = false", "due = false", "emulator_faults")
add("callbacks.lua", "held and held ~= delivery", "false", "emulator_faults")
add("callbacks.lua", "delivery.due == due", "true", "emulator_faults")
add("purchases.lua", 'undecided = true,\n', "\n", "emulator_callbacks")

-- Time and faults
add("scheduler.lua", "self.clock:reach(entry.due)", "", "emulator_clock")
add("scheduler.lua", "a.due < b.due", "a.due > b.due", "emulator_parts")
add("dispatch.lua", "fault.after or not (lies or fault.answer)", "not (lies or fault.answer)",
  "emulator_faults")
add("faults.lua", "fault.times == 0", "fault.times < 0", "emulator_spec")
add("server.lua", 'response.broken == "reset"', "false", "emulator_faults")

-- What lasts
add("journal.lua", 'execute(self.connection, "DELETE FROM rows")\n', "\n", "emulator_journal")
add("journal.lua", "ORDER BY id", "ORDER BY id DESC", "emulator_journal")
add("journal.lua", "connection:escape(cjson.encode(row))", "cjson.encode(row)",
  "emulator_journal")
add("dispatch.lua", "local ok, err = platform.store:commit()", "local ok, err = true",
  "emulator_journal")
add("life.lua", "life.await(platform, name, row)\n      end\n    end", "end\n    end",
  "emulator_journal")
add("life.lua", "charges.resume(platform)", "", "emulator_journal")
add("platform.lua", "purchases.resume(self)", "", "emulator_journal")
add("platform.lua", "self.clock.advanced = left.advanced", "", "emulator_journal")

-- Lists, control
add("store.lua", "for i = #list, 1, -1 do", "for i = 1, #list do", "emulator_rules")
add("store.lua", "second > to", "second >= to", "emulator_clock")
add("store.lua", "second < from", "second <= from", "emulator_clock")
add("control.lua", "LOOPBACK_PEERS[request.peer] and", "", "emulator_parts")
add("control.lua", "pan = true, cvv = true", "cvv = true", "emulator_spec")

return mutations
