--- "Did you mean …?" for misspelt names.

-- Edit distance of two short names (Levenshtein), one row of the table at a time.
local function distance(a, b)
  local row = {}
  for j = 0, #b do
    row[j] = j
  end
  for i = 1, #a do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #b do
      local above = row[j]
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      row[j] = math.min(above + 1, row[j - 1] + 1, diagonal + cost)
      diagonal = above
    end
  end
  return row[#b]
end

--- The hint to append to a complaint about `name`: the nearest of `names`, or nothing.
---@param name any
---@param names string[]
---@return string
local function suggest(name, names)
  local best, nearest = math.huge, nil
  for _, candidate in ipairs(names) do
    local steps = distance(tostring(name):lower(), candidate:lower())
    if steps < best then
      best, nearest = steps, candidate
    end
  end
  if nearest and best <= math.max(2, math.floor(#nearest / 3)) then
    return "; did you mean '" .. nearest .. "'?"
  end
  return ""
end

return suggest
