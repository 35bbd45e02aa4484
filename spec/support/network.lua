--- A faulty network between clients and an emulator: spec/support/network_server.lua as a child.
--
--    local net = network.start(emulator.address)
--    local link = net:open { tls = true, patience = 0.4 }
--    local ks = keysecure.new { address = link.address, ca_file = net.ca_file, … }
--    link:arm { fault = "done, closed", marks = { ["T-1"] = 1 } }
--    ks.accounts:transfer { transfer_unique_no = "T-1", … }
--    link:calm().notes["T-1"].executed           --> how often the platform did it
local cjson = require "cjson"
local socket = require "cqueues.socket"
local child = require "spec.support.child"

local network = {}

local TIMEOUT = 60 -- seconds for a command: `calm` waits for what is under way

local Network = {}
Network.__index = Network

local function tell(self, command)
  self.con:write(cjson.encode(command) .. "\n")
  self.con:flush()
  local line, reason = self.con:read "*l"
  assert(line, "the network does not answer: " .. tostring(reason))
  return cjson.decode(line)
end

--- Starts a network in front of an emulator that speaks plain HTTP.
---@param address string  the emulator's
function network.start(address)
  local server = child.start "spec/support/network_server.lua"
  local self = setmetatable({ server = server, ca_file = server.directory .. "/ca.pem",
    con = socket.connect("127.0.0.1", server.control) }, Network)
  self.con:setmode("b", "bl")
  self.con:settimeout(TIMEOUT)
  self.con:onerror(function(_, _, code)
    return code
  end)
  local host, port = address:match "^http://([%d%.]+):(%d+)$"
  tell(self, { command = "upstream", host = host, port = port })
  return self
end

function Network:stop()
  self.con:close()
  self.server:stop()
end

local Link = {}
Link.__index = Link

--- A link of one client's own. `tls`; `patience`: seconds that the client gives a call; `oversize`:
--- bytes that are too many for an answer.
function Network:open(options)
  local opened = tell(self, { command = "open", tls = options.tls or false,
    patience = options.patience or 1, oversize = options.oversize or 9 * 1024 * 1024 })
  return setmetatable({ network = self, number = opened.link,
    address = ("%s://127.0.0.1:%d"):format(options.tls and "https" or "http", opened.port) }, Link)
end

--- From now on `fault` strikes the requests that have one of the marks in them, each at the attempt
--- that `marks` says (0: none); earlier attempts are refused with 1009, later ones pass. A fault of
--- the gate strikes everybody, before the first attempt, or before the second one where some mark
--- says 2.
--- `paths` says by mark to which path alone a request must go: looking a row up is no attempt.
---@param plan { fault: string, marks: table<string, integer>, paths?: table<string, string> }
function Link:arm(plan)
  tell(self.network, { command = "arm", link = self.number, fault = plan.fault,
    marks = plan.marks, paths = plan.paths or {} })
end

--- Ends the fault, waits until nothing is under way, and tells by mark what came: `requests`,
--- `struck`, `forwarded`, `executed` (answered with code 0) and whether the request that was struck
--- came over a `reused` connection; beside it how many connections were `struck`.
---@return { notes: table<string, table>, struck: integer }
function Link:calm()
  return tell(self.network, { command = "calm", link = self.number })
end

function Link:close()
  tell(self.network, { command = "close", link = self.number })
end

return network
