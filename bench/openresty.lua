--- Calls from inside one nginx worker to a platform that takes 200 ms, and what an unrelated
--- location of that worker notices of them.
local cqueues = require "cqueues"
local nginx = require "spec.support.nginx"

local CALLS, IN_FLIGHT, BLOCKING_CALLS, ROUNDS = 1000, 200, 10, 3
local PING_EVERY = 0.002 -- seconds

local UPSTREAM = [[
  location = /open-api/v1/merchant/token {
    return 200 '{"code":0,"msg":"","data":{"access_token":"t","expired_time":4102444800000}}';
  }
  location / {
    content_by_lua_block {
      ngx.sleep(0.2)
      ngx.print('{"code":0,"msg":"Success","data":{"card_no":"C1","card_unique_no":"U1",'
        .. '"cardholder_no":"H1","card_name":"Everyday","card_type":"Virtual",'
        .. '"organization":"VISA","card_last_no":"1111","status":"Activated",'
        .. '"time":1763880000123}}')
    }
  }
]]

-- Makes the calls and returns what each took, in milliseconds, in order of length.
local CALL = [[
  local core, keysecure = require "keysecure.core", require "keysecure"
  local address, transport, host, calls, in_flight = ...
  local client = package.loaded["bench.client"] or {}
  package.loaded["bench.client"] = client
  client[host .. transport] = client[host .. transport] or assert(keysecure.new {
    address = address, api_key = "bench", api_secret = "0123456789abcdef", timeout = 60,
    transport = transport, host = host })
  local ks, times, numbers = client[host .. transport], {}, {}
  for i = 1, calls do
    numbers[i] = i
  end
  local _, failures = ks:parallel(in_flight, numbers, function(_, i)
    if i <= in_flight and in_flight > 1 then
      ks:sleep(i / in_flight * 0.2) -- so that they don't all end in the same moment
    end
    local from = core.monotonic()
    assert(ks.cards:detail { card_no = "C1" })
    times[i] = core.monotonic() - from
  end)
  assert(not failures, tostring(failures and select(2, next(failures))))
  table.sort(times)
  return times
]]

local function percentile(sorted, share)
  return sorted[math.max(1, math.ceil(#sorted * share))]
end

-- Seconds of CPU that a process has used.
local function cpu(pid)
  local file = assert(io.open("/proc/" .. pid .. "/stat"))
  local rest = file:read "*a":match "^.*%) (.*)$"
  file:close()
  local fields = {}
  for field in rest:gmatch "%S+" do
    fields[#fields + 1] = tonumber(field) or 0
  end
  return (fields[12] + fields[13]) / 100
end

-- Asks a location that has nothing to do with the calls, until `over()`; milliseconds, sorted.
local function ping(server, over)
  local socket = require "cqueues.socket".connect { host = "127.0.0.1", port = server.port }
  socket:setmode("b", "bf")
  local times = {}
  repeat
    local from = cqueues.monotime()
    assert(socket:write "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n" and socket:flush())
    repeat
      local line = assert(socket:read "*l")
    until line == "\r" or line == ""
    assert(socket:read(4))
    times[#times + 1] = (cqueues.monotime() - from) * 1000
    cqueues.sleep(PING_EVERY)
  until over()
  socket:close()
  table.sort(times)
  return times
end

local function measure(server, address, way)
  local loop, times, pings = cqueues.new(), nil, nil
  local worker = server:workers()[1]
  local used, from = cpu(worker), cqueues.monotime()
  local took
  loop:wrap(function()
    times = server:run(CALL, address, way.transport, way.host, way.calls, way.in_flight)
    took = cqueues.monotime() - from
  end)
  loop:wrap(function()
    pings = ping(server, function()
      return times ~= nil
    end)
  end)
  assert(loop:loop())
  return { calls = way.calls, seconds = took, cpu = cpu(worker) - used,
    p50 = percentile(times, 0.5), p99 = percentile(times, 0.99),
    ping_p50 = percentile(pings, 0.5), ping_p99 = percentile(pings, 0.99),
    ping_most = pings[#pings] }
end

local function ways()
  local list = {
    { name = "the pump of libcurl", transport = "curl", host = "openresty", calls = CALLS,
      in_flight = IN_FLIGHT },
    { name = "libcurl, blocking", transport = "curl", host = "script", calls = BLOCKING_CALLS,
      in_flight = 1 },
  }
  if nginx.resty_http() then
    table.insert(list, 1,
      { name = "cosockets", transport = "resty", host = "openresty", calls = CALLS,
        in_flight = IN_FLIGHT })
  else
    print "cosockets: left out, for there is no lua-resty-http (RESTY_HTTP)"
  end
  return list
end

local FORMAT = "  %-20s %6d calls %7.2f s %6.2f s CPU   call p50 %6.0f p99 %6.0f ms   "
  .. "ping p50 %6.2f p99 %7.2f most %7.2f ms"

return function()
  local upstream = nginx.start { server = UPSTREAM, http = "access_log off;" }
  local server = nginx.start { server = "location = /ping { return 200 'pong'; }" }
  local results = {}
  local ok, fault = pcall(function()
    print(string.format("\n%d calls, %d in flight, from one nginx worker to a server that takes "
      .. "200 ms", CALLS, IN_FLIGHT))
    local list = ways()
    for round = 0, ROUNDS do
      for _, way in ipairs(list) do
        local result = measure(server, upstream.address, way)
        if round > 0 then -- the first one connects
          results[way.name] = results[way.name] or {}
          table.insert(results[way.name], result)
          print(FORMAT:format(way.name, result.calls, result.seconds, result.cpu, result.p50,
            result.p99, result.ping_p50, result.ping_p99, result.ping_most))
        end
      end
    end
  end)
  server:stop()
  upstream:stop()
  assert(ok, fault)
  return { openresty = results }
end
