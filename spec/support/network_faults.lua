--- What can go wrong between a client and the platform, one entry each.
--
-- A fault of the exchange strikes one request, which is read whole first. Its `act` is given that
-- exchange (spec/support/network_exchange.lua), and what it returns says whether the connection is
-- kept. A fault of the gate strikes whoever connects while it stands.
--
--   reaches    whether the platform gets the request: "never", "before" (the client hears
--              anything), "late" (after the client has heard, or given up), "twice"
--   shows_repetition  the client is shown what the platform said to the second one
--   silent     nothing comes until the client's time is over
--   tls        exists behind TLS alone
--   for_good   of a gate: stands until it is taken away; otherwise for a moment
local faults = {}

local list = {}

local function add(fault)
  list[#list + 1] = fault
end

-- Texts ---------------------------------------------------------------------------------------

local PAGE = "<html><head><title>%s</title></head><body><h1>%s</h1><hr>nginx</body></html>\n"

local function page(status)
  return PAGE:format(status, status)
end

local function envelope(code, message)
  return ('{"code":%d,"msg":"%s","data":null}'):format(code, message or "not today")
end

-- What a success looks like whose end nobody will see.
local HALF_BODY = '{"code":0,"msg":"Success","data":{"result":tr'

-- The request vanishes ------------------------------------------------------------------------

local function never(name, act)
  add { name = name, reaches = "never", act = act }
end

local function never_silent(name, act)
  add { name = name, reaches = "never", silent = true, act = act }
end

never("request lost, closed", function(exchange)
  return exchange:close()
end)

never("request lost, reset", function(exchange)
  return exchange:reset()
end)

never_silent("request lost, silence", function(exchange)
  return exchange:hold()
end)

never("half a head, closed", function(exchange)
  exchange:write "HTTP/1.1 200 OK\r\nDate: Mon, 2"
  return exchange:close()
end)

never_silent("half a head, silence", function(exchange)
  exchange:write "HTTP/1.1 200 OK\r\nDate: Mon, 2"
  return exchange:hold()
end)

never("half a body of its own, closed", function(exchange)
  exchange:write("HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n" .. HALF_BODY)
  return exchange:close()
end)

never("a body cut behind its JSON", function(exchange)
  exchange:write("HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n"
    .. '{"code":0,"msg":"Success","data":{}}')
  return exchange:close()
end)

never("chunks cut behind their JSON", function(exchange)
  exchange:write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    .. '24\r\n{"code":0,"msg":"Success","data":{}}\r\n')
  return exchange:close()
end)

never("no HTTP", function(exchange)
  exchange:write "220 mail.example ESMTP ready\r\n"
  return exchange:close()
end)

never("bytes of no meaning", function(exchange)
  exchange:write(("\0\255\1\254"):rep(64))
  return exchange:close()
end)

-- Somebody in between answers -----------------------------------------------------------------

for _, status in ipairs { "502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout",
  "500 Internal Server Error", "429 Too Many Requests", "403 Forbidden", "200 OK" } do
  never("page " .. status:match "%d+", function(exchange)
    return exchange:answer(status, page(status), "Content-Type: text/html\r\n")
  end)
end

never("page 503 with Retry-After", function(exchange)
  return exchange:answer("503 Service Unavailable", page "503", "Retry-After: 0\r\n")
end)

never("redirect", function(exchange)
  return exchange:answer("307 Temporary Redirect", "", "Location: /elsewhere\r\n")
end)

never("nothing with status 200", function(exchange)
  return exchange:answer("200 OK", "")
end)

never("JSON that is no envelope", function(exchange)
  return exchange:answer("200 OK", '{"status":"ok","result":true}')
end)

-- The platform refuses ------------------------------------------------------------------------

for _, code in ipairs { 1001, 1005, 1006, 1007, 1009 } do
  never("code " .. code, function(exchange)
    return exchange:answer("200 OK", envelope(code))
  end)
end

never("code 1001 with status 500", function(exchange)
  return exchange:answer("500 Internal Server Error", envelope(1001))
end)

never("code 1009 with status 429", function(exchange)
  return exchange:answer("429 Too Many Requests", envelope(1009), "Retry-After: 0\r\n")
end)

-- The platform acts, and the answer suffers ----------------------------------------------------

local function done(name, act)
  add { name = "done, " .. name, reaches = "before", act = act }
end

local function done_silent(name, act)
  add { name = "done, " .. name, reaches = "before", silent = true, act = act }
end

done("closed", function(exchange)
  exchange:forward()
  return exchange:close()
end)

done("reset", function(exchange)
  exchange:forward()
  return exchange:reset()
end)

done_silent("silence", function(exchange)
  exchange:forward()
  return exchange:hold()
end)

done_silent("answered too late", function(exchange)
  local head, body = exchange:forward()
  exchange:outlast()
  exchange:write(head .. body)
  return exchange:close()
end)

