--- Arguments that keep every rule of an operation, and the ways to break each rule, out of `api`.
local samples = {}

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
  local value = NAMED[field.name]
  if value == nil then
    value = (field.enum and field.enum[1]) or (field.digits and ("1"):rep(field.digits))
      or SAMPLES[field.type]
  end
  return value
end

--- Every argument of an operation, each with a value that keeps the rules. What it names there need
--- not be.
---@param operation table
---@return table
function samples.valid(operation)
  return sample_of { type = "object", fields = operation.params }
end

-- Each list below adds what is wrong, the value, and the code where it is not the field's own.
local function spoil_number(field, add)
  add("text for a number", "1")
  add("a fraction", 1.5)
  add("below its least", field.min - 1)
  if field.max then
    add("above its most", field.max + 1)
  end
end

local function spoil_money(field, add)
  for _, text in ipairs { "1.", ".5", "-1", "+1", "1e3", "1,00", "ten", " 1", ("1"):rep(33) } do
    add("no decimal number (" .. text .. ")", text)
  end
  if field.scale then
    add("with too many decimals", "1." .. ("0"):rep(field.scale) .. "1")
  end
  if field.positive then
    add("zero", "0.00")
  end
end

local function spoil_datetime(_, add)
  for _, text in ipairs { "2026-02-30", "2026-02-29", "2026-13-01", "2026-00-10", "2026-1-1",
    "01.01.2026", "2026-01-01T00:00:00", "2026-01-01 24:00:00", "2026-01-01 00:60:00",
    "2026-01-01 00:00:60", "2026-01-01 00:00" } do
    add("no date (" .. text .. ")", text)
  end
end

local function spoil_digits(field, add)
  add("a digit short", ("1"):rep(field.digits - 1))
  add("a digit long", ("1"):rep(field.digits + 1))
  add("not digits", ("x"):rep(field.digits))
end

local function spoil_text(field, add)
  if field.enum then
    add("out of its enum", "Nonsense")
    if not field.fold then
      add("in another letter case", field.enum[1]:upper())
    end
  end
  if field.digits then
    spoil_digits(field, add)
  end
  if field.no_runs then
    for _, pin in ipairs { "111947", "862222", "862123", "862321", "123456" } do
      add("with a run (" .. pin .. ")", pin)
    end
  end
  if field.pattern then
    add("not of its pattern", "?")
  end
  if field.english then
    add("not English", "北京", 2008)
    add("with symbols", "a;b", 2007)
  end
  if not field.header then
    add("with a control character", "a\nb")
  end
end

local function spoil_id(_, add)
  add("no number of the platform's", "a b")
  add("a path", "../x")
end

local BY_TYPE = { money = spoil_money, datetime = spoil_datetime, text = spoil_text,
  id = spoil_id, integer = spoil_number }

local TEXTS = { money = true, datetime = true, text = true, id = true }

--- Values of a field that break its rules.
---@param field table
---@return { what: string, value: any, code: integer }[]
function samples.wrong(field)
  local list, own = {}, field.code or 1004
  local function add(what, value, code)
    list[#list + 1] = { what = what, value = value, code = code or own }
  end
  if not TEXTS[field.type] and field.type ~= "integer" then
    add("text for another type", "text")
    return list
  elseif TEXTS[field.type] then
    if not field.header then
      add("a number for text", 7)
      add("an object for text", { a = 1 })
      add("true for text", true)
    end
    add("empty", "")
    if field.max then
      add("too long", ("a"):rep(field.max + 1))
    end
  end
  BY_TYPE[field.type](field, add)
  return list
end

--- Values at the edge of a field's rules, that keep them.
---@param field table
---@return { what: string, value: any }[]
function samples.edges(field)
  local list = {}
  local function add(what, value)
    list[#list + 1] = { what = what, value = value }
  end
  if field.type == "integer" then
    add("its least", field.min)
    add(field.max and "its most" or "very large", field.max or 1e9)
  elseif field.enum then
    for _, value in ipairs(field.enum) do
      add(value, value)
    end
  elseif field.type == "money" then
    add("its least", field.scale and "0." .. ("0"):rep(field.scale - 1) .. "1" or "0.001")
    add("32 digits", ("9"):rep(32))
  elseif field.max and not field.pattern and not field.digits then
    add("its longest", ("a"):rep(field.max))
    if field.type == "text" and not field.english and not field.header then
      add("its longest in characters", ("é"):rep(field.max))
    end
  end
  return list
end

return samples
