--- Drives one call over a transport: the only place that waits.
local api = require "keysecure.api"
local errors = require "keysecure.errors"
local redact = require "keysecure.redact"
local request = require "keysecure.request"
local response = require "keysecure.response"

local exchange = {}

local NO_HEADERS = {}
local NO_WORD = { message = "the transport gave neither an answer nor a failure" }

-- Sends what the call asks to send and tells it what came of that.
local function send(client, call, wire)
  local answer, failure = client.transport:perform(wire)
  if answer then
    local headers = answer.headers or NO_HEADERS
    local monotonic, wall = client.now()
    return call:answered(monotonic, wall, answer.status, answer.body, headers.date,
      headers["retry-after"])
  end
  local monotonic, wall = client.now()
  if type(failure) ~= "table" then
    failure = NO_WORD
  end
  return call:failed(monotonic, wall, failure.reason, failure.reached, failure.message)
end

local function start(client, operation, made, options)
  local monotonic, wall = client.now()
  local timeout = options.timeout or client.options.timeout
  local timezone = operation.paged and (options.timezone or client.options.timezone) or nil
  local call = client.core:call(operation.method, made.path, made.body, operation.auth,
    operation.write, timeout * 1000, monotonic, wall, timezone, made.header, made.header_value)
  return call, call:next(monotonic, wall)
end

-- Until done: whether it succeeded, then the data's JSON text or what failed, then the attempts.
local function drive(client, operation, made, options)
  local call, action, first, second, third = start(client, operation, made, options)
  while action ~= "done" do
    if action == "send" then
      action, first, second, third = send(client, call, first)
    elseif action == "wait" and client.host:wait(first, second) then
      action, first, second, third = call:next(client.now())
    elseif action == "wait" then
      action, first, second, third = call:cancel()
    elseif action == "seek" then
      action, first, second, third = client.shared_token:seek(call)
    else
      action, first, second, third = client.shared_token:share(call)
    end
  end
  call:close()
  return first, second, third
end

-- A hook that raises must not cost the caller the result of a call that was made.
local function report(client, operation, started, attempts, err)
  pcall(client.options.on_event, {
    operation = operation.name, method = operation.method, path = operation.path,
    attempts = attempts, milliseconds = client.now() - started,
    outcome = err and err.outcome or "done", kind = err and err.kind, code = err and err.code,
  })
end

local function finish(client, operation, fields, succeeded, result)
  if succeeded then
    return response.value(operation, result, client, fields)
  end
  -- Before anything is read out of it.
  result.message = redact.text(result.message, request.secrets(operation, fields))
  return nil, response.failure(operation, result)
end

--- Makes the call `operation` with `fields`.
---@param client keysecure.Client
---@param operation table  an entry of api.operations
---@param fields table
---@param options table    timeout, timezone
---@return any|nil value
---@return keysecure.Error|nil err
function exchange.run(client, operation, fields, options)
  local made, invalid = request.new(operation, fields, client.cipher, client.options.mode)
  if not made then
    return nil, invalid
  end
  local started = client.now()
  local succeeded, result, attempts = drive(client, operation, made, options)
  local value, err = finish(client, operation, fields, succeeded, result)
  if client.options.on_event then
    report(client, operation, started, err and err.attempts or attempts, err)
  end
  if err then
    return nil, err
  end
  return value
end

--- As `run`, refusing what this client can't do before anything is built.
---@return keysecure.Error|nil
function exchange.refusal(client, operation)
  local options, message = client.options, nil
  local production = options.environment == "production"
    or options.address == api.environments.production.address
  if operation.mode == "sandbox" and production then
    message = "simulations exist only outside production"
  elseif operation.mode ~= "both" and operation.mode ~= "sandbox" and options.mode
    and operation.mode ~= options.mode then
    message = "exists in " .. operation.mode .. " mode only; this client is in " .. options.mode
      .. " mode"
  end
  return message and errors.new { kind = "invalid", operation = operation.name, message = message }
end

return exchange
