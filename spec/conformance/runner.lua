--- Runs the cases against a backend and says where it differs.
local redact = require "keysecure.redact"
local cases = require "spec.conformance.cases"

local runner = {}

local function evaluated(headers)
  local result = {}
  for name, value in pairs(headers or {}) do
    result[name] = value
    if type(value) == "function" then
      result[name] = value()
    end
  end
  return result
end

local function ask(backend, case, values)
  local options = {}
  for name, value in pairs(case.options or {}) do
    options[name] = value
  end
  options.headers, options.merchant = evaluated(options.headers), case.mode
  return backend:call(case.operation, values, options)
end

local function told(answer)
  local code = answer.json.code
  return redact.text(string.format("HTTP %d, code %s, %s", answer.status,
    type(code) == "number" and string.format("%.0f", code) or tostring(code),
    tostring(answer.json.msg)), {})
end

-- Why an answer is not what is expected; nil where it is.
local function difference(backend, case, answer)
  local expect, json = case.expect, answer.json
  if expect.check then
    local wrong = expect.check(answer)
    return wrong and "well-formed", wrong
  elseif expect.same_as then
    local other = ask(backend, case, expect.same_as.values)
    return json.code ~= other.json.code and told(other), told(answer)
  elseif expect.not_code then
    return json.code == expect.not_code and "not code " .. expect.not_code, told(answer)
  elseif expect.not_field then
    local named = tostring(json.msg):match "^(%S+) invalid parameter$"
    return named == expect.not_field and "not to complain of " .. named, told(answer)
  end
  local wanted = "code " .. expect.code .. (expect.field and " for " .. expect.field or "")
  if json.code ~= expect.code then
    return wanted, told(answer)
  end
  return expect.field and json.msg ~= expect.field .. " invalid parameter" and wanted,
    told(answer)
end

local function values_of(case, backend)
  if type(case.values) == "function" then
    return case.values(backend)
  end
  return case.values
end

local function run_case(backend, case, report)
  local values = backend.modes[case.mode] and values_of(case, backend)
  if not values then
    report.skipped[#report.skipped + 1] = case.id
    return
  end
  local expected, got = difference(backend, case, ask(backend, case, values))
  if expected then
    report.differences[#report.differences + 1] = { id = case.id, expected = expected,
      got = got }
  else
    report.same = report.same + 1
  end
end

--- Runs all cases, or those whose id `wanted` is true of.
---@param backend table
---@param wanted? fun(id: string): boolean
---@return { name: string, same: integer, differences: table[], skipped: string[] }
function runner.run(backend, wanted)
  local report = { name = backend.name, same = 0, differences = {}, skipped = {} }
  for _, case in ipairs(cases) do
    if not wanted or wanted(case.id) then
      run_case(backend, case, report)
    end
  end
  return report
end

--- A report as a page.
---@param report table
---@return string
function runner.page(report)
  local lines = {}
  local function add(...)
    lines[#lines + 1] = string.format(...)
  end
  add("# Conformance of %s, %s UTC\n", report.name, os.date "!%Y-%m-%d %H:%M")
  add("%d cases are as expected, %d differ, %d could not be tried.\n", report.same,
    #report.differences, #report.skipped)
  if #report.differences > 0 then
    add("| case | expected | got |\n|---|---|---|")
  end
  for _, case in ipairs(report.differences) do
    add("| %s | %s | %s |", case.id, case.expected, case.got)
  end
  if #report.skipped > 0 then
    add("\nNot tried, for want of credentials or of rows in the state that they need:\n")
  end
  for _, id in ipairs(report.skipped) do
    add("* %s", id)
  end
  return table.concat(lines, "\n") .. "\n"
end

return runner