done("half a head, closed", function(exchange)
  local head = exchange:forward()
  exchange:write(head:sub(1, math.floor(#head / 2)))
  return exchange:close()
end)

done("half a head, reset", function(exchange)
  local head = exchange:forward()
  exchange:write(head:sub(1, math.floor(#head / 2)))
  return exchange:reset()
end)

done_silent("half a head, silence", function(exchange)
  local head = exchange:forward()
  exchange:write(head:sub(1, math.floor(#head / 2)))
  return exchange:hold()
end)

local function half(exchange)
  local head, body = exchange:forward()
  exchange:write(head .. body:sub(1, math.floor(#body / 2)))
end

done("half a body, closed", function(exchange)
  half(exchange)
  return exchange:close()
end)

done("half a body, reset", function(exchange)
  half(exchange)
  return exchange:reset()
end)

done_silent("half a body, silence", function(exchange)
  half(exchange)
  return exchange:hold()
end)

done("length one too long, closed", function(exchange)
  local head, body = exchange:forward()
  exchange:write(exchange:with_length(head, #body + 1) .. body)
  return exchange:close()
end)

done_silent("length one too long, silence", function(exchange)
  local head, body = exchange:forward()
  exchange:write(exchange:with_length(head, #body + 1) .. body)
  return exchange:hold()
end)

done("length one too short", function(exchange)
  local head, body = exchange:forward()
  exchange:write(exchange:with_length(head, #body - 1) .. body)
  return exchange:close()
end)

done("chunks without an end", function(exchange)
  local _, body = exchange:forward()
  exchange:write(("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n"):format(
    #body, body))
  return exchange:close()
end)

done("a body without an end", function(exchange)
  local head, body = exchange:forward()
  exchange:write(head .. body:sub(1, -2))
  return exchange:close()
end)

done("a body too large", function(exchange)
  local head, body = exchange:forward()
  body = body .. (" "):rep(exchange.oversize)
  exchange:write(exchange:with_length(head, #body) .. body)
  return exchange:close()
end)

done("headers too large", function(exchange)
  local head, body = exchange:forward()
  local padding = ("X-Padding: %s\r\n"):format(("x"):rep(1000)):rep(400)
  exchange:write(head:sub(1, -3) .. padding .. "\r\n" .. body)
  return exchange:close()
end)

done("no HTTP", function(exchange)
  exchange:forward()
  exchange:write "220 mail.example ESMTP ready\r\n"
  return exchange:close()
end)

done("page 502", function(exchange)
  exchange:forward()
  return exchange:answer("502 Bad Gateway", page "502 Bad Gateway", "Content-Type: text/html\r\n")
end)

done("page 504", function(exchange)
  exchange:forward()
  return exchange:answer("504 Gateway Timeout", page "504", "Retry-After: 0\r\n")
end)

done("page 200", function(exchange)
  exchange:forward()
  return exchange:answer("200 OK", page "Please sign in", "Content-Type: text/html\r\n")
end)

done("code 1001", function(exchange)
  exchange:forward()
  return exchange:answer("200 OK", envelope(1001))
end)

done("code 1001 with status 500", function(exchange)
  exchange:forward()
  return exchange:answer("500 Internal Server Error", envelope(1001))
end)

-- The request arrives, but when nobody waits any more --------------------------------------------

add { name = "late, closed", reaches = "late", act = function(exchange)
  exchange:deliver(0.05)
  return exchange:close()
end }

add { name = "late, page 504", reaches = "late", act = function(exchange)
  exchange:deliver(0.15)
  return exchange:answer("504 Gateway Timeout", page "504")
end }

add { name = "late, silence", reaches = "late", silent = true, act = function(exchange)
  exchange:deliver(exchange:patience())
  return exchange:hold()
end }

-- The request arrives twice ---------------------------------------------------------------------

add { name = "twice, the first answer", reaches = "twice", act = function(exchange)
  local head, body = exchange:forward()
  exchange:forward()
  exchange:write(head .. body)
  return true
end }

add { name = "twice, the second answer", reaches = "twice", shows_repetition = true,
  act = function(exchange)
    exchange:forward()
    local head, body = exchange:forward()
    exchange:write(head .. body)
    return true
  end }

add { name = "twice, closed", reaches = "twice", act = function(exchange)
  exchange:forward()
  exchange:forward()
  return exchange:close()
end }

-- The gate --------------------------------------------------------------------------------------

local function gate(name, changes)
  changes.name, changes.gate = "connection " .. name, true
  changes.reaches = changes.reaches or "never"
  add(changes)
end

gate("refused for a moment", { shut = true })
gate("refused", { shut = true, for_good = true })
gate("never taken up", { unheard = true, for_good = true, silent = true })
gate("taken up too late", { unheard = true, for_good = true, silent = true, reaches = "late" })

gate("closed at once", { for_good = true, greet = function(exchange)
  return exchange:close()
end })

gate("closed at once, for a moment", { greet = function(exchange)
  return exchange:close()
end })

gate("reset at once", { for_good = true, greet = function(exchange)
  return exchange:reset()
end })

gate("cut at the first byte", { for_good = true, secured = function(exchange)
  exchange:wait()
  return exchange:close()
end })

gate("reset within the request", { for_good = true, secured = function(exchange)
  exchange:read(40)
  return exchange:reset()
end })

gate("greeted with an answer", { for_good = true, secured = function(exchange)
  exchange:write "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
  return exchange:close()
end })

gate("cut in the handshake", { for_good = true, tls = true, greet = function(exchange)
  exchange:wait()
  return exchange:close()
end })

gate("mute in the handshake", { for_good = true, tls = true, silent = true,
  greet = function(exchange)
    return exchange:hold()
  end })

gate("without TLS", { for_good = true, tls = true, greet = function(exchange)
  exchange:wait()
  exchange:write("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
  return exchange:close()
end })

gate("with an expired certificate", { for_good = true, tls = true, certificate = "expired" })
gate("with another's certificate", { for_good = true, tls = true, certificate = "other" })
gate("with an unknown authority", { for_good = true, tls = true, certificate = "unknown" })

-- By name -----------------------------------------------------------------------------------------

--- In order.
faults.list = list

faults.by_name = {}
for _, fault in ipairs(list) do
  assert(not faults.by_name[fault.name], fault.name)
  faults.by_name[fault.name] = fault
end

return faults
