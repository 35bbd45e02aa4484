--- A server for the specs of the transport, on bare sockets so that it can do what no HTTP library
--- would. Run as a child by spec/support/wire.lua; the first word of a path says how it behaves:
---
---   /ok         an answer with all three headers   /count      "CONNECTION REQUEST"
---   /echo       the request as it came             /log        the requests seen, a line each
---   /slow/MS    answers after MS milliseconds      /hang       never answers
---   /close      reads all of it, then closes       /reset      closes before reading the body
---   /half       a part of a body, then nothing     /cut        a part of a body, then closes
---   /big/N      N bytes, announced                 /stream/N   N bytes, in chunks
---   /fat/N      N bytes of headers                 /garbage    no HTTP
---   /redirect   to /ok                             /interim    103, then 200
---   /leave      answers, and soon closes unannounced
---   /trailer    a Date behind the body             /status/N   that status, no body
---   /drip       a header, byte by byte             /endless    a body that ends by closing
---   /length     X-Length for a Content-Length      /unending   the same, and it does not end
---   /chunk      X-Length for the size of a chunk   /rest       more than was announced
---
--- It listens five times: plain; over TLS; over TLS with a certificate that expired; over TLS with
--- HTTP/2, refusing every stream after the first two; as a proxy.
local cqueues = require "cqueues"
local socket = require "cqueues.socket"
local certificates = require "spec.support.certificates"

local LIFE = 300 -- seconds; whoever started it is gone by then

local loop = cqueues.new()
local log, connections = {}, 0

-- HTTP/1.1 --------------------------------------------------------------------------------------

local DATE = "Mon, 23 Nov 2026 08:00:00 GMT"

local function answer(con, body, status, headers)
  con:write(("HTTP/1.1 %s\r\nDate: %s\r\nContent-Length: %d\r\n%s\r\n"):format(
    status or "200 OK", DATE, #body, headers or "") .. body)
  return true
end

-- Each returns true to keep the connection.
local behaviour = {}

function behaviour.ok(con)
  return answer(con, '{"code":0}', nil,
    "CONTENT-TYPE:  application/json \r\nretry-after: 7\r\nX-Other: x\r\n")
end

function behaviour.leave(con)
  answer(con, "left")
  cqueues.sleep(0.1)
end

function behaviour.count(con, request)
  return answer(con, request.connection .. " " .. request.number)
end

function behaviour.echo(con, request)
  return answer(con, request.head .. "\r\n" .. request.body)
end

function behaviour.log(con)
  return answer(con, table.concat(log, "\n"))
end

function behaviour.slow(con, _, milliseconds)
  cqueues.sleep(milliseconds / 1000)
  return answer(con, "slow")
end

function behaviour.hang()
  cqueues.sleep(LIFE)
end

function behaviour.close()
end

function behaviour.half(con)
  con:write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789")
  cqueues.sleep(LIFE)
end

function behaviour.cut(con)
  con:write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789")
end

function behaviour.big(con, _, size)
  return answer(con, ("x"):rep(size))
end

function behaviour.stream(con, _, size)
  con:write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
  while size > 0 do
    local part = math.min(size, 1000)
    if not con:write(("%x\r\n%s\r\n"):format(part, ("x"):rep(part))) then
      return
    end
    size = size - part
  end
  con:write("0\r\n\r\n")
  return true
end

function behaviour.fat(con, _, size)
  local lines = {}
  for i = 1, math.ceil(size / 1000) do
    lines[i] = ("X-%d: %s\r\n"):format(i, ("y"):rep(990))
  end
  return answer(con, "fat", nil, table.concat(lines))
end

function behaviour.garbage(con)
  con:write("this is no HTTP\r\n\r\n")
end

function behaviour.redirect(con)
  return answer(con, "", "302 Found", "Location: /ok\r\n")
end

function behaviour.interim(con)
  con:write("HTTP/1.1 103 Early Hints\r\nRetry-After: 99\r\n\r\n")
  return answer(con, "final")
end

function behaviour.trailer(con)
  con:write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nDate: " .. DATE ..
    "\r\nTrailer: Date\r\n\r\n2\r\nok\r\n0\r\nDate: Tue, 24 Nov 2026 08:00:00 GMT\r\n\r\n")
  return true
end

function behaviour.drip(con)
  con:write "HTTP/1.1 200 OK\r\nX-Drip: "
  for _ = 1, LIFE * 20 do
    if not con:write "." or not con:flush() then
      return
    end
    cqueues.sleep(0.05)
  end
end

local function asked_length(request)
  return request.head:match "[Xx]%-[Ll]ength: ([^\r\n]*)"
end

function behaviour.length(con, request)
  con:write("HTTP/1.1 200 OK\r\nContent-Length: " .. asked_length(request) .. "\r\n\r\n0123456789")
end

function behaviour.chunk(con, request)
  con:write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" .. asked_length(request)
    .. "\r\n" .. ("0123456789"):rep(100000))
end

function behaviour.rest(con)
  con:write "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n"
  return true
end

function behaviour.endless(con)
  con:write "HTTP/1.1 200 OK\r\n\r\nto the end"
end

function behaviour.unending(con)
  con:write "HTTP/1.1 200 OK\r\n\r\nto the end"
  con:flush()
  cqueues.sleep(LIFE)
