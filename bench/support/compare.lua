--- Runs contestants side by side: rounds are interleaved, so that a slow moment of the machine hits
--- all of them, and each result is a median with its spread.
local compare = {}

local function median(values)
  table.sort(values)
  local middle = (#values + 1) / 2
  return (values[math.floor(middle)] + values[math.ceil(middle)]) / 2
end

---@param contestants {name: string, run: fun(): number}[]  each run returns its rate or its time
---@param rounds integer
---@return {name: string, median: number, lowest: number, highest: number}[]
function compare.run(contestants, rounds)
  local samples = {}
  for i = 1, #contestants do
    samples[i] = {}
  end
  for _ = 1, rounds do
    for i, contestant in ipairs(contestants) do
      table.insert(samples[i], contestant.run())
    end
  end
  local results = {}
  for i, contestant in ipairs(contestants) do
    local middle = median(samples[i])
    results[i] = { name = contestant.name, median = middle, lowest = samples[i][1],
      highest = samples[i][#samples[i]] }
  end
  return results
end

--- Prints the results as a table, each with its ratio to the first.
---@param title string
---@param unit string
---@param results table[]
function compare.print(title, unit, results)
  print("\n" .. title)
  print(string.format("  %-34s %12s %26s %10s", "", unit, "lowest … highest", "ratio"))
  for _, result in ipairs(results) do
    result.ratio = result.median / results[1].median
    print(string.format("  %-34s %12.6g %12.6g … %-10.6g %7.2f", result.name, result.median,
      result.lowest, result.highest, result.ratio))
  end
end

return compare
