--- Secret arguments, from where other users of the machine don't see them: never the command line,
--- which `ps` shows to everybody, but a file, an environment variable or the terminal.
local secrets = {}

--- The environment variable that may hold a secret argument, such as KEYSECURE_CVV.
---@param name string  of the parameter
---@return string
function secrets.variable(name)
  return "KEYSECURE_" .. name:upper()
end

local function first_line(file)
  local line = file:read "*l"
  return line and (line:gsub("\r$", ""))
end

local function from_file(path)
  if path == "-" then
    return first_line(io.stdin) or ""
  end
  local file, err = io.open(path, "r")
  if not file then
    return nil, err
  end
  local line = first_line(file)
  file:close()
  return line or ""
end

-- os.execute answers true from Lua 5.2 on, a number before.
local function succeeds(command)
  local status = os.execute(command)
  return status == true or status == 0
end

local function from_terminal(name)
  io.stderr:write(name, ": ")
  io.stderr:flush()
  succeeds "stty -echo"
  local line = first_line(io.stdin)
  succeeds "stty echo"
  io.stderr:write("\n")
  return line
end

--- Reads a secret: the first line of the file named, else the environment variable, else what is
--- typed at the terminal, unseen.
---@param name string   of the parameter
---@param path? string  of a file; "-" is standard input
---@return string|nil secret
---@return string|nil err
function secrets.read(name, path)
  local variable = secrets.variable(name)
  local value = not path and os.getenv(variable) or nil
  if path then
    local line, err = from_file(path)
    if not line then
      return nil, err
    end
    value = line
  elseif not value and succeeds "test -t 0" then
    value = from_terminal(name)
  end
  if not value or value == "" then
    return nil, string.format("%s is needed: --%s-file FILE (- is standard input) or %s", name,
      (name:gsub("_", "-")), variable)
  end
  return value
end

return secrets
