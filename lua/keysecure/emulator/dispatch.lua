--- From a request to a response, whatever carries them.
--
-- A request: `method`, `target`, `body`, `peer` (the caller's address) and `header(name)`. A
-- response: `status`, `body`, `code`, and, for the log, `name` and `note`.
local needs = require "keysecure.emulator.needs"
local cqueues = needs "cqueues"
local protected = needs "http.util".yieldable_pcall
local arguments = require "keysecure.emulator.arguments"
local control = require "keysecure.emulator.control"
local gate = require "keysecure.emulator.gate"
local operations = require "keysecure.emulator.operations"
local page = require "keysecure.emulator.page"
local reply = require "keysecure.emulator.reply"
local router = require "keysecure.emulator.router"

local dispatch = {}

local function perform(platform, operation, request)
  local merchant, call, data
  local refusal
  merchant, refusal = gate.admit(platform, operation, request)
  if refusal then
    return nil, refusal
  end
  call, refusal = arguments.read(operation, request, merchant)
  if call then
    data, refusal = operations[operation.name](platform, call)
  end
  return data, refusal
end

local function act(platform, operation, request)
  local language = request.header "language"
  local ok, data, refusal = protected(perform, platform, operation, request)
  if not ok then
    platform.log:failure(operation.name, data)
    return reply.refusal({ code = 1001 }, language)
  elseif refusal then
    return reply.refusal(refusal, language)
  end
  return reply.success(operation, data, language)
end

local function false_answer(fault, operation, request)
  local response = reply.refusal({ code = fault.code or 1001, status = fault.status },
    request.header "language")
  if fault.code == 0 then
    response = reply.success(operation, operation.returns == "cipher" and "" or {})
  end
  response.status = fault.status or response.status
  response.note = "fault"
  return response
end

local PROXY_PAGE = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway"
  .. "</h1></body></html>\n"

-- Of what is sent; "closed", "reset" and "half" are the server's to do.
local BREAKS = {
  garbage = function(response) response.body = "\0\255{\"code\":" .. response.body:reverse() end,
  html = function(response, fault)
    response.status, response.body = fault.status or 502, PROXY_PAGE
    response.content_type = "text/html"
  end,
}

local function break_answer(response, fault)
  if BREAKS[fault.answer] then
    BREAKS[fault.answer](response, fault)
  else
    response.broken = fault.answer
  end
  response.note = "fault: " .. fault.answer
end

local function with_fault(platform, operation, request, fault)
  local lies = fault.code or fault.status
  local response
  if fault.after or not (lies or fault.answer) then
    response = act(platform, operation, request)
  end
  if fault.delay then
    platform.store:commit()
    cqueues.sleep(fault.delay)
  end
  if lies or not response then
    response = false_answer(fault, operation, request)
  end
  if fault.answer then
    break_answer(response, fault)
  end
  return response
end

local function merchant_call(platform, operation, request)
  platform.stats:request(operation.name)
  local fault = platform.faults:take(operation.name)
  local response = fault and with_fault(platform, operation, request, fault)
    or act(platform, operation, request)
  platform.stats:answered(response.code)
  response.name = operation.name
  return response
end

local function misdirected(code, name, request)
  local response = reply.refusal({ code = code, status = code }, request.header "language")
  response.name = name
  return response
end

local function page_call(platform, request)
  local ok, response = protected(page.answer, platform, request, merchant_call)
  if not ok then
    platform.log:failure("the page", response)
    return misdirected(500, "page", request)
  end
  return response
end

local function answer(platform, request)
  if page.is_mine(request.target) then
    return page_call(platform, request)
  elseif control.is_mine(request.target) then
    return control.answer(platform, request)
  end
  local operation, path_values = router.find(request.target)
  if not operation then
    return misdirected(404, "unknown path", request)
  elseif operation.method ~= request.method then
    local response = misdirected(405, operation.name, request)
    response.allow = operation.method
    return response
  elseif request.too_large then
    return misdirected(413, operation.name, request)
  end
  request.path_values = path_values
  return merchant_call(platform, operation, request)
end

--- Answers a request, once what it did is there to stay. May yield; never raises.
---@param platform keysecure.emulator.Platform
---@param request table
---@return table response
function dispatch.answer(platform, request)
  local response = answer(platform, request)
  local ok, err = platform.store:commit()
  if not ok then
    platform.log:failure("the journal", err)
    response = reply.refusal({ code = 1001, status = 500 }, request.header "language")
    response.name = "journal"
  elseif response.code or request.method ~= "GET" then -- a call of a merchant, or a change
    platform.changes:note()
  end
  return response
end

return dispatch
