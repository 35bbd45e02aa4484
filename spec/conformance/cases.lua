--- What the platform is taken to do, as cases generated from `api`: the same run against the
--- emulator and, with credentials, against the platform itself.
--
-- A case: `id`, `operation`, `mode` (whose credentials), `values` (arguments, or a function of the
-- backend that answers them, nil where it can't), `options` (of `backend:call`), and `expect`:
-- `code`, `field` (that `msg` names), `not_field` (that it must not), or `check(answer)`, which
-- answers what is wrong.
local api = require "keysecure.api"
local core = require "keysecure.core"
local samples = require "spec.conformance.samples"

local NAMES_FIELD = { [1004] = true, [2007] = true, [2008] = true, [2009] = true, [2010] = true,
  [4010] = true }

local cases = {}

local function add(operation, what, case)
  case.operation, case.id = operation.name, operation.name .. ": " .. what
  case.mode = case.mode or (api.modes[operation.mode] and operation.mode) or "credit"
  cases[#cases + 1] = case
end

local function in_path(operation, field)
  return operation.path:find("{" .. field.name .. "}", 1, true) ~= nil
end

local function expect(code, field)
  return { code = code, field = NAMES_FIELD[code] and field or nil }
end

-- Parameters ----------------------------------------------------------------------------------

-- Whose credentials: a field that one mode requires is spoilt in that mode.
local function mode_of(field)
  return api.modes[field.required] and field.required or nil
end

-- The valid arguments, changed at one place; `container` picks the table that holds the field.
local function changed(operation, container, name, value)
  local values = samples.valid(operation)
  container(values)[name] = value
  return values
end

local function can_be_sent(operation, field, value)
  return not in_path(operation, field) or (type(value) == "string" and value ~= "")
end

local function add_field(operation, field, path, container)
  for _, wrong in ipairs(samples.wrong(field)) do
    if can_be_sent(operation, field, wrong.value) then
      add(operation, path .. " " .. wrong.what, { mode = mode_of(field),
        values = changed(operation, container, field.name, wrong.value),
        expect = expect(wrong.code, path) })
    end
  end
  for _, edge in ipairs(samples.edges(field)) do
    add(operation, path .. " at " .. edge.what, { mode = mode_of(field),
      values = changed(operation, container, field.name, edge.value),
      expect = { not_field = path } })
  end
  if field.required and not in_path(operation, field) then
    add(operation, path .. " missing", { mode = mode_of(field),
      values = changed(operation, container, field.name, nil), expect = expect(1004, path) })
  end
end

local function add_fields(operation)
  for _, field in ipairs(operation.params) do
    add_field(operation, field, field.name, function(values) return values end)
    for _, member in ipairs(field.fields or {}) do
      add_field(operation, member, field.name .. "." .. member.name,
        function(values) return values[field.name] end)
    end
  end
end

-- A virtual card asks less of an address than a physical one [D].
local function add_addresses(operation)
  for _, field in ipairs(operation.params) do
    for _, member in ipairs(field.fields or {}) do
      if field.name == "address_info" then
        local values = samples.valid(operation)
        values.card_type, values.address_info[member.name] = "Virtual", nil
        local path = "address_info." .. member.name
        local needed = member.required == true
        add(operation, "virtual, " .. path .. " missing", { values = values,
          expect = needed and expect(1004, path) or { not_field = path } })
      end
    end
  end
end

-- Ciphertext on the wire, never the plaintext.
local function add_encrypted(operation)
  for _, field in ipairs(operation.params) do
    if field.encrypted then
      for _, text in ipairs { "862947", "123", "not Base64!", "AAAA", ("A"):rep(22) .. "==" } do
        local values = samples.valid(operation)
        values[field.name] = text
        add(operation, field.name .. " not encrypted (" .. text .. ")",
          { values = values, options = { wire = true }, expect = expect(1004, field.name) })
      end
    end
  end
end

local function add_unknown_field(operation)
  local with, without = samples.valid(operation), samples.valid(operation)
  with.nobody_knows_this = { a = { 1, "b", false } }
  add(operation, "unknown fields change nothing", { values = with,
    expect = { same_as = { values = without } } })
end

-- Who calls -----------------------------------------------------------------------------------

local function shifted(milliseconds)
  return function() return string.format("%.0f", core.wall() + milliseconds) end
end

local TIMESTAMPS = { { "missing", false }, { "empty", "" }, { "in seconds", "1763880000" },
  { "no number", "now" }, { "negative", "-763880000000" }, { "14 digits", "17638800000000" },
  { "61 s old", shifted(-61000) }, { "a day old", shifted(-86400000) },
  { "10 s in the future", shifted(10000) } }

local function add_callers(operation)
  local function refused(what, headers, code, field)
    add(operation, what, { values = samples.valid(operation), options = { headers = headers },
      expect = expect(code, field) })
  end
  if operation.auth ~= "none" then
    refused("no Api-Key", { ["Api-Key"] = false }, 1002)
    refused("an unknown Api-Key", { ["Api-Key"] = "nobody" }, 1008)
    for _, case in ipairs(TIMESTAMPS) do
      refused("a Timestamp " .. case[1], { Timestamp = case[2] }, 1005)
    end
  end
  if operation.auth == "token" then
    refused("no Access-Token", { ["Access-Token"] = false }, 1006)
    refused("an unknown Access-Token", { ["Access-Token"] = "0" }, 1007)
  end
  for _, zone in ipairs { "CET", "UTC+15", "UTC+8:99", "+8" } do
    refused("the Timezone " .. zone, { Timezone = zone }, 1004, "Timezone")
  end
  if operation.method == "POST" then
    refused("another Content-Type", { ["Content-Type"] = "text/plain" }, 1004, "Content-Type")
  end
end

local function add_modes(operation)
  for mode in pairs(api.modes) do
    if api.modes[operation.mode] and mode ~= operation.mode then
      add(operation, "in " .. mode .. " mode", { mode = mode, values = samples.valid(operation),
        expect = { code = 1012 } })
    elseif operation.mode == "both" then
      add(operation, "allowed in " .. mode .. " mode", { mode = mode,
        values = samples.valid(operation), expect = { not_code = 1012 } })
    end
  end
end

local function add_bodies(operation)
  for _, body in ipairs { "", "{", "[]", '"text"', "null", '{"page":NaN}', '{"a":1}x',
    ("["):rep(2000) } do
    add(operation, "the body " .. body:sub(1, 12), { values = samples.valid(operation),
      options = { body = body }, expect = expect(1004, "body") })
  end
end

-- Lists ---------------------------------------------------------------------------------------

local function with_window(operation, values)
  if operation.window then
    values.start_time, values.end_time = "2026-01-01", "2026-01-02"
  end
  return values
end

local function at_most(count)
  return function(answer)
    local list = answer.json.code == 0 and answer.json.data.list
    return not list and "no list" or (#list > count and #list .. " rows" or nil)
  end
end

local function add_pages(operation)
  for _, page in ipairs { { 0, 1, 1 }, { 0, 100, 100 }, { 1000000, 100, 0 }, { 1e15, 1, 0 } } do
    add(operation, string.format("page %.0f of size %d", page[1], page[2]), {
      values = with_window(operation, { page = page[1], size = page[2] }),
      expect = { check = at_most(page[3]) } })
  end
  add(operation, "no page named", { values = with_window(operation, {}),
    expect = { check = at_most(api.default_page_size) } })
end

local WINDOWS = {
  { "2026-01-01 00:00:00", "2026-04-01 00:00:00", 0 },
  { "2026-01-01 00:00:00", "2026-04-01 00:00:01", 1020 },
  { "2026-01-01", "2026-04-01", 0 },
  { "2026-01-01", "2026-04-02", 1020 },
  { "2024-01-15 12:00:00", "2024-04-14 12:00:00", 0 }, -- over a 29 February
  { "2024-01-15 12:00:00", "2024-04-14 12:00:01", 1020 },
  { "2025-12-31 23:59:59", "2026-01-01 00:00:00", 0 },
  { "2026-01-01 00:00:00", "2026-01-01 00:00:01", 0 },
  { "2026-01-01 00:00:01", "2026-01-01 00:00:01", 1019 },
  { "2026-01-01 00:00:01", "2026-01-01 00:00:00", 1019 },
  { "2026-01-02", "2026-01-01", 1019 },
  { "2020-01-01", "2026-01-01", 1020 },
}

local ZONES = { "UTC", "UTC+8", "UTC-11", "UTC+14", "UTC+05:30" }

local function add_windows(operation)
  for _, window in ipairs(WINDOWS) do
    for _, zone in ipairs(ZONES) do
      add(operation, string.format("from %s to %s in %s", window[1], window[2], zone), {
        values = { start_time = window[1], end_time = window[2] },
        options = { headers = { Timezone = zone } }, expect = { code = window[3] } })
    end
  end
end

-- States --------------------------------------------------------------------------------------

local CARD_STATES = { "Pending", "ToActivate", "Activated", "Frozen", "Delete", "Fail" }

-- To which status a merchant may set a card from each [A10].
local TRANSITIONS = {
  Activated = { Frozen = true, Delete = true }, Frozen = { Activated = true, Delete = true },
  ToActivate = { Delete = true },
}

local function card_in(state, fill)
  return function(backend)
    local card = backend:card_in(state)
    return card and fill(card)
  end
end

local function code_of(allowed)
  return { code = allowed and 0 or 4005 }
end

local function add_card_states()
  local operations = api.operations
  for _, state in ipairs(CARD_STATES) do
    for _, target in ipairs(api.enums.card_status_target) do
      add(operations["cards.update_status"], "a card that is " .. state .. " to " .. target, {
        values = card_in(state, function(card)
          return { card_no = card.card_no, status = target }
        end),
        expect = code_of((TRANSITIONS[state] or {})[target]) })
    end
    local function read(name)
      add(operations[name], "of a card that is " .. state, {
        values = card_in(state, function(card) return { card_no = card.card_no } end),
        expect = code_of(state == "Activated") })
    end
    read "cards.private_info"
    read "pci.client_token"
    add(operations["cards.detail"], "of a card that is " .. state, {
      values = card_in(state, function(card) return { card_no = card.card_no } end),
      expect = { code = 0 } })
    add(operations["cards.activate"], "a card that is " .. state, {
      values = card_in(state, function(card)
        return { card_no = card.card_no, cardholder_no = card.cardholder_no,
          cvv = card.cvv or "123", card_last_no = card.card_last_no or "1234" }
      end),
      expect = code_of(state == "ToActivate") })
    add(operations["cards.set_pin"], "of a virtual card or one that is " .. state, {
      values = card_in(state, function(card)
        return { card_no = card.card_no, cardholder_no = card.cardholder_no, pin = "862947" }
      end),
      expect = { code = state == "ToActivate" and 4005 or 4017 } })
  end
end

local HOLDER_STATES = {
  { "Pending", again = 2004, card = 2005 }, { "In_progress", again = 2004, card = 2005 },
  { "Approved", again = 2003, card = 0 }, { "Rejected", again = 0, card = 2005 },
}

local function add_holder_states()
  for _, state in ipairs(HOLDER_STATES) do
    local function holder_in(fill)
      return function(backend)
        local holder = backend:holder_in(state[1])
        return holder and fill(backend, holder)
      end
    end
    add(api.operations["cardholders.apply"], "again for one that is " .. state[1], {
      values = holder_in(function(_, holder)
        return { cardholder_no = holder.cardholder_no, sumsub_share_token = "share",
          cardholder_unique_no = holder.cardholder_unique_no }
      end), expect = { code = state.again } })
    add(api.operations["cards.apply"], "for a cardholder that is " .. state[1], {
      values = holder_in(function(backend, holder)
        return backend:card_values { cardholder_no = holder.cardholder_no }
      end), expect = { code = state.card } })
    add(api.operations["cardholders.info"], "of one that is " .. state[1], {
      values = holder_in(function(_, holder) return { cardholder_no = holder.cardholder_no } end),
      expect = { code = 0 } })
  end
end

-- Codes for what is not there, or there already ------------------------------------------------

local UNKNOWN = { cardholder_no = { "U0", 2002 }, card_no = { "C0", 4001 },
  consume_no = { "S0", 4002 } }

-- The first number that an operation looks up decides.
local function add_unknown(operation)
  if operation.returns == "list" and operation.window or operation.name == "cardholders.apply" then
    return
  end
  for _, field in ipairs(operation.params) do
    local known = UNKNOWN[field.name]
    if known and field.required then
      local values = samples.valid(operation)
      for name, unknown in pairs(UNKNOWN) do
        values[name] = values[name] and unknown[1]
      end
      -- A cardholder is looked up before its card.
      local code = values.cardholder_no and UNKNOWN.cardholder_no[2] or known[2]
      add(operation, "unknown numbers", { values = values, expect = { code = code } })
      return
    end
  end
end

local function add_taken()
  add(api.operations["cardholders.apply"], "a unique number twice", {
    values = function(backend)
      local holder = backend:holder_in "Approved"
      return holder and { cardholder_unique_no = holder.cardholder_unique_no,
        sumsub_share_token = "share" }
    end, expect = { code = 2001 } })
  add(api.operations["cardholders.apply"], "again with another unique number", {
    values = function(backend)
      local holder = backend:holder_in "Rejected"
      return holder and { cardholder_no = holder.cardholder_no, cardholder_unique_no = "another",
        sumsub_share_token = "share" }
    end, expect = { code = 2011 } })
  add(api.operations["cards.apply"], "a unique number twice", {
    values = function(backend)
      local card = backend:card_in "Activated"
      return card and backend:card_values { cardholder_no = card.cardholder_no,
        card_unique_no = card.card_unique_no }
    end, expect = expect(1004, "card_unique_no") })
  add(api.operations["accounts.transfer"], "out of an empty account", {
    values = function(backend)
      local holder = backend:holder_in "Approved"
      return holder and { cardholder_no = holder.cardholder_no, type = "Out", balance = "0.01",
        transfer_unique_no = backend:unique "transfer" }
    end, expect = { code = 3001 } })
end

-- Shapes --------------------------------------------------------------------------------------

local LUA_TYPES = { integer = "number", number = "number", time = "number", boolean = "boolean",
  object = "table", list = "table" }

local misshapen

local function misshapen_value(field, value, path)
  local wanted = field.type ~= "any" and (LUA_TYPES[field.type] or "string")
  if wanted and type(value) ~= wanted then
    return path .. " is a " .. type(value)
  elseif field.type == "object" then
    return misshapen(field.fields, value, path .. ".")
  elseif field.type == "list" then
    for _, row in ipairs(value) do
      local wrong = misshapen(field.fields, row, path .. ".")
      if wrong then
        return wrong
      end
    end
  elseif field.type == "money" and not value:find("^%-?%d+%.?%d*$") then
    return path .. " is no money"
  end
end

function misshapen(fields, row, prefix)
  local known = {}
  for _, field in ipairs(fields) do
    known[field.name] = true
    local wrong = row[field.name] ~= nil
      and misshapen_value(field, row[field.name], prefix .. field.name)
    if wrong then
      return wrong
    end
  end
  for name in pairs(row) do
    if not known[name] then
      return prefix .. name .. " is unknown"
    end
  end
end

local function shape_of(operation)
  return function(answer)
    local data = answer.json.data
    if answer.json.code ~= 0 then
      return "code " .. tostring(answer.json.code)
    elseif operation.returns == "list" then
      local rows = { { name = "list", type = "list", fields = operation.data } }
      return misshapen(rows, data, "")
    elseif operation.returns == "cipher" then
      return type(data) ~= "string" and "data is no text" or nil
    end
    return misshapen(operation.data, data, "")
  end
end

local function add_shapes()
  local function shape(name, values)
    add(api.operations[name], "fields and types of the answer",
      { values = values, expect = { check = shape_of(api.operations[name]) } })
  end
  local function of_card(card) return { card_no = card.card_no } end
  local function of_holder(card) return { cardholder_no = card.cardholder_no } end
  local function recent(backend) return backend:recent() end
  shape("merchant.token", {})
  shape("cards.packages", {})
  shape("cards.bins", {})
  shape("cards.detail", card_in("Activated", of_card))
  shape("cards.private_info", card_in("Activated", of_card))
  shape("pci.client_token", card_in("Activated", of_card))
  shape("cardholders.info", card_in("Activated", of_holder))
  shape("accounts.info", card_in("Activated", of_holder))
  for _, name in ipairs { "cardholders.list", "cards.list", "consumptions.list",
    "accounts.transfers" } do
    shape(name, recent)
  end
end

-- All -----------------------------------------------------------------------------------------

for _, name in ipairs(api.names) do
  local operation = api.operations[name]
  add_fields(operation)
  add_addresses(operation)
  add_encrypted(operation)
  add_callers(operation)
  add_modes(operation)
  add_unknown(operation)
  if operation.method == "POST" then
    add_unknown_field(operation)
    add_bodies(operation)
  end
  if operation.paged then
    add_pages(operation)
  end
  if operation.window then
    add_windows(operation)
  end
end
add_card_states()
add_holder_states()
add_taken()
add_shapes()

return cases
