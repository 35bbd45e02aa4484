--- A name server, run as a child: every name has the address 127.0.0.1, but for those below
--- `missing`, which don't exist, and below `silent`, about which it says nothing. nginx's own
--- look-up asks name servers alone, not /etc/hosts.
local socket = require "socket"

local LIFE = 300 -- seconds; whoever started it is gone by then
local A, IN, NXDOMAIN = 1, 1, 3

-- The name asked for, and where the question ends.
local function question_of(packet)
  local labels, at = {}, 13
  local length = packet:byte(at)
  while length and length > 0 do
    labels[#labels + 1] = packet:sub(at + 1, at + length)
    at = at + length + 1
    length = packet:byte(at)
  end
  return table.concat(labels, "."), packet:byte(at + 2), at + 4
end

local function answer(packet)
  local name, kind, stop = question_of(packet)
  if name:find "silent$" then
    return nil
  end
  local missing = name:find "missing$" ~= nil
  local known = not missing and kind == A
  local head = packet:sub(1, 2) .. string.char(0x81, 0x80 + (missing and NXDOMAIN or 0), 0, 1, 0,
    known and 1 or 0, 0, 0, 0, 0)
  local record = string.char(0xC0, 12, 0, A, 0, IN, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1)
  return head .. packet:sub(13, stop) .. (known and record or "")
end

local listener = assert(socket.udp())
assert(listener:setsockname("127.0.0.1", 0))
local _, port = listener:getsockname()
print("port=" .. port)
io.stdout:flush()
listener:settimeout(1)
local born = os.time()
while os.time() < born + LIFE do
  local packet, host, from = listener:receivefrom()
  local said = packet and #packet > 16 and answer(packet)
  if said then
    listener:sendto(said, host, from)
  end
end
