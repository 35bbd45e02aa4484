--- `keysecure journal report FILE…`: what the journals of a webhook tell.
local report = require "keysecure.webhook.report"

local journal = {}

local SHOWN = 20 -- numbers of purchases in a list

--- Adds the sub-command.
---@param parser table
function journal.describe(parser)
  local sub = parser:command("journal", "Read the journals of a webhook.")
  sub:require_command(true)
  sub:command_target "verb"
  local verb = sub:command("report", "Count, time, and reconcile what was answered.")
  verb:argument("file", "A journal of keysecure.webhook.journal; - is standard input."):args "+"
end

local function feed(sums, path)
  local file, err = io.stdin, nil
  if path ~= "-" then
    file, err = io.open(path, "r")
  end
  if not file then
    return nil, err
  end
  for line in file:lines() do
    sums:add(line)
  end
  if file ~= io.stdin then
    file:close()
  end
  return true
end

local function say(format, ...)
  print(string.format(format, ...))
end

local function list_of(numbers)
  local shown = table.concat(numbers, " ", 1, math.min(#numbers, SHOWN))
  return #numbers > SHOWN and shown .. string.format(" and %d more", #numbers - SHOWN) or shown
end

local function say_reasons(reasons)
  local names = {}
  for name in pairs(reasons) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    say("  %-18s %d", name, reasons[name])
  end
end

local function say_authorizations(sums)
  local auths, times = sums.authorizations, sums:times()
  say("authorizations       %d", auths.count)
  say("  approved           %d", auths.approved)
  say("  declined           %d", auths.declined)
  say("  asked again        %d", auths.duplicates)
  if times then
    say("milliseconds         p50 %d, p99 %d, p99.9 %d, most %d", times.p50, times.p99, times.p999,
      times.max)
  end
  say("over the limit       %d", auths.over_limit)
  say("fallbacks            %d", auths.fallbacks)
  say("decided too late     %d, of which approved %d", sums.late.count, sums.late.approved)
  say "decided by"
  say_reasons(auths.reasons)
end

local function say_rest(sums)
  local pushes, found = sums.callbacks, sums:reconciled()
  say("other callbacks      %d: %d taken, %d not taken, %d ignored, %d again", pushes.count,
    pushes.taken, pushes.not_taken, pushes.ignored, pushes.duplicates)
  say("cleared as approved  %d", found.cleared)
  say("cleared differently  %d %s", #found.amount_differs, list_of(found.amount_differs))
  say("cleared unapproved   %d %s", #found.not_approved, list_of(found.not_approved))
  say("approved, failed     %d", found.failed)
  say("approved, open       %d", found.open)
  if sums.dropped + sums.unreadable > 0 then
    say("lines missing        %d dropped, %d unreadable", sums.dropped, sums.unreadable)
  end
end

--- Prints the report.
---@param arguments table
---@return integer status
function journal.run(arguments)
  local sums = report.new()
  for _, path in ipairs(arguments.file) do
    local ok, err = feed(sums, path)
    if not ok then
      io.stderr:write("keysecure journal: ", tostring(err), "\n")
      return 1
    end
  end
  say_authorizations(sums)
  say_rest(sums)
  return 0
end

return journal
