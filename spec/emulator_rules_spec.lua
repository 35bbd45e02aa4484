-- Each rule of each argument, generated from `api`: a valid call is spoilt in one place, and the
-- answer must have the rule's code and name the field.
local api = require "keysecure.api"
local core = require "keysecure.core"
local support = require "spec.support.emulator"

local NAMES_FIELD = { [1004] = true, [2007] = true, [2008] = true, [2009] = true, [2010] = true,
  [4010] = true }

local SAMPLES = { text = "sample", id = "X1", money = "1.00", integer = 1, object = {},
  datetime = "2026-01-01", boolean = true }
local NAMED = { pin = "862947", end_time = "2026-01-02", local_currency = "EUR", phone = "123",
  phone_code = "44", country = "GB", card_type = "Physical" }

local function sample_of(field)
  if field.type == "object" then
    local result = {}
    for _, member in ipairs(field.fields) do
      result[member.name] = sample_of(member)
    end
    return result
  end
  return NAMED[field.name] or (field.enum and field.enum[1])
    or (field.digits and ("1"):rep(field.digits)) or SAMPLES[field.type]
end

local function valid_values(operation)
  return sample_of { type = "object", fields = operation.params }
end

-- The spoilt values of a field: what is wrong with it, the value, the code.
local function wrong_values(field)
  local list = {}
  local own = field.code or 1004
  local function add(what, value, code)
    list[#list + 1] = { what = what, value = value, code = code or own }
  end
  if field.type == "integer" then
    add("text for a number", "1")
    add("a fraction", 1.5)
    add("below its least", field.min - 1)
    if field.max then
      add("above its most", field.max + 1)
    end
    return list
  elseif field.type == "object" or field.type == "boolean" then
    add("text for another type", "text")
    return list
  end
  if not field.header then
    add("a number for text", 7)
    add("an object for text", { a = 1 })
  end
  add("empty", "")
  if field.max then
    add("too long", ("a"):rep(field.max + 1))
  end
  if field.enum then
    add("out of its enum", "Nonsense")
    if not field.fold then
      add("in another letter case", field.enum[1]:upper())
    end
  end
  if field.digits then
    add("a digit short", ("1"):rep(field.digits - 1))
    add("a digit long", ("1"):rep(field.digits + 1))
    add("not digits", ("x"):rep(field.digits))
  end
  if field.no_runs then
    for _, pin in ipairs { "111947", "862123", "862321", "123456" } do
      add("with a run", pin)
    end
  end
  if field.pattern then
    add("not of its pattern", "?")
  end
  if field.english then
    add("not English", "北京", 2008)
    add("with symbols", "a;b", 2007)
  end
  if field.type == "id" then
    add("no number of the platform's", "a b")
    add("a path", "../x")
  elseif field.type == "money" then
    for _, text in ipairs { "1.", ".5", "-1", "+1", "1e3", "1,00", "ten", " 1" } do
      add("no decimal number (" .. text .. ")", text)
    end
    if field.scale then
      add("with too many decimals", "1." .. ("0"):rep(field.scale) .. "1")
    end
    if field.positive then
      add("zero", "0.00")
    end
  elseif field.type == "datetime" then
    for _, text in ipairs { "2026-02-30", "2026-1-1", "01.01.2026", "2026-01-01T00:00:00",
      "2026-01-01 24:00:00" } do
      add("no date (" .. text .. ")", text)
    end
  elseif field.type == "text" and not field.header then
    add("with a control character", "a\nb")
  end
  return list
end

local function in_path(operation, field)
  return operation.path:find("{" .. field.name .. "}", 1, true) ~= nil
end

describe("the emulator's rules", function()
  local peer

  setup(function() peer = support.start() end)
  teardown(function() peer:stop() end)

  local function mode_of(field)
    return api.modes[field.required] and field.required
  end

  local function check(operation, field, path, spoil, code, what)
    local values = valid_values(operation)
    spoil(values)
    local answer = peer:call(operation.name, values, { merchant = mode_of(field) })
    local label = operation.name .. " " .. path .. " " .. what
    assert.equal(code, answer.json.code, label)
    if NAMES_FIELD[code] then
      assert.equal(path .. " invalid parameter", answer.json.msg, label)
    end
  end

  local function check_field(operation, field, path, holder_of)
    for _, wrong in ipairs(wrong_values(field)) do
      -- An empty path segment is another path; an object can't be in one.
      if not (in_path(operation, field) and type(wrong.value) ~= "string" or
        in_path(operation, field) and wrong.value == "") then
        check(operation, field, path, function(values)
          holder_of(values)[field.name] = wrong.value
        end, wrong.code, wrong.what)
      end
    end
    if field.required and not in_path(operation, field) then
      check(operation, field, path, function(values)
        holder_of(values)[field.name] = nil
      end, 1004, "missing")
    end
  end

  for _, name in ipairs(api.names) do
    local operation = api.operations[name]
    for _, field in ipairs(operation.params) do
      it("are kept by " .. name .. " for " .. field.name, function()
        check_field(operation, field, field.name, function(values) return values end)
        for _, member in ipairs(field.fields or {}) do
          check_field(operation, member, field.name .. "." .. member.name,
            function(values) return values[field.name] end)
        end
      end)
    end

    it("let a call of " .. name .. " through that keeps them, at its longest too", function()
      local values = valid_values(operation)
      for _, field in ipairs(operation.params) do
        if field.max and field.type ~= "integer" and not (field.pattern or field.enum) then
          values[field.name] = ("a"):rep(field.max)
        end
      end
      for _, merchant in ipairs { "credit", "authorization" } do
        if not api.modes[operation.mode] or operation.mode == merchant then
          local answer = peer:call(name, values, { merchant = merchant })
          assert.are_not.equal(1004, answer.json.code, answer.body)
          assert.are_not.equal(4016, answer.json.code, answer.body)
        end
      end
    end)
  end

  it("count characters, not bytes", function()
    local values = { cardholder_unique_no = ("é"):rep(64), sumsub_share_token = "s" }
    assert.equal(0, peer:call("cardholders.apply", values).json.code)
    values.cardholder_unique_no = ("é"):rep(65)
    assert.equal(1004, peer:call("cardholders.apply", values).json.code)
  end)

  it("ask less of the address of a virtual card", function()
    local needed = { "postal_code", "country", "state", "city", "address_line1" }
    local function apply(kind, address)
      return peer:call("cards.apply", { package_no = "P-1", cardholder_no = "U1", card_type = kind,
        card_unique_no = "c", address_info = address }).json
    end
    local function pick(names)
      local address = {}
      for _, name in ipairs(names) do
        address[name] = support.address_info[name]
      end
      return address
    end
    assert.equal(2002, apply("Virtual", nil).code)
    assert.equal(2002, apply("Virtual", pick(needed)).code)
    assert.equal("address_info.first_name invalid parameter", apply("Physical", pick(needed)).msg)
    assert.equal("address_info invalid parameter", apply("Physical", nil).msg)
    for i = 1, #needed do
      local names = {}
      for j, name in ipairs(needed) do
        names[#names + 1] = j ~= i and name or nil
      end
      assert.equal("address_info." .. needed[i] .. " invalid parameter",
        apply("Virtual", pick(names)).msg)
    end
  end)

  it("want ciphertext where the wire is encrypted", function()
    for name, field in pairs { ["cards.activate"] = "cvv", ["cards.set_pin"] = "pin" } do
      local values = valid_values(api.operations[name])
      for _, text in ipairs { "862947", "123", "not Base64!", "AAAA", ("A"):rep(22) .. "==" } do
        values[field] = text
        local answer = peer:call(name, values, { wire = true })
        assert.equal(field .. " invalid parameter", answer.json.msg)
      end
    end
  end)
end)

describe("the emulator's lists", function()
  local peer, HOLDERS = nil, 25

  setup(function()
    peer = support.start()
    for i = 1, HOLDERS do
      peer:ok("cardholders.apply", { cardholder_unique_no = "n" .. i, sumsub_share_token = "s" })
    end
  end)
  teardown(function() peer:stop() end)

  local function date(shift, zone_hours, form)
    return os.date(form or "!%Y-%m-%d %H:%M:%S",
      math.floor(core.wall() / 1000) + shift + zone_hours * 3600)
  end

  local function list(values, headers)
    values.start_time = values.start_time or date(-3600, 8)
    values.end_time = values.end_time or date(3600, 8)
    return peer:call("cardholders.list", values, { headers = headers }).json
  end

  local function numbers(answer)
    local result = {}
    for i, row in ipairs(answer.data.list) do
      result[i] = row.cardholder_unique_no
    end
    return result
  end

  it("begin at page 0 with ten rows, newest first", function()
    local first = numbers(list {})
    assert.equal(10, #first)
    assert.equal("n25", first[1])
    assert.equal("n16", first[10])
    assert.same(first, numbers(list { page = 0, size = 10 }))
    assert.equal("n15", numbers(list { page = 1 })[1])
    assert.same({ "n5", "n4", "n3", "n2", "n1" }, numbers(list { page = 2 }))
    assert.same({}, numbers(list { page = 3 }))
    assert.same({}, numbers(list { page = 1e15 }))
  end)

  it("take sizes from 1 to 100", function()
    assert.same({ "n25" }, numbers(list { size = 1 }))
    assert.same({ "n24" }, numbers(list { size = 1, page = 1 }))
    assert.equal(HOLDERS, #numbers(list { size = 100 }))
    assert.same({ "n1" }, numbers(list { size = 24, page = 1 }))
  end)

  it("are narrowed by what is asked", function()
    assert.same({ "n7" }, numbers(list { cardholder_unique_no = "n7" }))
    assert.same({}, numbers(list { cardholder_unique_no = "n7", page = 1 }))
    assert.same({}, numbers(list { cardholder_unique_no = "nobody" }))
    assert.same({}, numbers(list { cardholder_unique_no = "n7", cardholder_no = "U1" }))
  end)

  it("hold what lies in the window, both ends included", function()
    assert.same({}, numbers(list { start_time = date(60, 8), end_time = date(120, 8) }))
    assert.same({}, numbers(list { start_time = date(-120, 8), end_time = date(-60, 8) }))
    local answer = list { start_time = date(-60, 8), end_time = date(60, 8), size = 100 }
    assert.equal(HOLDERS, #numbers(answer))
  end)

  it("take days by the Timezone header, UTC+8 without it, and an end day to its end", function()
    for zone, hours in pairs { ["UTC"] = 0, ["UTC+8"] = 8, ["UTC-11"] = -11, ["UTC+14"] = 14,
      ["UTC+05:30"] = 5.5 } do
      local today = date(0, hours, "!%Y-%m-%d")
      local headers = { Timezone = zone }
      local same_day = list({ start_time = today, end_time = today }, headers)
      assert.equal(10, #numbers(same_day), zone)
      local tomorrow = date(86400, hours, "!%Y-%m-%d")
      assert.same({}, numbers(list({ start_time = tomorrow, end_time = tomorrow }, headers)))
      local now = { start_time = date(-60, hours), end_time = date(60, hours) }
      assert.equal(10, #numbers(list(now, headers)), zone)
    end
    local now = { start_time = date(-60, 0), end_time = date(60, 0) }
    assert.equal(10, #numbers(list(now, { Timezone = "UTC" })))
    assert.same({}, numbers(list({ start_time = now.start_time, end_time = now.end_time })))
  end)

  it("span at most 90 days, to the second", function()
    local function code(start_time, end_time)
      return list({ start_time = start_time, end_time = end_time }).code
    end
    assert.equal(0, code("2026-01-01 00:00:00", "2026-04-01 00:00:00"))
    assert.equal(1020, code("2026-01-01 00:00:00", "2026-04-01 00:00:01"))
    assert.equal(0, code("2026-01-01", "2026-04-01"))
    assert.equal(1020, code("2026-01-01", "2026-04-02"))
    assert.equal(0, code("2026-01-01 00:00:00", "2026-01-01 00:00:01"))
    assert.equal(1019, code("2026-01-01 00:00:01", "2026-01-01 00:00:01"))
    assert.equal(1019, code("2026-01-01 00:00:01", "2026-01-01 00:00:00"))
  end)

  it("refuse a Timezone that is none", function()
    for _, zone in ipairs { "CET", "UTC+15", "UTC+8:99", "+8" } do
      local answer = list({}, { Timezone = zone })
      assert.equal(1004, answer.code)
      assert.equal("Timezone invalid parameter", answer.msg)
    end
  end)
end)
