--- Runs `bin/keysecure` as a process of its own.
local command = {}

local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- The interpreter that runs now.
function command.interpreter()
  local i = 0
  while arg[i - 1] do
    i = i - 1
  end
  return arg[i]
end

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  os.remove(path)
  return text
end

--- Runs it with these words. `options`: `environment` (variables), `input` (for standard input,
--- which is empty otherwise); answers { status, out, err }.
function command.run(words, options)
  options = options or {}
  local out, err, input = os.tmpname(), os.tmpname(), os.tmpname()
  local file = assert(io.open(input, "wb"))
  file:write(options.input or "")
  file:close()
  local line = { "env" }
  for name, value in pairs(options.environment or {}) do
    line[#line + 1] = name .. "=" .. quoted(value)
  end
  line[#line + 1] = quoted(command.interpreter()) .. " bin/keysecure"
  for _, word in ipairs(words) do
    line[#line + 1] = quoted(word)
  end
  line[#line + 1] = string.format("<%s >%s 2>%s; echo $?", input, out, err)
  local pipe = assert(io.popen(table.concat(line, " ")))
  local status = tonumber(pipe:read "*a")
  pipe:close()
  os.remove(input)
  return { status = status, out = read(out), err = read(err) }
end

return command
