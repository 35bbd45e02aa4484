--- `keysecure cards apply --package-no …`: every operation of the platform as a sub-command, made
--- of `api`, and `wait` for cardholders and cards.
--
-- Exit status: 0 done; 1 refused, or not reached; 2 misuse: nothing was sent; 3 a write that may or
-- may not have happened.
local api = require "keysecure.api"
local flags = require "keysecure.command.flags"
local output = require "keysecure.command.output"

local operations = {}

local REFUSED, MISUSE, UNKNOWN = 1, 2, 3

local GROUPS = {
  { "cardholders", "Apply for, list and await cardholders." },
  { "cards", "Apply for, list, show and change cards." },
  { "accounts", "Move money and show accounts (credit mode)." },
  { "consumptions", "Show what cards were used for." },
  { "pci", "Tokens and card data for the hosted iframe." },
  { "simulate", "Rehearse purchases; not in production." },
  { "merchant", "The access token, which the library otherwise looks after by itself." },
}

-- What can be waited for: the number to name it by, and the operation that its state comes from.
local WAITS = {
  cards = { number = "card_no", operation = "cards.detail", status = "Activated",
    statuses = api.enums.card_status, row = "card" },
  cardholders = { number = "cardholder_no", operation = "cardholders.info", status = "Approved",
    statuses = api.enums.cardholder_status, row = "cardholder" },
}

-- Describing ----------------------------------------------------------------------------------

local function add_common(command)
  command:flag("--json", "Print JSON, with times in Unix milliseconds.")
  command:option("--timeout", "Seconds for all of it."):argname "SECONDS":convert(tonumber)
  command:option("--environment", "production, sandbox or emulator (KEYSECURE_ENVIRONMENT)")
    :argname "NAME"
  command:option("--mode", "credit or authorization (KEYSECURE_MODE)"):argname "MODE"
  command:option("--address", "an address of your own (KEYSECURE_ADDRESS)"):argname "URL"
  command:option("--ca-file", "certificates to trust (KEYSECURE_CA_FILE)"):argname "FILE"
  command:option("--timezone", "of times given and shown (KEYSECURE_TIMEZONE, else UTC+8)")
    :argname "ZONE"
end

local function has_secrets(operation)
  for _, field in ipairs(operation.data) do
    if field.secret then
      return true
    end
  end
  return false
end

local function add_operation(group, verb, operation)
  local command = group:command(verb, operation.doc)
  flags.describe(command, operation)
  if operation.each then
    command:flag("--all", "Every row, over any number of pages and any length of time.")
  end
  if has_secrets(operation) then
    command:flag("--reveal", "Show what is masked otherwise.")
  end
  add_common(command)
end

local function add_wait(group, wait)
  local command = group:command("wait", "Waits until a " .. wait.row .. " has a status.")
  command:option("--" .. wait.number:gsub("_", "-")):argname "TEXT":count "1":target "number"
  command:option("--status", "one of " .. table.concat(wait.statuses, ", ")):argname "STATUS"
    :default(wait.status)
  add_common(command)
end

local function verb_of(name)
  return (name:match "%.(.*)$":gsub("_", "-"))
end

--- Adds a sub-command for each group of operations.
---@param parser table
---@return string[] names
function operations.describe(parser)
  local groups, names = {}, {}
  for i, entry in ipairs(GROUPS) do
    local group = parser:command(entry[1], entry[2]):require_command(true):command_target "verb"
    groups[entry[1]], names[i] = group, entry[1]
  end
  for _, name in ipairs(api.names) do
    add_operation(groups[name:match "^%w+"], verb_of(name), api.operations[name])
  end
  for name, wait in pairs(WAITS) do
    add_wait(groups[name], wait)
  end
  return names
end

-- Running -------------------------------------------------------------------------------------

local function complain(problem)
  io.stderr:write("keysecure: ", (tostring(problem):gsub("%c+", " ")), "\n")
end

local function status_of(err, operation)
  if err.kind == "invalid" then
    return MISUSE
  end
  return err.outcome == "unknown" and operation.write and UNKNOWN or REFUSED
end

local function connect(arguments)
  local keysecure = require "keysecure"
  return keysecure.from_env { environment = arguments.environment, mode = arguments.mode,
    address = arguments.address, ca_file = arguments.ca_file, timezone = arguments.timezone }
end

-- Rows are printed as they come, and the list is closed at its end alone: one that broke off is no
-- JSON, so that nobody takes it for all there is.
local function print_json_list(operation, next_row, reveal)
  local opening = "["
  for row in next_row do
    io.stdout:write(opening, output.json(operation, row, reveal))
    opening = ",\n"
  end
  io.stdout:write(opening == "[" and "[" or "", "]\n")
end

local function each_of(list)
  local i = 0
  return function()
    i = i + 1
    return list[i]
  end
end

local function print_table(operation, next_row, how)
  local rows = {}
  for row in next_row do
    rows[#rows + 1] = row
  end
  print(output.table(operation, rows, how))
end

local function show(operation, value, arguments, zone)
  local how = { reveal = arguments.reveal or false, zone = zone }
  if operation.returns == "list" then
    local next_row = type(value) == "function" and value or each_of(value)
    if arguments.json then
      print_json_list(operation, next_row, how.reveal)
    else
      print_table(operation, next_row, how)
    end
  elseif arguments.json then
    print(output.json(operation, value, how.reveal))
  else
    print(output.row(operation, value, how))
  end
end

local function perform(client, operation, fields, arguments)
  local options = { timeout = arguments.timeout }
  local value, err
  if arguments.all then
    value = client:each(operation.name, fields, options)
  else
    value, err = client:call(operation.name, fields, options)
  end
  if err then
    error(err, 0)
  end
  show(operation, value, arguments, client.options.timezone)
end

local function await(client, wait, arguments)
  local row = client[wait.row](client, arguments.number)
  local found, err = row:wait(arguments.status, { timeout = arguments.timeout })
  if not found then
    error(err, 0)
  end
  show(api.operations[wait.operation], found, arguments, client.options.timezone)
end

-- An error object says how it went; a text is misuse that the library raised.
local function guarded(operation, fn, ...)
  local keysecure = require "keysecure"
  local ok, err = pcall(fn, ...)
  if ok then
    return 0
  end
  complain(err)
  return keysecure.is_error(err) and status_of(err, operation) or MISUSE
end

local function run_operation(client, name, arguments)
  local operation = api.operations[name]
  local fields, fault = flags.read(operation, arguments)
  if not fields then
    complain(fault)
    return MISUSE
  end
  return guarded(operation, perform, client, operation, fields, arguments)
end

local function with_client(client, arguments)
  local wait = arguments.verb == "wait" and WAITS[arguments.subcommand]
  if wait then
    return guarded(api.operations[wait.operation], await, client, wait, arguments)
  end
  return run_operation(client, arguments.subcommand .. "." .. arguments.verb:gsub("-", "_"),
    arguments)
end

--- Does what the arguments ask for.
---@param arguments table
---@return integer status
function operations.run(arguments)
  local made, client, err = pcall(connect, arguments)
  if not (made and client) then
    complain(made and err or client)
    return MISUSE
  end
  local status = with_client(client, arguments)
  client:close()
  return status
end

return operations
