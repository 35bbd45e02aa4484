--- Drives one call over a transport: the only place that waits.
local api = require "keysecure.api"
local errors = require "keysecure.errors"
local how_of = require "keysecure.how"
local redact = require "keysecure.redact"
local request = require "keysecure.request"
local response = require "keysecure.response"

local exchange = {}

local NO_HEADERS = {}
local NO_WORD = { message = "the transport gave neither an answer nor a failure" }
local TOKEN = api.operations["merchant.token"]

-- Tells the call what came of its request: what `carry` returns.
local function tell_call(client, call, status, body, date, retry_after)
  local monotonic, wall = client.now()
  if status then
    return call:answered(monotonic, wall, status, body, date, retry_after)
  end
  return call:failed(monotonic, wall, body, date, retry_after)
end

-- Sends what the call asks to send and tells it what came of that.
local function send(client, call, wire)
  local transport = client.transport
  if client.carries then
    return tell_call(client, call, transport:carry(call))
  end
  local answer, failure = transport:perform(wire)
  if answer then
    local headers = answer.headers or NO_HEADERS
    return tell_call(client, call, answer.status, answer.body, headers.date,
      headers["retry-after"])
  end
  if type(failure) ~= "table" then
    failure = NO_WORD
  end
  return tell_call(client, call, nil, failure.reason, failure.reached, failure.message)
end

local SPARE_MAX = 64 -- closed calls that a client keeps, to be used again

local function start(client, operation, made, options)
  local monotonic, wall = client.now()
  local spare = client.spare
  local closed = spare[#spare]
  spare[#spare] = nil
  local timeout = options.timeout or client.options.timeout
  local timezone = operation.paged and (options.timezone or client.options.timezone) or nil
  local call = client.core:call(operation.method, made.path, made.body, operation.auth,
    operation.write, timeout * 1000, monotonic, wall, timezone, made.header, made.header_value,
    options.settles, closed)
  return call, call:next(monotonic, wall)
end

-- A hook that raises must not cost the caller the result of a call that was made.
local function tell(client, event)
  pcall(client.options.on_event, event)
end

local function close(client, call)
  call:close()
  local spare = client.spare
  if #spare < SPARE_MAX then
    spare[#spare + 1] = call
  end
end

-- Counts and tells what came of a request. Of one that ended its call well the number says all.
local function note(client, operation, call, options, number_of_last)
  if number_of_last and not client.options.on_event then
    return client.counted:attempt(false, number_of_last)
  end
  local token, number, outcome, milliseconds, kind, code, http_status = call:last()
  client.counted:attempt(token, number, code)
  if client.options.on_event then
    local asked = token and TOKEN or operation
    tell(client, {
      event = "attempt", operation = asked.name, method = asked.method, path = asked.path,
      on_behalf_of = token and operation.name or options.on_behalf_of, attempt = number,
      milliseconds = milliseconds, outcome = outcome, kind = kind, code = code,
      http_status = http_status,
    })
  end
end

-- Until done: whether it succeeded, then the data's JSON text or what failed, the attempts, and the
-- milliseconds of pauses between them.
local function drive(client, operation, made, options)
  local call, action, first, second, third, fourth = start(client, operation, made, options)
  while action ~= "done" do
    if action == "send" then
      action, first, second, third, fourth = send(client, call, first)
      note(client, operation, call, options, action == "done" and first and third)
      client.host:moved()
    elseif action == "wait" and client.host:wait(first, second) then
      action, first, second, third, fourth = call:next(client.now())
    elseif action == "wait" then
      action, first, second = call:cancel()
    elseif action == "seek" then
      action, first, second, third, fourth = client.shared_token:seek(call)
      client.host:moved()
    else
      action, first, second, third, fourth = client.shared_token:share(call)
      client.host:moved()
    end
  end
  close(client, call)
  client.host:moved() -- it may have ended without sending what others wait for
  return first, second, third, fourth
end

local function how(attempts, waited)
  if attempts == 1 and waited == 0 then
    return how_of.ordinary
  end
  return { attempts = attempts, waited = waited, lookups = 0, settled = false }
end

--- Builds what `operation` sends for `fields`.
---@return table|nil made  for `perform`
---@return keysecure.Error|nil err
function exchange.prepare(client, operation, fields)
  return request.new(operation, fields, client.cipher, client.options.mode)
end

--- Makes a call that was prepared: to its end, with all the attempts that takes.
---@param client keysecure.Client
---@param operation table
---@param fields table
---@param made table
---@param options table  timeout, timezone; settles: it will be looked up where its answer is lost;
---  on_behalf_of: the operation that this one serves
---@return any|nil value
---@return keysecure.Error|nil err
---@return keysecure.How how
function exchange.perform(client, operation, fields, made, options)
  local succeeded, result, attempts, waited = drive(client, operation, made, options)
  if succeeded then
    local value, err = response.value(operation, result, client, fields)
    if err then
      err.attempts, err.waited = attempts, waited
    end
    return value, err, how(attempts, waited)
  end
  -- Before anything is read out of it.
  result.message = redact.text(result.message, request.secrets(operation, fields))
  return nil, response.failure(operation, result), how(result.attempts, result.waited)
end

--- Counts and tells that a call has ended.
---@param client keysecure.Client
---@param operation table
---@param started number  monotonic ms
---@param err keysecure.Error|nil
---@param told keysecure.How
function exchange.report(client, operation, started, err, told)
  local outcome = err and err.outcome or "done"
  client.counted:call(outcome, told)
  if client.options.on_event then
    tell(client, {
      event = "call", operation = operation.name, method = operation.method, path = operation.path,
      attempts = told.attempts, waited = told.waited, lookups = told.lookups,
      settled = told.settled or nil, milliseconds = client.now() - started, outcome = outcome,
      kind = err and err.kind, code = err and err.code,
    })
  end
end

--- Makes the call `operation` with `fields`.
---@param client keysecure.Client
---@param operation table  an entry of api.operations
---@param fields table
---@param options table    timeout, timezone
---@return any|nil value
---@return keysecure.Error|nil err
function exchange.run(client, operation, fields, options)
  local made, invalid = exchange.prepare(client, operation, fields)
  if not made then
    return nil, invalid
  end
  local started = client.now()
  local value, err, told = exchange.perform(client, operation, fields, made, options)
  exchange.report(client, operation, started, err, told)
  if err then
    return nil, err
  end
  how_of.keep(value, told)
  return value
end

--- As `run`, refusing what this client can't do before anything is built.
---@return keysecure.Error|nil
function exchange.refusal(client, operation)
  if operation.mode == "both" then
    return nil
  end
  local options, message = client.options, nil
  local production = options.environment == "production"
    or options.address == api.environments.production.address
  if operation.mode == "sandbox" and production then
    message = "simulations exist only outside production"
  elseif operation.mode ~= "sandbox" and options.mode and operation.mode ~= options.mode then
    message = "exists in " .. operation.mode .. " mode only; this client is in " .. options.mode
      .. " mode"
  end
  return message and errors.new { kind = "invalid", operation = operation.name, message = message }
end

return exchange
