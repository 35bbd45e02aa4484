--- The hosts that wait: many calls at once to a platform that takes its time.
local compare = require "bench.support.compare"
local process = require "bench.support.process"

local ROUNDS = 5
local CALLS, DELAY = 200, 200 -- ms
local MANY, MANY_DELAY = 10000, 8000 -- ms: long enough for all of them to be in flight
local IDLE = 3 -- seconds

-- A server that takes `delay` for each answer; ends with `stop`.
local function slow_server(root, delay)
  local path = os.tmpname()
  local pipe = assert(io.popen(string.format("%s/build/lua54/bench/slow_server %d >%s", root, delay,
    path), "w"))
  local port
  repeat
    local file = assert(io.open(path))
    port = file:read "*n"
    file:close()
  until port
  os.remove(path)
  return { address = string.format("http://127.0.0.1:%d", port), stop = function()
    pipe:close()
  end }
end

local function command(root, flavour, ...)
  return process.lua(root, flavour, "host_calls.lua " .. table.concat({ ... }, " "))
end

local HOSTS = { "script", "tick", "cqueues", "luv" }

-- 200 calls of 200 ms --------------------------------------------------------------------------

local function at_once(root, address, flavour)
  local rows, contestants = {}, {}
  for i, host in ipairs(HOSTS) do
    rows[i] = { name = host, cpu = 0, worst_ms = 0, worst_cpu_ms = 0, lost = 0 }
    contestants[i] = { name = host, run = function()
      local found = process.json(command(root, flavour, "calls", address, host, CALLS))
      for _, what in ipairs { "cpu", "worst_ms", "worst_cpu_ms", "lost" } do
        rows[i][what] = math.max(rows[i][what], found[what])
      end
      return found.seconds
    end }
  end
  print(string.format("\n%d calls at once to a server that takes %d ms, %s", CALLS, DELAY, flavour))
  print(string.format("  %-10s %9s %20s %12s %14s %18s %6s", "", "s", "lowest … highest",
    "CPU s, worst", "held ms, worst", "step's CPU, worst", "lost"))
  for i, result in ipairs(compare.run(contestants, ROUNDS)) do
    local row = rows[i]
    row.median, row.lowest, row.highest = result.median, result.lowest, result.highest
    local steps = row.name ~= "script"
    print(string.format("  %-10s %9.3f %9.3f … %-8.3f %12.3f %14s %15s ms %6d", row.name,
      row.median, row.lowest, row.highest, row.cpu,
      steps and string.format("%.2f", row.worst_ms) or "-",
      steps and string.format("%.2f", row.worst_cpu_ms) or "-", row.lost))
  end
  return rows
end

-- 10,000 in flight -----------------------------------------------------------------------------

local function many(root, address)
  local rows = {}
  print(string.format("\n%d calls in flight in one process", MANY))
  local function add(name, line)
    local found = process.json(line)
    found.name = name
    rows[#rows + 1] = found
    print(string.format("  %-24s %6.2f KiB a call%s", name, found.kib_per_call,
      found.lost and string.format(", %d lost, %.1f s", found.lost, found.seconds) or ""))
  end
  add("libcurl alone, C", string.format("%s/build/lua54/bench/bare_memory %s/x %d", root, address,
    MANY))
  for _, flavour in ipairs { "lua54", "luajit" } do
    add("keysecure, tick, " .. flavour, command(root, flavour, "memory", address, "tick", MANY))
  end
  return rows
end

-- Idle -----------------------------------------------------------------------------------------

-- The system calls that a client made while it had nothing to do; nil where there is no strace.
local function system_calls(root, address, host)
  local path = os.tmpname()
  os.execute(string.format("strace -f -o %s %s >/dev/null 2>&1", path,
    command(root, "lua54", "idle", address, host, IDLE)))
  local file = assert(io.open(path))
  local count, idle = 0, false
  for line in file:lines() do
    if line:find('write(1, "awake', 1, true) then
      idle = nil
      break
    elseif idle then
      count = count + 1
    elseif line:find('write(1, "idle', 1, true) then
      idle = true
    end
  end
  file:close()
  os.remove(path)
  return idle == nil and count or nil
end

local function idle(root, address)
  local rows = {}
  print(string.format("\nan idle client with a kept connection, for %d s", IDLE))
  for _, host in ipairs { "tick", "luv" } do
    rows[host] = system_calls(root, address, host)
    print(string.format("  %-10s %s", host, rows[host]
      and rows[host] .. " system calls, those of waiting and of looking at the clock included"
      or "not measured: no strace"))
  end
  return rows
end

return function(root)
  local results = {}
  local function against(delay, measure, ...)
    local server = slow_server(root, delay)
    local ok, found = pcall(measure, root, server.address, ...)
    server.stop()
    assert(ok, found)
    return found
  end
  for _, flavour in ipairs { "lua54", "luajit" } do
    results["hosts_at_once_" .. flavour] = against(DELAY, at_once, flavour)
  end
  results.hosts_many = against(MANY_DELAY, many)
  results.hosts_idle = against(10, idle)
  return results
end
