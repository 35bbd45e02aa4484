--- The same call written by hand on lua-http: fixed headers, no token, no checks, cjson.
--
--   lua bench/rival_lua_http.lua URL CALLS IN_FLIGHT
local cjson = require "cjson"
local core = require "keysecure.core" -- for its clock alone
local cqueues = require "cqueues"
local http_client = require "http.client"
local http_headers = require "http.headers"

local url, calls, in_flight = arg[1], tonumber(arg[2]), tonumber(arg[3])
local host, port, path = url:match("^http://([^:/]+):(%d+)(.*)$")

local headers = http_headers.new()
headers:append(":method", "GET")
headers:append(":scheme", "http")
headers:append(":authority", host .. ":" .. port)
headers:append(":path", path)
headers:append("api-key", "bench")
headers:append("access-token", "token-of-the-benchmark")
headers:append("timestamp", "1700000000000")
headers:append("content-type", "application/json")

local loop, taken = cqueues.new(), 0
for _ = 1, in_flight do
  loop:wrap(function()
    local connection = assert(http_client.connect { host = host, port = tonumber(port) })
    while taken < calls do
      taken = taken + 1
      local stream = connection:new_stream()
      assert(stream:write_headers(headers, true))
      assert(stream:get_headers())
      local body = assert(stream:get_body_as_string())
      assert(cjson.decode(body).data.status == "Activated")
    end
    connection:close()
  end)
end

local from = core.monotonic()
assert(loop:loop())
local seconds = (core.monotonic() - from) / 1000
print(string.format('{"calls": %d, "seconds": %.3f, "per_second": %.0f}', calls, seconds,
  calls / seconds))
