--- A journal entry as one line for people, without anything that moves a terminal's cursor.

local VERDICTS = { approve = "approved", decline = "declined" }

local function authorization(entry)
  local verdict = VERDICTS[entry.decision] or "?"
  if entry.kind == "late" then
    return "would have been " .. verdict .. ", too late"
  end
  local why = entry.message ~= "" and entry.message ~= verdict and entry.message or nil
  return why and verdict .. ", " .. why or verdict
end

-- What is said of it, by action; of an action that is not known nothing more.
local ABOUT = {
  Auth = authorization,
  Consumption = function(entry)
    return string.format("%s %s", entry.type or "?", entry.status or "?")
  end,
  Card_update = function(entry)
    return string.format("%s -> %s", entry.before_status or "?", entry.after_status or "?")
  end,
}

-- Money, where there is some, and the number of what it is about.
local function subject_of(entry)
  local parts = {}
  for _, name in ipairs { "amount", "local_currency" } do
    parts[#parts + 1] = entry[name] -- of the two, only what is there
  end
  parts[#parts + 1] = entry.consume_no or entry.card_no or entry.id
  return table.concat(parts, " ")
end

local PLAIN = { handler = true, duplicate = true }

local function circumstances(entry)
  local parts = { string.format("%d ms", entry.ms) }
  if entry.duplicate then
    table.insert(parts, 1, "again")
  end
  if entry.kind == "answer" and not PLAIN[entry.reason] then
    table.insert(parts, 1, entry.reason)
  end
  return table.concat(parts, ", ")
end

--- Such as `Auth         12.50 EUR S202605220001: approved (3 ms)`.
---@param entry table  as a journal is given
---@return string line
return function(entry)
  local about = ABOUT[entry.action] and ABOUT[entry.action](entry) or "taken"
  local line = string.format("%-12s %s: %s (%s)", entry.action, subject_of(entry),
    entry.decision == "not taken" and "not taken" or about, circumstances(entry))
  return (line:gsub("[%c\127]", "?"):gsub("\194[\128-\159]", "?"))
end
