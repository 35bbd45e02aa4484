--- One exchange of the faulty network: a request read whole from a client, or a connection that was
--- just taken up, and all that can be done with it.
local cqueues = require "cqueues"
local socket = require "cqueues.socket"
local luasocket = require "socket"
local cjson = require "cjson"

local WAIT = 10 -- seconds for the platform, and for a client to move

local Exchange = {}
Exchange.__index = Exchange

local exchange = {}

function exchange.quiet(_, _, code)
  return code
end

--- `link`: what it came over, with `upstream` (host, port), `patience` (seconds that the client
--- has), `oversize` and `later`; `note`: what is remembered of requests with its mark.
function exchange.new(link, con, raw, note)
  return setmetatable({ link = link, con = con, raw = raw, note = note,
    oversize = link.oversize }, Exchange)
end

-- The client's side -------------------------------------------------------------------------------

--- Waits until the client has sent something, and takes none of it.
function Exchange:wait()
  cqueues.poll({ pollfd = self.con:pollfd(), events = "r" }, WAIT)
end

function Exchange:read(size)
  return self.con:read(size)
end

function Exchange:write(text)
  self.con:write(text)
end

--- An answer in order; the connection is kept.
function Exchange:answer(status, body, headers)
  self.con:write(("HTTP/1.1 %s\r\nDate: %s\r\nContent-Length: %d\r\n%s\r\n%s"):format(status,
    os.date "!%a, %d %b %Y %H:%M:%S GMT", #body, headers or "", body))
  return true
end

function Exchange:close()
  return false
end

--- Ends the connection so that the client hears a reset and no orderly end.
function Exchange:reset()
  local handle = luasocket.tcp()
  handle:setfd(self.con:pollfd())
  handle:setoption("linger", { on = true, timeout = 0 })
  handle:setfd(-1)
  return false
end

--- Seconds after which the client has certainly given up.
function Exchange:patience()
  return self.link.patience + 0.2
end

--- Waits until the client has given up.
function Exchange:outlast()
  cqueues.sleep(self:patience())
end

--- Nothing more: the client is left to give up.
function Exchange:hold()
  cqueues.poll({ pollfd = self.con:pollfd(), events = "r" }, self:patience())
  return false
end

-- The platform's side -----------------------------------------------------------------------------

local function read_answer(con)
  local lines, length = {}, 0
  local line = con:read "*L"
  while line and line ~= "\r\n" do
    lines[#lines + 1] = line
    length = tonumber(line:lower():match "^content%-length:%s*(%d+)") or length
    line = con:read "*L"
  end
  local body = line and (length == 0 and "" or con:read(length))
  return table.concat(lines) .. "\r\n", assert(body, "the platform gave no answer")
end

--- Hands the request to the platform; returns head and body of what it says.
function Exchange:forward()
  local con = assert(socket.connect(self.link.upstream.host, self.link.upstream.port))
  con:onerror(exchange.quiet)
  con:setmode("b", "bn")
  con:settimeout(WAIT)
  con:write(self.raw)
  local head, body = read_answer(con)
  con:close()
  local note = self.note
  if note then
    note.forwarded = note.forwarded + 1
    if cjson.decode(body).code == 0 then
      note.executed = note.executed + 1
    end
  end
  return head, body
end

--- Hands the request to the platform after a while, whoever still listens.
function Exchange:deliver(seconds)
  self.link:later(seconds, function()
    self:forward()
  end)
end

--- A head of the platform's with another length in it.
function Exchange:with_length(head, length)
  return (head:gsub("([Cc]ontent%-[Ll]ength:%s*)%d+", "%1" .. ("%d"):format(length)))
end

return exchange
