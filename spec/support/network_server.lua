--- The faulty network: stands between clients and an emulator and does to their exchanges what it
--- is told. Run as a child by spec/support/network.lua, which says what the commands are.
--
-- Each client has a link, a port of its own. Requests pass through a link unharmed until it is
-- armed with a fault (spec/support/network_faults.lua); a request is known by a mark, a text that
-- is in no other, so that each of many at once can be struck at its own attempt.
local cqueues = require "cqueues"
local condition = require "cqueues.condition"
local socket = require "cqueues.socket"
local cjson = require "cjson"
local certificates = require "spec.support.certificates"
local exchange = require "spec.support.network_exchange"
local faults = require "spec.support.network_faults"

local LIFE = 900 -- seconds; whoever started it is gone by then
local MOMENT = 0.15 -- seconds that a fault of the gate stands which isn't there for good
local GATHER = 2 -- seconds to wait for the first attempts of all requests of a link
-- Below the ports that systems give out by themselves: one that is closed for a moment stays free.
local FIRST_PORT, LAST_PORT = 20000, 32000

local loop = cqueues.new()
local upstream = {}
local contexts = {}
local links = {}

-- Links -------------------------------------------------------------------------------------------

local Link = {}
Link.__index = Link

local function listen_on(port)
  local listener = socket.listen { host = "127.0.0.1", port = port, reuseaddr = true }
  listener:onerror(exchange.quiet)
  return listener:listen() and listener
end

function Link:open()
  local listener
  for _ = 1, self.port and 1 or 100 do
    local port = self.port or math.random(FIRST_PORT, LAST_PORT)
    listener = listen_on(port)
    if listener then
      self.port = port
      break
    end
  end
  self.listener = assert(listener, "no port to listen on")
  loop:wrap(function()
    self:take_up(listener)
  end)
end

function Link:shut()
  self.listener:close()
  self.listener = nil
  self.changed:signal()
end

-- Takes connections up, as long as this listener is the link's and nothing speaks against it.
function Link:take_up(listener)
  while self.listener == listener do
    if self.gate and self.gate.unheard then
      self.changed:wait()
    else
      cqueues.poll({ pollfd = listener:pollfd(), events = "r" }, self.changed)
      if self.listener == listener and not (self.gate and self.gate.unheard) then
        local con = listener:accept(0)
        if con then
          loop:wrap(function() self:serve(con) end)
        end
      end
    end
  end
end

-- Every request that comes over the link and every delivery that is still to come counts as busy.
function Link:work(fn, ...)
  self.busy = self.busy + 1
  fn(...)
  self.busy = self.busy - 1
  self.changed:signal()
end

-- Calls `fn(self, …)` after a while.
function Link:later(seconds, fn, ...)
  self.busy = self.busy + 1
  loop:wrap(function(...)
    cqueues.sleep(seconds)
    fn(self, ...)
    self.busy = self.busy - 1
    self.changed:signal()
  end, ...)
end

-- Requests ----------------------------------------------------------------------------------------

