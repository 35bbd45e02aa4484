-- Random callbacks through hook:answer, signed by the own signer in both orders: all are believed,
-- and each handler sees the digits that were signed. A hundred thousand of them under Lua 5.4.
local cjson = require "cjson"
local core = require "keysecure.core"
local signature = require "keysecure.signature"
local memory = require "keysecure.webhook.store.memory"
local support = require "spec.support.webhook"

local SEED = 20261123
local flavour = os.getenv "KS_FLAVOUR" or (rawget(_G, "jit") and "luajit") or "lua54"
local COUNT = flavour == "lua54" and 100000 or 2000

local random = math.random

local LETTERS = { "a", "b", "Aa", "BB", "z", "é", "中", "😀", " ", "\\n", "\\u0001", "\\u00e9", "\\/",
  "\\\"", "\\\\", "&", "=", "\127", "\\u2028", "\226\128\168", "\239\172\128", "0" }

local function text(most)
  local parts = {}
  for i = 1, random(0, most) do
    parts[i] = LETTERS[random(#LETTERS)]
  end
  return table.concat(parts)
end

local function number()
  local digits = tostring(random(0, 99999999))
  if random(3) > 1 then
    digits = digits .. "." .. ("0"):rep(random(0, 2)) .. random(0, 999) .. ("0"):rep(random(0, 2))
  end
  return (random(4) == 1 and "-" or "") .. digits
end

local value

local function members(depth)
  local parts = {}
  for i = 1, random(0, 5) do
    parts[i] = string.format('"%s":%s', text(3), value(depth - 1))
  end
  return table.concat(parts, ",")
end

local SPACES = { "", "", "", " ", "\n\t" }

function value(depth)
  local kind = random(depth > 0 and 8 or 6)
  local space = SPACES[random(#SPACES)]
  if kind <= 2 then
    return number() .. space
  elseif kind <= 4 then
    return '"' .. text(8) .. '"' .. space
  elseif kind == 5 then
    return random(2) == 1 and "true" or "false"
  elseif kind == 6 then
    return "null"
  elseif kind == 7 then
    return "{" .. space .. members(depth) .. "}"
  end
  local items = {}
  for i = 1, random(0, 4) do
    items[i] = value(depth - 1)
  end
  return "[" .. space .. table.concat(items, ",") .. "]"
end

-- Data with a number of its own and an amount, among other things.
local function data_of(index, amount)
  local rest = members(3)
  return string.format('{%s"consume_no":"R%d","amount":%s}', rest ~= "" and rest .. "," or "",
    index, amount)
end

describe("random callbacks", function()
  it("are all believed, in both orders, with every digit", function()
    math.randomseed(SEED)
    local signer = assert(signature.new { app_id = support.keys.api_key,
      secret = support.keys.api_secret })
    local hook, told = support.hook { journal = cjson.null,
      store = memory.new { size = 1000000 } }
    local seen
    hook:on("Auth", function(event)
      seen = event
      return true
    end)
    for index = 1, COUNT do
      local amount = number()
      local data = data_of(index, amount)
      local stamp = string.format("%.0f", core.wall())
      local order = index % 2 == 0 and "hash" or "document"
      local status, answer = hook:answer({ Timestamp = stamp,
        Signature = assert(signer:sign(data, stamp, order)) },
        string.format('{"id":"%d","action":"Auth","data":%s}', index, data))
      if status ~= 200 or answer ~= '{"code":0,"message":""}' or seen.data.amount ~= amount
        or seen.raw_data ~= data then
        error(string.format("number %d in %s order: %d %s\n%s\n%s", index, order, status, answer,
          data, table.concat(told.refusals, " ")))
      end
    end
  end)
end)
