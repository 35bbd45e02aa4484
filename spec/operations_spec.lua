-- What all operations have in common, made from `api`: that each has a spec of its own (in
-- spec/operations_<group>_spec.lua), the checks of its arguments, and the codes it can be refused
-- with. All of it is asked through the client, over HTTP.
local api = require "keysecure.api"
local keysecure = require "keysecure"
local support = require "spec.support.client"

local GROUPS = {
  "accounts", "cardholders", "cards", "consumptions", "merchant", "pci", "simulate",
}

-- The spec of each operation, by name: what stands from its `describe` to the next one's.
local function specs()
  local found = {}
  for _, group in ipairs(GROUPS) do
    local name = nil
    for line in io.lines("spec/operations_" .. group .. "_spec.lua") do
      name = line:match '^  describe%("([%w_.]+)", function%(%)' or name
      if name then
        found[name] = (found[name] or "") .. line .. "\n"
      end
    end
  end
  return found
end

local function count(text, pattern)
  return select(2, text:gsub(pattern, ""))
end

describe("each operation of the API", function()
  it("has a spec, and each of its codes a line there", function()
    local found, missing = specs(), {}
    for number = 1, 25 do
      local name = api.names[number]
      local text = found[name] or ""
      if not text:find('\n    it("works', 1, true) or count(text, "\n    it%(") < 1 then
        missing[#missing + 1] = name
      end
      for _, code in ipairs(api.operations[name].errors) do
        if not text:find("%f[%d]" .. code .. "%f[%D]") then
          missing[#missing + 1] = name .. " " .. code
        end
      end
    end
    assert.same({}, missing)
    for name in pairs(found) do
      assert(api.operations[name], name)
    end
  end)

  -- Written down again on purpose: the emulator reads the same table as the client.
  local PUBLISHED = {
    "both GET /merchant/token",
    "both POST /cardholder/apply 2001 2002 2003 2004 2005 2006 2011",
    "both POST /cardholder/list 1019 1020",
    "both GET /cardholder/{cardholder_no}/info 2002",
    "both POST /card/apply 2002 2005 2007 2008 2009 2010 3001 4003",
    "both POST /card/list 1019 1020",
    "both GET /card/{card_no}/detail 4001",
    "both GET /card/{card_no}/private/info 1013 4001 4005",
    "both POST /card/active 2002 4001 4005",
    "both POST /card/status/update 4001 4005",
    "both POST /card/pin/set 2002 4001 4005 4016 4017",
    "both GET /card/consume/{consume_no}/info 4002",
    "both POST /card/consume/list 1019 1020",
    "both GET /merchant/client/{card_no}/token 1013 4001 4005",
    "both POST /merchant/pci/card/detail 1013 1014 1015 1016 1017 1018 4001",
    "credit POST /account/transfer 2002 3001",
    "credit GET /account/{cardholder_no}/info 2002",
    "credit POST /account/transfer/list 1019 1020",
    "credit POST /card/package/list",
    "authorization POST /card/support/bins",
    "sandbox POST /simulate/auth 4001 4005",
    "sandbox POST /simulate/consumption_clear 4002 4005",
    "sandbox POST /simulate/consumption_fail 4002 4005",
    "sandbox POST /simulate/reversal 4002 4005",
    "sandbox POST /simulate/refund 4002 4005",
  }

  it("goes where the platform says, in its mode, and may be refused with its codes", function()
    assert.equal(25, #api.names)
    assert.equal("/open-api/v1", api.base)
    for number, line in ipairs(PUBLISHED) do
      local operation = api.operations[api.names[number]]
      local parts = { operation.mode, operation.method, operation.path }
      for _, code in ipairs(operation.errors) do
        parts[#parts + 1] = string.format("%d", code)
      end
      assert.equal(line, table.concat(parts, " "))
      assert.equal(number == 1 and "key" or number > 20 and "none" or "token", operation.auth)
    end
  end)

  it("is a method of the client, but for the token, which it fetches by itself", function()
    local ks = assert(keysecure.new { environment = "emulator" })
    for _, name in ipairs(api.names) do
      local group, method = name:match "^(%w+)%.([%w_]+)$"
      if group ~= "merchant" then
        assert.is_function(ks[group][method], name)
        local each = api.operations[name].each
        assert.is_true(each == nil or type(ks[group][each]) == "function")
      end
    end
    ks:close()
  end)
end)

-- Arguments -------------------------------------------------------------------------------------

local function too_long(count_of)
  return ("x"):rep(count_of + 1)
end

-- Values of the right type that break a rule of the field, by what is wrong with them.
local function broken_values(field)
  local list = {}
  local function add(what, value)
    list[#list + 1] = { what = what, value = value }
  end
  if field.type == "text" then
    add("empty", "")
    add("with a control character", "a\nb")
  end
  if field.type == "text" and field.max then
    add("too long", too_long(field.max))
  end
  if field.digits then
    add("too short", ("190190"):sub(1, field.digits - 1))
    add("too long", ("1901901"):sub(1, field.digits + 1))
    add("with a letter", ("19019x"):sub(-field.digits))
  end
  if field.no_runs then
    for _, pin in ipairs { "111902", "190123", "905433", "987150", "900012" } do
      add("with a run", pin)
    end
  end
  if field.enum then
    add("out of the list", "Nothing")
    add("next to one of the list", field.enum[1] .. " ")
    if not field.fold then
      add("in another letter case", field.enum[1]:lower())
    end
  end
  if field.english then
    add("in another script", "Z\195\188rich")
    add("with a symbol", "A <b>")
  end
  if field.pattern then
    add("of the wrong form", "+/?")
  end
  if field.type == "id" then
    for _, value in ipairs { "", "a/b", "..", "a b", "a?b", "%2e", "a#b", "a\r\nb", "\195\188",
      too_long(field.max) } do
      add("that is no number of the platform's", value)
    end
  elseif field.type == "money" then
    for _, value in ipairs { "", "1,00", "-1.00", "+1", "1e3", "0x10", ".5", "1.", " 1", "1.0.0",
      "nan", ("1"):rep(33) } do
      add("that is no amount", value)
    end
  elseif field.type == "integer" then
    add("too small", field.min - 1)
    if field.max then
      add("too large", field.max + 1)
    end
  elseif field.type == "datetime" then
    for _, value in ipairs { "", "2026-02-30", "2026-13-01", "01.02.2026", "2026-1-1",
      "2026-01-01T00:00:00", "2026-01-01 24:00:00", "2026-01-01 00:00", "2026-01-01 " } do
      add("that is no date", value)
    end
  end
  if field.scale then
    add("with too many decimals", "1." .. ("0"):rep(field.scale + 1))
  end
  if field.positive then
    add("of nothing", "0.00")
  end
  return list
end

local OTHER_TYPES = {
  string = { 7, true, {}, function() end }, number = { "7", true, {} },
  table = { "text", 7, true }, boolean = { "true", 1 },
}
local LUA_TYPE = { text = "string", id = "string", money = "string", datetime = "string",
  integer = "number", object = "table" }

local function with(fields, changes)
  local copy = {}
  for name, value in pairs(fields) do
    copy[name] = value
  end
  for name, value in pairs(changes) do
    copy[name] = value
  end
  return copy
end

describe("the arguments", function()
  local world

  setup(function()
    world = support.start()
  end)
  teardown(function()
    world:stop()
  end)

  local function nothing_sent(fn)
    assert.equal(0, world:counted(fn).total)
  end

  -- What to call `operation` with where the field at hand has `value` (nil: where it is missing).
  local function call_with(operation, field, parent, value)
    local fields = support.sample(operation)
    if operation.name == "cards.apply" then
      fields.card_type = field.name == "card_type" and value or "Physical"
    end
    local holder = fields
    if parent then
      holder = with(fields[parent.name], {})
      fields[parent.name] = holder
    end
    holder[field.name] = value
    return world:of(operation):call(operation.name, fields)
  end

  local function check_broken(operation, field, path, parent)
    for _, case in ipairs(broken_values(field)) do
      local _, err = call_with(operation, field, parent, case.value)
      assert(err, path .. " " .. case.what .. " was let through: " .. tostring(case.value))
      support.refused({ kind = "invalid", outcome = "not_sent", field = path,
        operation = operation.name }, nil, err)
      assert.is_nil(err.code)
      assert.is_nil(err.attempts)
    end
  end

  local function check_wrong_types(operation, field, path, parent)
    for _, value in ipairs(OTHER_TYPES[LUA_TYPE[field.type]] or {}) do
      local message = support.raised(call_with, operation, field, parent, value)
      assert.matches(operation.name .. " " .. path .. ": " .. LUA_TYPE[field.type]
        .. " expected, got " .. type(value), message, 1, true)
    end
    if field.type == "integer" then
      assert.matches("a whole number expected",
        support.raised(call_with, operation, field, parent, field.min + 0.5))
    elseif field.type == "money" then
      assert.matches("decimal text", support.raised(call_with, operation, field, parent, 1.5))
    end
  end

  local function check_required(operation, field, path, parent)
    if field.required and not operation.open then
      support.refused({ kind = "invalid", outcome = "not_sent", field = path,
        operation = operation.name }, call_with(operation, field, parent, nil))
    end
  end

  local function check_field(operation, field, parent)
    local path = parent and parent.name .. "." .. field.name or field.name
    nothing_sent(function()
      check_broken(operation, field, path, parent)
      check_wrong_types(operation, field, path, parent)
      check_required(operation, field, path, parent)
    end)
    for _, inner in ipairs(field.fields or {}) do
      check_field(operation, inner, field)
    end
  end

  for _, name in ipairs(api.names) do
    local operation = api.operations[name]
    for _, field in ipairs(operation.params) do
      local mode = operation.mode == "authorization" and "authorization" or "credit"
      if not (api.modes[field.required] and field.required ~= mode) then
        it("of " .. name .. " are checked before anything is sent: " .. field.name, function()
          check_field(operation, field)
        end)
      end
    end

    it("of " .. name .. " are known by name", function()
      nothing_sent(function()
        local ks = world:of(operation)
        assert.matches(name .. ": a table of fields expected, got string",
          support.raised(ks.call, ks, name, "x-1"), 1, true)
        if not operation.open then
          local message = support.raised(ks.call, ks, name, { cardd_no = "C1" })
          assert.matches(name .. " takes no field 'cardd_no'", message, 1, true)
        end
      end)
    end)
  end

  it("of a list hold a time that ends after it starts, of at most 90 days", function()
    local CASES = {
      { "2026-03-02", "2026-03-01", "after start_time" },
      { "2026-03-01 12:00:00", "2026-03-01 12:00:00", "after start_time" },
      { "2026-03-01", "2026-05-31", "at most 90 days" },
      { "2026-03-01 00:00:00", "2026-05-30 00:00:01", "at most 90 days" },
    }
    nothing_sent(function()
      for _, name in ipairs(api.names) do
        for _, case in ipairs(api.operations[name].window and CASES or {}) do
          local err = support.refused({ kind = "invalid", field = "end_time",
            outcome = "not_sent" }, world.ks:call(name,
            { start_time = case[1], end_time = case[2] }))
          assert.matches(case[3], err.message, 1, true)
        end
      end
    end)
    for _, name in ipairs(api.names) do
      if api.operations[name].window then
        assert(world.ks:call(name, { start_time = "2026-03-01", end_time = "2026-05-30" }))
        assert(world.ks:call(name, { start_time = "2026-03-01", end_time = "2026-03-01" }))
      end
    end
  end)

  it("that the mode asks for are one or the other where the client knows no mode", function()
    local ks = world:client { mode = false, merchant = "credit" }
    nothing_sent(function()
      local err = support.refused({ kind = "invalid", outcome = "not_sent" },
        ks.cards:apply { cardholder_no = "U1", card_unique_no = "C1", card_type = "Virtual" })
      assert.matches("package_no", err.message, 1, true)
    end)
    support.refused({ code = 2002 }, ks.cards:apply { cardholder_no = "U1", package_no = "P-1",
      card_unique_no = "C1", card_type = "Virtual" })
  end)
end)

-- Refusals --------------------------------------------------------------------------------------

local SENT_AGAIN_ONCE = { [1005] = true, [1006] = true, [1007] = true }
local MOST_ATTEMPTS = 5

-- What becomes of a call whose every attempt is refused with `code`.
local function expected(operation, code)
  local attempts = 1
  if code == 1009 or (code == 1001 and not operation.write) then
    attempts = MOST_ATTEMPTS
  elseif code == 1005 or (SENT_AGAIN_ONCE[code] and operation.auth == "token") then
    attempts = 2
  end
  return { code = code, operation = operation.name, http_status = 200, attempts = attempts,
    outcome = code == 1001 and operation.write and "unknown" or "refused" }
end

local function codes_of(operation)
  local list = {}
  for _, code in ipairs(operation.errors) do
    list[code] = true
  end
  for _, code in ipairs(api.common_errors) do
    list[code] = true
  end
  return list
end

describe("the refusal of an operation", function()
  local world

  setup(function()
    world = support.start()
  end)
  teardown(function()
    world:stop()
  end)
  -- New clients have all of their retry budget.
  before_each(function()
    world.ks, world.authorization = world:client(), world:client { mode = "authorization" }
    assert(world.ks.cards:packages())
    assert(world.authorization.cards:bins())
  end)
  after_each(function()
    world:no_faults()
  end)

  -- The operations that may answer `code`.
  local function names_with(code)
    local names = {}
    for _, name in ipairs(api.names) do
      if codes_of(api.operations[name])[code] then
        names[#names + 1] = name
      end
    end
    return names
  end

  -- The token operation is asked by the calls themselves too, where their token is refused.
  local function check(names, code)
    for _, name in ipairs(names) do
      world:fault(name, code, "always")
    end
    local _, failures = world.ks:parallel(#names, names, function(name)
      return world.ks:call(name, support.least(api.operations[name]))
    end)
    world:no_faults()
    for i, name in ipairs(names) do
      support.refused(expected(api.operations[name], code), nil, failures and failures[i])
    end
    return failures
  end

  local codes = {}
  for code in pairs(api.codes) do
    codes[#codes + 1] = code
  end
  table.sort(codes)

  for _, code in ipairs(codes) do
    local given_by = names_with(code)
    local entry = api.codes[code]
    if #given_by > 0 then
      it("is told as " .. code .. ", " .. entry.name, function()
        local others = {}
        for _, name in ipairs(given_by) do
          if name == "merchant.token" and SENT_AGAIN_ONCE[code] then
            check({ name }, code)
          elseif api.operations[name].mode == "authorization" then
            world:fault(name, code, "always")
            support.refused(expected(api.operations[name], code), world.authorization:call(name))
            world:no_faults()
          else
            others[#others + 1] = name
          end
        end
        local failures = check(others, code)
        for _, err in pairs(failures) do
          assert.equal(string.format("%s: %s (%s, code %d, %s)", err.operation, err.message,
            entry.name, code, err.outcome), tostring(err))
        end
      end)
    end
  end

  it("may be a code that nothing says anything about", function()
    world:fault("cards.update_status", 3456)
    local err = support.refused({ kind = "api", code = 3456, outcome = "refused", attempts = 1 },
      world.ks.cards:update_status { card_no = "C1", status = "Frozen" })
    assert.is_nil(err.name)
    assert.matches("%(api, code 3456, refused%)$", tostring(err))
  end)

  it("is told by the code whatever the HTTP status", function()
    for _, status in ipairs { 400, 401, 403, 404, 500 } do
      world:control("POST", "faults",
        { operation = "cards.update_status", code = 4005, status = status })
      support.refused({ code = 4005, http_status = status },
        world.ks.cards:update_status { card_no = "C1", status = "Frozen" })
    end
  end)

  it("is told in the language asked for", function()
    local chinese = world:client { language = "zh_CN" }
    local err = support.refused({ code = 4001 }, chinese.cards:detail { card_no = "C1" })
    assert.equal("卡不存在", err.message)
    err = support.refused({ code = 4001 }, world.ks.cards:detail { card_no = "C1" })
    assert.equal("card does not exist", err.message)
  end)

  it("is the token's where the call never came to be sent", function()
    local STATES = { disabled = 1010, expired = 1011, merchant_unknown = 1021,
      merchant_abnormal = 1022 }
    for state, code in pairs(STATES) do
      world:configure { merchants = { credit = { key_state = state } } }
      for _, name in ipairs { "cards.packages", "accounts.transfer" } do
        local operation = api.operations[name]
        support.refused({ code = code, outcome = "not_sent", attempts = 0, operation = name },
          world:client():call(name, support.least(operation)))
      end
    end
    world:configure { merchants = { credit = { key_state = "enabled",
      ip_whitelist = { "10.1.2.3" } } } }
    support.refused({ code = 1003, outcome = "not_sent" }, world:client().cards:packages())
    support.refused({ code = 1003, outcome = "refused" }, world.ks.cards:packages())
    world:configure { merchants = { credit = { ip_whitelist = false } } }
    support.refused({ code = 1008, outcome = "not_sent" },
      world:client { api_key = "nobody" }.cards:packages())
  end)

  it("for too many calls passes when they slow down", function()
    world:configure { merchants = { credit = { rate_limit = 3 } } }
    for _ = 1, 6 do
      local _, err = world.ks.cards:packages()
      if err then
        support.refused({ code = 1009, outcome = "refused", attempts = MOST_ATTEMPTS }, nil, err)
      end
    end
    world:configure { merchants = { credit = { rate_limit = false } } }
    assert(world.ks.cards:packages())
  end)
end)