end

function behaviour.status(con, _, status)
  return answer(con, "", status .. " Whatever")
end

local function read_head(con)
  local lines = {}
  local first = con:read(1)
  local line = first and first:match "%u" and con:read "*l"
  line = line and first .. line
  while line and line ~= "\r" and line ~= "" do
    lines[#lines + 1] = line
    line = con:read "*l"
  end
  return line and #lines > 0 and table.concat(lines, "\n") .. "\n" or nil
end

local function read_request(con, connection, number)
  local head = read_head(con)
  if not head then
    return nil
  end
  local method, path = head:match "^(%u+) (%S+)"
  local request = { head = head, method = method, path = path, connection = connection,
    number = number, body = "" }
  if path:match "^/reset" then
    return request
  end
  local length = tonumber(head:lower():match "content%-length:%s*(%d+)") or 0
  if length > 0 then
    request.body = con:read(length) or ""
  end
  if #request.body < length then
    return nil
  end
  return request
end

local function serve_http(con)
  connections = connections + 1
  local connection, number = connections, 0
  while true do
    number = number + 1
    local request = read_request(con, connection, number)
    if not request then
      break
    end
    log[#log + 1] = ("%d %d %s %s %d"):format(connection, number, request.method, request.path,
      #request.body)
    local how, argument = request.path:match "^/(%a+)/?(%d*)"
    local act = behaviour[how]
    if not act or not act(con, request, tonumber(argument) or 0) then
      break
    end
  end
  log[#log + 1] = connection .. " closed"
end

-- A proxy that answers by itself: what it is asked for, or to a tunnel a refusal.
local function serve_proxy(con)
  local head = read_head(con)
  while head do
    if head:match "^CONNECT" then
      con:write("HTTP/1.1 403 No\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n")
    else
      answer(con, "proxied\n" .. head)
    end
    head = read_head(con)
  end
end

-- HTTP/2, as little as it takes: frames, and the one header block ":status: 200" ------------------

local SETTINGS, HEADERS, DATA, RESET, REFUSED = 4, 1, 0, 3, "\0\0\0\7"
local streams = 0

local function frame(con, kind, flags, stream, payload)
  con:write(string.char(math.floor(#payload / 65536), math.floor(#payload / 256) % 256,
    #payload % 256, kind, flags, 0, 0, math.floor(stream / 256), stream % 256) .. payload)
end

local function read_frame(con)
  local head = con:read(9)
  if not head then
    return nil
  end
  local a, b, c, kind, flags, _, _, d, e = head:byte(1, 9)
  local size = a * 65536 + b * 256 + c
  if size > 0 and not con:read(size) then
    return nil
  end
  return kind, flags, d * 256 + e
end

local function answer_stream(con, connection, stream)
  streams = streams + 1
  log[#log + 1] = ("h2 connection %d stream %d"):format(connection, stream)
  if streams <= 2 then
    frame(con, HEADERS, 4, stream, "\136")
    frame(con, DATA, 1, stream, "h2")
  else
    frame(con, RESET, 0, stream, REFUSED)
  end
end

local function serve_h2(con)
  connections = connections + 1
  local connection = connections
  if not con:read(24) then
    return
  end
  frame(con, SETTINGS, 0, 0, "")
  local kind, flags, stream = read_frame(con)
  while kind do
    if kind == SETTINGS and flags == 0 then
      frame(con, SETTINGS, 1, 0, "")
    elseif kind == HEADERS or kind == DATA then
      if flags % 2 == 1 then -- the end of the request
        answer_stream(con, connection, stream)
      end
    end
    kind, flags, stream = read_frame(con)
  end
end

-- Listening -------------------------------------------------------------------------------------

local function listen(serve, context)
  local listener = assert(socket.listen { host = "127.0.0.1", port = 0 })
  assert(listener:listen())
  local _, _, port = listener:localname()
  loop:wrap(function()
    while true do -- not listener:clients(): PUC 5.1 can't yield in an iterator
      local con = listener:accept()
      loop:wrap(function()
        con:onerror(function(_, _, code)
          return code
        end)
        con:setmode("b", "bn")
        if not context or con:starttls(context) then
          serve(con)
        end
        con:close()
      end)
    end
  end)
  return port
end

local function main(directory)
  local authority, key = certificates.authority "wire test authority", certificates.key()
  local good = certificates.server(authority, key)
  local old = certificates.server(authority, key, { expired = true })
  local function context(cert, protocol)
    return certificates.context(cert, key, protocol)
  end
  certificates.write(authority.certificate, directory .. "/ca.pem")
  print(("plain=%d tls=%d expired=%d h2=%d proxy=%d pin=%s other_pin=%s"):format(
    listen(serve_http), listen(serve_http, context(good, "http/1.1")),
    listen(serve_http, context(old, "http/1.1")), listen(serve_h2, context(good, "h2")),
    listen(serve_proxy), certificates.pin_of(key), certificates.pin_of(authority.key)))
  io.stdout:flush()
  loop:wrap(function()
    cqueues.sleep(LIFE)
    os.exit(1)
  end)
  assert(loop:loop())
end

main(assert(arg[1], "usage: wire_server.lua DIRECTORY"))
