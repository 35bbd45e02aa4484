--- A cosocket of ngx_lua as lua-resty-http uses one, which bounds what is read and remembers how
--- far a request got.
--
-- lua-resty-http reads lines of any length and any number of them, and says little of where it
-- failed. All its reading and writing goes through here:
--
-- * bytes are taken as they come (`receiveany`), so that no line grows without bound;
-- * the first failure stands in `fault`, whatever becomes of it above;
-- * `reached` follows the request: see keysecure.transport.curl for its values.
local Socket = {}
Socket.__index = Socket

local cosocket = {}

local REFUSED = "the certificate was refused; nginx's error log says why"
local PIECE = 16 * 1024 -- bytes to ask for at a time

---@class keysecure.Cosocket
---@field reached keysecure.Reached
---@field fault? {reason: keysecure.Reason, message: string}  what ended it

--- Takes over a cosocket that is not connected yet.
---@param raw table      what ngx.socket.tcp() returned
---@param options {now: fun(): number, deadline: number, room: integer, proxied: boolean}
---  monotonic milliseconds; the moment by which it must be connected; bytes that may be read;
---  whether connections go to a proxy first
---@return keysecure.Cosocket
function cosocket.wrap(raw, options)
  return setmetatable({ raw = raw, now = options.now, deadline = options.deadline,
    room = options.room, proxied = options.proxied, buffer = "", reached = "nothing" }, Socket)
end

-- Notes why it ended, the first time, and answers as a cosocket does.
local function fail(self, reason, message, partial)
  if not self.fault then
    self.fault = { reason = message == "timeout" and "timeout" or reason, message = message }
  end
  return nil, message, partial
end

-- Before each operation: it has what is left of the time, and none where nothing is.
local function limit(self)
  local left = math.ceil(self.deadline - self.now())
  if left < 1 then
    return fail(self, "timeout", "timeout")
  end
  self.raw:settimeouts(left, left, left)
  return true
end

--- Nothing of this is left to lua-resty-http.
function Socket:settimeout()
  return true
end

-- Connecting -----------------------------------------------------------------------------------

-- ngx_lua's words where a name has no address: "no resolver defined to resolve …", "… could not be
-- resolved (3: Host not found)", "failed to parse host name …".
local function is_about_a_name(message)
  return message:find("resolve", 1, true) ~= nil or message:find("host name", 1, true) ~= nil
end

function Socket:connect(host, port, options)
  local ok, message = limit(self)
  if not ok then
    return nil, message
  end
  ok, message = self.raw:connect(host, port, options)
  if not ok then
    local reason = "connect"
    if is_about_a_name(message) then
      reason = self.proxied and "proxy" or "resolve"
    elseif message ~= "timeout" then
      self.reached = "resolved"
    end
    return fail(self, reason, message)
  end
  self.reached = "connected"
  return ok
end

function Socket:sslhandshake(...)
  local ok, overdue = limit(self)
  if not ok then
    return nil, overdue
  end
  -- ngx_lua returns nil where a certificate is refused, but raises an assertion where all of the
  -- handshake was over at once, as happens within a machine.
  local answered, session, message = pcall(self.raw.sslhandshake, self.raw, ...)
  if not answered or not session then
    return fail(self, "tls", answered and message or REFUSED)
  end
  self.reached = "secured"
  return session
end

function Socket:getreusedtimes()
  return self.raw:getreusedtimes()
end

-- Talking --------------------------------------------------------------------------------------

--- Until now it was about the connection; from here on what is written is the request.
---@param deadline number  of the whole request
function Socket:begin(deadline)
  self.talking, self.deadline = true, deadline
end

--- Lets `room` more bytes be read.
function Socket:allow(room)
  self.room = room
end

function Socket:send(data)
  local ok, overdue = limit(self)
  if not ok then
    return nil, overdue
  end
  if self.talking then
    self.reached = "sending"
  end
  local sent, message = self.raw:send(data)
  if not sent then
    return fail(self, "send", message)
  end
  return sent
end

-- Takes what has come, at least a byte of it.
local function fill(self)
  if self.reached == "sending" then
    self.reached = "sent" -- lua-resty-http reads nothing before it has written everything
  end
  local ok, overdue = limit(self)
  if not ok then
    return nil, overdue
  end
  local piece, message = self.raw:receiveany(PIECE)
  if not piece then
    return fail(self, "receive", message)
  end
  if self.talking then
    self.reached = "answering"
  end
  return piece
end

local function take(self, count)
  self.room = self.room - count
  if self.room < 0 then
    return fail(self, "too_large", "the answer is larger than allowed")
  end
  return true
end

local function receive_line(self)
  local searched = 1
  local stop = self.buffer:find("\n", searched, true)
  while not stop do
    searched = #self.buffer + 1
    if searched > self.room then
      return fail(self, "too_large", "the answer is larger than allowed")
    end
    local piece, message = fill(self)
    if not piece then
      return nil, message
    end
    self.buffer = self.buffer .. piece
    stop = self.buffer:find("\n", searched, true)
  end
  local ok, message = take(self, stop)
  if not ok then
    return nil, message
  end
  local line = self.buffer:sub(1, stop - 1):gsub("\r$", "")
  self.buffer = self.buffer:sub(stop + 1)
  return line
end

local function receive_count(self, count)
  local ok, refusal = take(self, count)
  if not ok then
    return nil, refusal
  end
  local parts, size = { self.buffer }, #self.buffer
  self.buffer = ""
  while size < count do
    local piece, message = fill(self)
    if not piece then
      return nil, message, table.concat(parts)
    end
    parts[#parts + 1] = piece
    size = size + #piece
  end
  local all = table.concat(parts)
  self.buffer = all:sub(count + 1)
  return all:sub(1, count)
end

-- As a cosocket's: "*l" and a number of bytes, which is all that lua-resty-http asks for here.
function Socket:receive(pattern)
  if self.fault then -- lua-resty-http goes on reading after some failures
    return nil, self.fault.message
  elseif pattern == "*l" then
    return receive_line(self)
  elseif type(pattern) == "number" and pattern >= 0 and pattern % 1 == 0 then
    return receive_count(self, pattern)
  end
  return fail(self, "protocol", "a length that is none")
end

--- All that comes until the other side closes, which is how it says that this was all.
---@param most integer  bytes
function Socket:receive_rest(most)
  local parts, size = { self.buffer }, #self.buffer
  self.buffer = ""
  while size <= most do
    local piece, message = fill(self)
    if not piece then
      return message == "closed" and table.concat(parts) or nil
    end
    parts[#parts + 1] = piece
    size = size + #piece
  end
  return fail(self, "too_large", "the answer is larger than allowed")
end

-- Ending ---------------------------------------------------------------------------------------

--- Keeps the connection for others, unless something is left to be read of it.
function Socket:setkeepalive(milliseconds, size)
  if self.buffer ~= "" or self.fault then
    return self:close()
  end
  local ok, message = self.raw:setkeepalive(milliseconds, size)
  if not ok then
    self:close()
  end
  return ok, message
end

function Socket:close()
  return self.raw:close()
end

return cosocket
