--- The page at `/`: what the emulator holds, live, with buttons that act as a merchant, a
--- cardholder or a shop would. For people at this machine alone, as the control endpoints are.
--
-- The page asks for the view and gives the version that it has; the answer comes when there is
-- another one, after WAIT seconds at the latest. A tab that went away costs no more than that.
local api = require "keysecure.api"
local control = require "keysecure.emulator.control"
local json = require "keysecure.emulator.json"
local view = require "keysecure.emulator.view"

local page = {}

local WAIT = 20 -- seconds

-- Nothing from elsewhere, nothing inline, no text taken for markup: not even a page that is wrong
-- can be made to run what somebody named a card.
local POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
  .. "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
  .. "require-trusted-types-for 'script'; trusted-types 'none'"

local HEADERS = {
  ["content-security-policy"] = POLICY, ["x-content-type-options"] = "nosniff",
  ["referrer-policy"] = "no-referrer", ["cache-control"] = "no-store",
  ["cross-origin-resource-policy"] = "same-origin",
}

-- Lua modules that return text: every installer knows what to do with those.
local FILES = {
  ["/"] = { type = "text/html;charset=UTF-8", module = "keysecure.emulator.page.markup" },
  ["/_emulator/page.css"] = { type = "text/css;charset=UTF-8",
    module = "keysecure.emulator.page.style" },
  ["/_emulator/page.js"] = { type = "text/javascript;charset=UTF-8",
    module = "keysecure.emulator.page.script" },
}

local VIEW, ACT = "/_emulator/view", "/_emulator/act"

local function answer(status, value)
  return { status = status, body = json.encode(value), headers = HEADERS }
end

-- Acting --------------------------------------------------------------------------------------

-- A holder who activates a card has it in hand, and reads off it what the page never shows.
local function read_off_card(platform, operation, fields)
  local card = operation.name == "cards.activate"
    and platform.store:find("cards", "card_no", fields.card_no or "")
  if card then
    fields.cvv = fields.cvv or card.cvv
    fields.card_last_no = fields.card_last_no or card.card_last_no
  end
end

local function encrypted(merchant, operation, fields)
  for _, field in ipairs(operation.params) do
    if field.encrypted and type(fields[field.name]) == "string" then
      fields[field.name] = merchant.cipher:encrypt(fields[field.name])
    end
  end
end

-- The operation's own request, as its merchant would send it, past the check of keys and tokens.
local function request_as(merchant, operation, fields, peer)
  local path_values, headers = {}, { ["content-type"] = "application/json" }
  for _, field in ipairs(operation.params) do
    if operation.path:find("{" .. field.name .. "}", 1, true) then
      path_values[field.name], fields[field.name] = fields[field.name], nil
    elseif field.header then
      headers[field.header:lower()], fields[field.name] = fields[field.name], nil
    end
  end
  return { method = operation.method, target = api.base .. operation.path, peer = peer,
    path_values = path_values, body = json.encode(fields), acting = merchant,
    header = function(name) return headers[name] end }
end

local function act(platform, request, call)
  local body = control.read_body(request)
  local operation = body and api.operations[body.operation]
  local merchant = body and platform.merchants.by_name[body.merchant]
  if not (operation and merchant and type(body.fields) == "table") then
    return answer(400, { error = "operation, merchant and fields expected" })
  end
  read_off_card(platform, operation, body.fields)
  encrypted(merchant, operation, body.fields)
  local response = call(platform, operation,
    request_as(merchant, operation, body.fields, request.peer))
  response.headers = HEADERS
  return response
end

-- Showing -------------------------------------------------------------------------------------

local function show(platform, request)
  platform.changes:wait(request.target:match "since=([%w%-]+)" or "", WAIT)
  local shown = view.of(platform)
  shown.version = platform.changes:version()
  local response = answer(200, shown)
  response.quiet = true -- a line in the log for every change would drown the others
  return response
end

local function serve(platform, request, call)
  local path = request.target:match "^[^?#]*"
  if FILES[path] and request.method == "GET" then
    return { status = 200, body = require(FILES[path].module), content_type = FILES[path].type,
      headers = HEADERS }
  elseif path == VIEW and request.method == "GET" then
    return show(platform, request)
  elseif path == ACT and request.method == "POST" then
    return act(platform, request, call)
  end
  return answer(405, { error = "method not allowed" })
end

--- Whether a request's target belongs to the page.
---@param target string
---@return boolean
function page.is_mine(target)
  local path = target:match "^[^?#]*"
  return FILES[path] ~= nil or path == VIEW or path == ACT
end

--- May yield.
---@param platform keysecure.emulator.Platform
---@param request table
---@param call fun(platform: table, operation: table, request: table): table  makes a merchant's
---@return table response
function page.answer(platform, request, call)
  local response
  if control.is_local(request) then
    response = serve(platform, request, call)
  else
    response = answer(403, { error = "the page is for this machine only" })
  end
  response.name = response.name or "page"
  return response
end

return page
