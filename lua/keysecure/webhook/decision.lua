--- What a handler returned becomes a decision, and a decision the text of an answer. Pure.
--
-- Nothing misspelt approves: of all values in Lua, `true` and a table whose `code` is the number 0
-- and that has no other member than `message` are the two that do.
local cjson = require "cjson"

local decision = {}

---@class keysecure.webhook.Decision
---@field approved boolean
---@field code integer    0 approves
---@field message string

local CODE_DECLINED, CODE_MAX = 1, 2147483647
local MESSAGE_MAX = 200 -- bytes of what is told to the platform

-- No character is cut in two: half of one is no UTF-8, and so the whole answer no JSON.
local function shortened(message)
  local last = MESSAGE_MAX
  while last > MESSAGE_MAX - 4 and message:find("^[\128-\191]", last + 1) do
    last = last - 1
  end
  return message:sub(1, last)
end

local function new(code, message)
  return { approved = code == 0, code = code, message = shortened(message) }
end

--- A yes.
---@return keysecure.webhook.Decision
function decision.approve()
  return new(0, "")
end

--- A no.
---@param message? string
---@return keysecure.webhook.Decision
function decision.decline(message)
  return new(CODE_DECLINED, message or "declined")
end

local function is_code(value)
  return type(value) == "number" and value >= 0 and value <= CODE_MAX and value % 1 == 0
end

local function of_table(value)
  for name in pairs(value) do
    if name ~= "code" and name ~= "message" then
      return nil, "the handler returned a table with '" .. tostring(name) .. "' in it"
    end
  end
  if not is_code(value.code) then
    return nil, "the handler returned a table whose code is no whole number"
  elseif value.message ~= nil and type(value.message) ~= "string" then
    return nil, "the handler returned a table whose message is no text"
  end
  return new(value.code, value.message or (value.code == 0 and "" or "declined"))
end

--- Reads the results of an authorization's handler: `true`; `false` and perhaps why; or a table
--- { code = …, message = … }.
---@param first any
---@param second any
---@return keysecure.webhook.Decision|nil
---@return string|nil complaint  where they are anything else
function decision.read(first, second)
  if first == true then
    return decision.approve()
  elseif first == false then
    return decision.decline(type(second) == "string" and second or nil)
  elseif type(first) == "table" then
    return of_table(first)
  elseif first == nil then
    return nil, "the handler returned nothing" .. (second ~= nil and ": " .. tostring(second) or "")
  end
  return nil, "the handler returned a " .. type(first)
end

--- The results of another handler: whether it has taken what it was given. Coming back is enough;
--- `false`, `nil` with an error, and a table whose `code` is anything but 0 say no.
---@param first any
---@param second any
---@return boolean taken
---@return string|nil why  not
function decision.taken(first, second)
  if first == false or (first == nil and second ~= nil) then
    return false, second ~= nil and tostring(second) or "the handler returned false"
  elseif type(first) == "table" and first.code ~= nil and first.code ~= 0 then
    return false, "the handler returned code " .. tostring(first.code)
  end
  return true
end

--- The body of an answer [api.md 7].
---@param code integer
---@param message string
---@return string json
function decision.body(code, message)
  local text = message == "" and '""' or cjson.encode(message)
  return string.format('{"code":%d,"message":%s}', code, text)
end

--- As a short text, for a store.
---@param made keysecure.webhook.Decision
---@return string
function decision.pack(made)
  return string.format("%d %s", made.code, made.message)
end

--- Back from that text; nil where it is none.
---@param text string
---@return keysecure.webhook.Decision|nil
function decision.unpack(text)
  local code, message = text:match("^(%d+) (.*)$")
  return code and new(tonumber(code), message)
end

return decision
