--- Answers in the platform's envelope: {"code":0,"msg":"Success","data":…}.
local json = require "keysecure.emulator.json"
local messages = require "keysecure.emulator.messages"

local reply = {}

local function envelope(code, field, language, data)
  return string.format('{"code":%d,"msg":%s,"data":%s}', code,
    json.encode(messages.text(code, field, language)), data)
end

local function encode_list(operation, rows)
  local parts = {}
  for i, row in ipairs(rows) do
    parts[i] = json.encode_fields(operation.data, row)
  end
  return '{"list":[' .. table.concat(parts, ",") .. "]}"
end

local BY_RETURNS = {
  row = function(operation, row) return json.encode_fields(operation.data, row) end,
  done = function(operation) return json.encode_fields(operation.data, { result = true }) end,
  cipher = function(_, text) return json.encode(text) end,
  list = encode_list,
}

--- Success: what the operation answered, with the fields that `api` lists and no others.
---@param operation table
---@param data any
---@param language? string
---@return { status: integer, code: integer, body: string }
function reply.success(operation, data, language)
  return { status = 200, code = 0,
    body = envelope(0, nil, language, BY_RETURNS[operation.returns](operation, data)) }
end

--- Refusal, with HTTP status 200 unless it says otherwise.
---@param refusal keysecure.emulator.Refusal
---@param language? string
---@return { status: integer, code: integer, body: string, note: string|nil }
function reply.refusal(refusal, language)
  local note = refusal.note
  if refusal.field then
    note = refusal.field .. (note and " " .. note or "")
  end
  return { status = refusal.status or 200, code = refusal.code, note = note,
    body = envelope(refusal.code, refusal.field, language, "null") }
end

return reply
