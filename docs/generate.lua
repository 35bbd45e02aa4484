--- Writes docs/operations.md out of lua/keysecure/api.lua: `./dev docs`.
local api = require "keysecure.api"

local page = {}

local function add(...)
  page[#page + 1] = string.format(...)
end

local REQUIRED_IN = { credit = "in credit mode", authorization = "in authorization mode",
  Physical = "for Physical" }

local function rule_of(field)
  local parts = {}
  local function say(condition, ...)
    if condition then
      parts[#parts + 1] = string.format(...)
    end
  end
  say(field.enum, "one of %s", table.concat(field.enum or {}, ", "))
  say(field.digits, "exactly %s digits", tostring(field.digits))
  say(field.no_runs, "no three identical or sequential")
  say(field.says, "%s", tostring(field.says))
  say(field.scale, "at most %s decimals", tostring(field.scale))
  say(field.positive, "more than zero")
  say(field.min, "at least %s", tostring(field.min))
  say(field.max, field.type == "integer" and "at most %s" or "at most %s characters",
    tostring(field.max))
  say(field.default, "default %s", tostring(field.default))
  say(field.english, "English")
  say(field.encrypted, "encrypted here, give plain text")
  say(field.secret and not field.encrypted, "never shown")
  return table.concat(parts, "; ")
end

local function required_text(field)
  if field.required == true then
    return "required"
  end
  return REQUIRED_IN[field.required] or ""
end

local function add_fields(fields, prefix)
  for _, field in ipairs(fields) do
    add("| `%s%s` | %s | %s | %s | %s |", prefix, field.name, field.type, required_text(field),
      rule_of(field), field.since or "P")
    if field.fields then
      add_fields(field.fields, prefix .. field.name .. ".")
    end
  end
end

local function names_of(fields)
  local names = {}
  for i, field in ipairs(fields) do
    local kind = field.type ~= "text" and field.type ~= "id" and " (" .. field.type .. ")" or ""
    names[i] = "`" .. field.name .. "`" .. kind
  end
  return table.concat(names, ", ")
end

local RETURNS = {
  row = "Returns an object with", list = "Returns a list of objects with",
  done = "Returns true; the platform answers", cipher = "Returns a guarded object with",
}

local MODES = { both = "both modes", credit = "credit mode", authorization = "authorization mode",
  sandbox = "not in production" }

local function codes_of(codes)
  local texts = {}
  for i, number in ipairs(codes) do
    texts[i] = string.format("%d %s", number, api.codes[number].name)
  end
  return table.concat(texts, ", ")
end

local function add_operation(name, operation)
  local group, method = name:match("^(%w+)%.(.*)$")
  add("\n### ks.%s:%s", group, method)
  add("\n%s `%s %s%s`, %s [%s].\n", operation.doc, operation.method, api.base, operation.path,
    MODES[operation.mode], operation.since or "P")
  if #operation.params > 0 then
    add("| field | type | | rule | mark |\n|---|---|---|---|---|")
    add_fields(operation.params, "")
    add("")
  end
  add("%s %s.", RETURNS[operation.returns], names_of(operation.data))
  if operation.each then
    add("`ks.%s:%s` walks all rows%s.", group, operation.each,
      operation.window and ", over any length of time" or "")
  end
  if operation.unique then
    add("Its number among yours is `%s`; `%s` finds it again.", operation.unique,
      operation.found_by)
  end
  if #operation.errors > 0 then
    add("Errors: %s.", codes_of(operation.errors))
  end
end

add("# Operations\n\nMade of `lua/keysecure/api.lua` by `./dev docs`; change it there. Every"
  .. " operation returns its value, or nil and an error; a second table may follow the fields:"
  .. " `timeout` (seconds) and `timezone` for that call alone. Marks: P published, D derived,"
  .. " A assumed ([assumptions](assumptions.md)).")
for number = 2, #api.names do
  add_operation(api.names[number], api.operations[api.names[number]])
end
add("\n## Error codes\n\nAny operation may also answer: %s.\n", codes_of(api.common_errors))
add("| code | name | meaning | mark |\n|---|---|---|---|")
local numbers = {}
for number in pairs(api.codes) do
  numbers[#numbers + 1] = number
end
table.sort(numbers)
for _, number in ipairs(numbers) do
  local known = api.codes[number]
  add("| %d | `%s` | %s | %s |", number, known.name, known.text, known.since)
end

return table.concat(page, "\n") .. "\n"
