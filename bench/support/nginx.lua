--- A local nginx that answers like the platform, for as long as a benchmark takes.
local server = require "spec.support.nginx"

local nginx = {}

local CARD = '{"code":0,"msg":"Success","data":{"card_no":"C202605220001","card_unique_no":'
  .. '"C-1001","cardholder_no":"U202605220001","card_name":"Everyday","card_type":"Virtual",'
  .. '"organization":"VISA","card_last_no":"1111","status":"Activated","time":1763880000123}}'
local TOKEN = '{"code":0,"msg":"Success","data":{"access_token":"token-of-the-benchmark",'
  .. '"expired_time":4102444800000}}'

--- Starts it on a free port; `address` says where, `stop` ends it.
---@return {address: string, stop: fun()}
function nginx.start()
  local started = server.start { lua = false, server = string.format([[
    location = /open-api/v1/merchant/token { return 200 '%s'; }
    location / { return 200 '%s'; }
  ]], TOKEN, CARD) }
  return {
    address = started.address,
    stop = function()
      started:stop()
    end,
  }
end

return nginx