local function read_request(con)
  local lines, length = {}, 0
  local line = con:read "*L"
  while line and line ~= "\r\n" do
    lines[#lines + 1] = line
    length = tonumber(line:lower():match "^content%-length:%s*(%d+)") or length
    line = con:read "*L"
  end
  local body = line and (length == 0 and "" or con:read(length))
  return body and table.concat(lines) .. "\r\n" .. body
end

function Link:note_of(raw)
  for mark, note in pairs(self.notes) do
    if raw:find(mark, 1, true) and raw:find(note.path, 1, true) then
      return note
    end
  end
end

local function pass(one)
  local head, body = one:forward()
  one:write(head .. body)
  return true
end

-- The refusal that goes before a fault at a second attempt. It ends the connection, so that the
-- second attempt has to make one of its own.
local function refuse_first(one)
  one:answer("200 OK", '{"code":1009,"msg":"too frequent","data":null}', "Connection: close\r\n")
  return false
end

-- Before a gate is shut between first and second attempts, all the first ones must have come.
function Link:gather()
  self.gathered = self.gathered + 1
  self.changed:signal()
  local deadline = cqueues.monotime() + GATHER
  while self.gathered < self.expected and cqueues.monotime() < deadline do
    self.changed:wait(deadline - cqueues.monotime())
  end
  if self.plan and not self.gate then
    self:close_gate()
  end
end

local function strike(link, one)
  one.note.struck = one.note.struck + 1
  return link.plan.fault.act(one)
end

function Link:handle(one, number)
  local note, plan = one.note, self.plan
  if not note or not plan then
    return pass(one)
  end
  note.requests = note.requests + 1
  if note.requests < note.attempt then
    if plan.fault.gate then
      self:gather()
    end
    return refuse_first(one)
  elseif plan.fault.gate or note.requests > note.attempt then
    return pass(one)
  end
  note.reused = number > 1
  return strike(self, one)
end

function Link:converse(state)
  local con, number, keep = state.con, 0, true
  while keep do
    local raw = read_request(con)
    if not raw or state.finished then
      break
    end
    number = number + 1
    state.active = true
    local one = exchange.new(self, con, raw, self:note_of(raw))
    self:work(function()
      keep = self:handle(one, number)
    end)
    state.active = false
  end
end

-- Connections -------------------------------------------------------------------------------------

function Link:secure(con)
  local gate = self.gate
  return not self.tls or con:starttls(contexts[gate and gate.certificate or "good"], 10)
end

function Link:welcome(state)
  local gate, con = self.gate, state.con
  local greeting = gate and gate.greet
  if gate then
    self.struck = self.struck + 1
  end
  if not greeting and not self:secure(con) then
    return
  end
  greeting = greeting or (gate and gate.secured)
  if greeting then
    self:work(greeting, exchange.new(self, con))
  else
    self:converse(state)
  end
end

function Link:serve(con)
  local state = { con = con }
  con:onerror(exchange.quiet)
  con:setmode("b", "bn")
  self.states[state] = true
  self:welcome(state)
  self.states[state] = nil
  con:close()
end

-- Kept connections end, so that whoever comes next must come through the gate.
function Link:end_idle()
  for state in pairs(self.states) do
    if not state.active then
      state.finished = true
      state.con:shutdown "w"
    end
  end
end

-- The gate ----------------------------------------------------------------------------------------

function Link:close_gate()
  local gate = self.plan.fault
  self.gate = gate
  self:end_idle()
  if gate.shut then
    self.struck = self.struck + 1
    self:shut()
  end
  if not gate.for_good then
    self:later(MOMENT, function()
      if self.gate == gate then
        self:open_gate()
      end
    end)
  end
end

-- Those who were never taken up have long gone. What they sent is lost with them, or is read now.
function Link:drain(late)
  local con = self.listener:accept(0)
  while con do
    self.struck = self.struck + 1
    if late then
      self:later(0, self.serve, con)
    else
      con:close()
    end
    con = self.listener:accept(0)
  end
end

function Link:open_gate()
  local gate = self.gate
  self.gate = nil
  if not self.listener then
    self:open()
  end
  if gate and gate.unheard then
    self:drain(gate.reaches == "late")
  end
  self.changed:signal()
end

-- Commands ----------------------------------------------------------------------------------------

local commands = {}

function commands.upstream(given)
  upstream.host, upstream.port = given.host, given.port
  return {}
end

function commands.open(given)
  local link = setmetatable({ upstream = upstream, tls = given.tls, patience = given.patience,
    oversize = given.oversize, notes = {}, states = {}, busy = 0, struck = 0,
    changed = condition.new() }, Link)
  link:open()
  links[#links + 1] = link
  return { link = #links, port = link.port }
end

function commands.arm(given)
  local link = links[given.link]
  local fault = assert(faults.by_name[given.fault], "no such fault")
  local first = true
  link.plan, link.notes, link.gathered, link.expected, link.struck = { fault = fault }, {}, 0, 0, 0
  for mark, attempt in pairs(given.marks) do
    link.notes[mark] = { attempt = attempt, requests = 0, struck = 0, forwarded = 0, executed = 0,
      reused = false, path = given.paths[mark] or "/" }
    link.expected = link.expected + 1
    first = first and attempt < 2
  end
  if fault.gate and first then
    link:close_gate()
  end
  return {}
end

-- From here on everything passes; answers once nothing is under way any more.
function commands.calm(given)
  local link = links[given.link]
  link.plan = nil
  link:open_gate()
  while link.busy > 0 do
    link.changed:wait()
  end
  return { notes = link.notes, struck = link.struck }
end

function commands.close(given)
  local link = links[given.link]
  links[given.link] = false
  link.gate = nil
  if link.listener then
    link:shut()
  end
  link:end_idle()
  return {}
end

local function obey(con)
  con:setmode("b", "bl")
  con:onerror(exchange.quiet)
  local line = con:read "*l"
  while line do
    local given = cjson.decode(line)
    con:write(cjson.encode(commands[given.command](given)) .. "\n")
    con:flush()
    line = con:read "*l"
  end
  os.exit(0)
end

-- Starting ----------------------------------------------------------------------------------------

local function make_contexts(directory)
  local key = certificates.key()
  local authority = certificates.authority "authority of the network"
  local stranger = certificates.authority "authority that nobody knows"
  local function context(...)
    return certificates.context(certificates.server(...), key, "http/1.1")
  end
  contexts.good = context(authority, key)
  contexts.expired = context(authority, key, { expired = true })
  contexts.other = context(authority, key, { named = "elsewhere.example" })
  contexts.unknown = context(stranger, key)
  certificates.write(authority.certificate, directory .. "/ca.pem")
end

local function main(directory)
  math.randomseed(os.time() + tonumber(tostring({}):match "0x(%x+)":sub(-6), 16))
  make_contexts(directory)
  local control = assert(socket.listen { host = "127.0.0.1", port = 0 })
  assert(control:listen())
  local _, _, port = control:localname()
  print(("control=%d"):format(port))
  io.stdout:flush()
  loop:wrap(function()
    obey(control:accept())
  end)
  loop:wrap(function()
    cqueues.sleep(LIFE)
    os.exit(1)
  end)
  assert(loop:loop())
end

main(assert(arg[1], "usage: network_server.lua DIRECTORY"))
