--- `./dev mutate emulator`: applies each breakage of spec/mutate/emulator.lua to a copy of the
--- tree, one at a time, and runs the specs that ought to notice. Names those that nobody noticed;
--- the exit status is 1 where there are any.
local root = arg[1]
local LIMIT = 120 -- seconds for one run of a spec

local mutations = dofile(root .. "/spec/mutate/emulator.lua")

local function line_of(command)
  local pipe = assert(io.popen(command))
  local line = pipe:read "*l"
  pipe:close()
  return line
end

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

local copy = line_of "mktemp -d"

local function copied(text)
  local from, to = root:gsub("%p", "%%%0"), copy:gsub("%%", "%%%%")
  return (text:gsub(from .. "/lua/", to .. "/lua/"):gsub(from .. "/%?", to .. "/?"))
end

-- Whether a spec passes in the copy. What is compiled stays where it is.
local function passes(spec)
  local name = spec:find "_spec$" and spec or spec .. "_spec"
  local status = line_of(string.format("cd %s && LUA_PATH_5_4='%s' KS_FLAVOUR=mutate timeout %d %s "
    .. "spec/support/run.lua --no-keep-going -o plainTerminal spec/%s.lua >%s/log 2>&1 </dev/null; "
    .. "echo $?", copy, copied(os.getenv "LUA_PATH_5_4"), LIMIT, os.getenv "KS_INTERPRETER", name,
    copy))
  return status == "0"
end

local function occurrences(text, part)
  local count, from = 0, 1
  repeat
    local first, last = text:find(part, from, true)
    count, from = count + (first and 1 or 0), (last or 0) + 1
  until not first
  return count
end

local function mutated(text, mutation)
  local first, last = text:find(mutation.from, 1, true)
  return text:sub(1, first - 1) .. mutation.to .. text:sub(last + 1)
end

local function is_noticed(mutation)
  for _, spec in ipairs(mutation.specs) do
    if not passes(spec) then
      return true
    end
  end
  return false
end

-- One breakage: "noticed", "SURVIVED", or "STALE" where its text is no longer there once.
local function try(mutation)
  local path = copy .. "/lua/keysecure/emulator/" .. mutation.file
  local text = read(path)
  if occurrences(text, mutation.from) ~= 1 then
    return "STALE"
  end
  write(path, mutated(text, mutation))
  local noticed = is_noticed(mutation)
  write(path, text)
  return noticed and "noticed" or "SURVIVED"
end

local function check_unbroken()
  local seen = {}
  for _, mutation in ipairs(mutations) do
    for _, spec in ipairs(mutation.specs) do
      if not seen[spec] and not passes(spec) then
        error(spec .. " fails without any breakage: see " .. copy .. "/log", 0)
      end
      seen[spec] = true
    end
  end
end

os.execute(string.format("cp -R %s/lua %s/spec %s/bin %s/examples %s/docs %s/", root, root, root,
  root, root, copy))
check_unbroken()
local unnoticed = 0
for i, mutation in ipairs(mutations) do
  local outcome = try(mutation)
  unnoticed = unnoticed + (outcome == "noticed" and 0 or 1)
  print(string.format("%2d %-8s %s: %s", i, outcome, mutation.file,
    mutation.from:gsub("\n%s*", " ")))
  io.stdout:flush()
end
os.execute("rm -rf " .. copy)
print(string.format("\n%d breakages, %d noticed", #mutations, #mutations - unnoticed))
os.exit(unnoticed == 0 and 0 or 1)
