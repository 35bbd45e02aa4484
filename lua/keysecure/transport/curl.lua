--- The transport over libcurl, and the contract that every transport keeps.
--
-- A transport is a table with one method, `perform(request)`, which carries one request over HTTP
-- and returns what came of it. A transport of your own is given as the option `transport`. It
--
-- * sends the method, URL, headers and body as they are, and sends them **at most once**: no retry
--   of its own, hidden or not, and no redirect followed. The caller decides what may be repeated;
-- * verifies TLS, and never puts headers or body into a message;
-- * gives up after `timeout` seconds, whatever it is waiting for;
-- * may yield, where its host lets it; it never raises over what a server or network does;
-- * returns an answer for any HTTP status, 500 included, and a failure only where there is none.
--
-- A failure says how far the request got, and says no less than is possible. `reached` up to and
-- including "secured" is a promise that the server can't have seen any of the request; with it a
-- write may be sent again. Whoever can't tell leaves `reached` out, which counts as "sending".
--
---@class keysecure.Transport
---@field perform fun(self, request: keysecure.Request): keysecure.Answer|nil, keysecure.Failure|nil
---@field carry? fun(self, call: userdata): …  internal, of the transport over libcurl
---@field close? fun(self)  ends what is under way as "cancelled"; called when the client is closed

---@class keysecure.Request
---@field method string
---@field url string                     absolute, encoded
---@field headers table<string, string>  by name
---@field body? string
---@field timeout number                 seconds, total

---@class keysecure.Answer
---@field status integer
---@field headers table<string, string>  by name in lower case: date, retry-after, content-type
---@field body string

---@class keysecure.Failure
---@field reason keysecure.Reason
---@field reached? keysecure.Reached
---@field message string  one line for people, without secrets

---@alias keysecure.Reason
---| "invalid"    # the request itself can't be sent
---| "timeout"    # its time passed, at whatever stage
---| "resolve"    # the name
---| "connect"    # the connection, or a socket for it
---| "tls"        # the handshake, the certificate, the pinned key
---| "proxy"      # the proxy can't be found or refuses
---| "send"       # the connection broke while writing
---| "receive"    # it broke, or was closed, before the answer was complete
---| "too_large"  # the answer is larger than allowed
---| "protocol"   # the answer is not HTTP
---| "cancelled"  # by cancel or close
---| "closed"     # the transport was closed before
---| "memory"     # or descriptors

---@alias keysecure.Reached
---| "nothing"
---| "resolved"   # the name is known
---| "connected"  # TCP
---| "secured"    # TLS; still no byte of the request was written
---| "sending"    # some of the request may have been written
---| "sent"       # all of it may have been written
---| "answering"  # the answer had begun

local curl = require "keysecure.curl"

---@class keysecure.CurlTransport: keysecure.Transport
local Transport = {}
Transport.__index = Transport

local transport = {}

-- The engine counts in whole milliseconds; a limit is rounded so that some of it is left.
local function milliseconds(seconds)
  return math.ceil(seconds * 1000)
end

--- Makes a transport. No connection is made, and nothing of libcurl started, before the first call.
---@param options table  of `keysecure.new`: ca_file, pinned_key, proxy, connect_timeout (seconds),
---  max_response (bytes), http2; and user_agent, max_connections (256)
---@param host table  `host:attach(engine)` is told once whose results it hands out;
---  `host:await(id)` waits in its way until transfer `id` has finished and returns what
---  `engine:next()` gave for it, without the id
---@return keysecure.CurlTransport
function transport.new(options, host)
  local self = setmetatable({
    host = host,
    engine = curl.new {
      ca_file = options.ca_file,
      pinned_key = options.pinned_key,
      proxy = options.proxy,
      connect_timeout_ms = options.connect_timeout and milliseconds(options.connect_timeout),
      max_response = options.max_response,
      max_connections = options.max_connections,
      http2 = options.http2,
      user_agent = options.user_agent,
    },
  }, Transport)
  host:attach(self.engine)
  return self
end

-- From the values of `engine:next()` to the tables of the contract.
local function outcome(status, body, date, retry_after, content_type)
  if status then
    return {
      status = status, body = body,
      headers = { date = date, ["retry-after"] = retry_after, ["content-type"] = content_type },
    }
  end
  return nil, { reason = body, reached = date, message = retry_after }
end

--- As `perform`, for a call of keysecure.core, without tables in between: returns the status, body
-- and the two headers, or nil, reason, reached and message.
function Transport:carry(call)
  local id, reason, message = self.engine:carry(call)
  if not id then
    return nil, reason, "nothing", message
  end
  return self.host:await(id)
end

function Transport:perform(request)
  local limit = milliseconds(request.timeout)
  if limit < 1 then
    return nil, { reason = "timeout", reached = "nothing", message = "no time was left to send it" }
  end
  local id, reason, message =
    self.engine:start(request.method, request.url, request.headers, request.body, limit)
  if not id then
    return nil, { reason = reason, reached = "nothing", message = message }
  end
  return outcome(self.host:await(id))
end

function Transport:close()
  self.engine:close()
end

return transport
