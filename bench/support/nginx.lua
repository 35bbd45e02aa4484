--- A local nginx that answers like the platform, for as long as a benchmark takes.
local nginx = {}

local CARD = '{"code":0,"msg":"Success","data":{"card_no":"C202605220001","card_unique_no":'
  .. '"C-1001","cardholder_no":"U202605220001","card_name":"Everyday","card_type":"Virtual",'
  .. '"organization":"VISA","card_last_no":"1111","status":"Activated","time":1763880000123}}'
local TOKEN = '{"code":0,"msg":"Success","data":{"access_token":"token-of-the-benchmark",'
  .. '"expired_time":4102444800000}}'

local CONFIG = [[
daemon on;
worker_processes 1;
pid @dir@/nginx.pid;
error_log @dir@/error.log;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 100000000;
  keepalive_timeout 600s;
  client_body_temp_path @dir@/body; proxy_temp_path @dir@/proxy;
  fastcgi_temp_path @dir@/fastcgi; uwsgi_temp_path @dir@/uwsgi; scgi_temp_path @dir@/scgi;
  server {
    listen 127.0.0.1:@port@ backlog=4096;
    default_type application/json;
    location = /open-api/v1/merchant/token { return 200 '@token@'; }
    location / { return 200 '@card@'; }
  }
}
]]

local function line_of(command)
  local pipe = assert(io.popen(command))
  local line = pipe:read("*l")
  pipe:close()
  return line
end

--- Starts it on a free port; `address` says where, `stop` ends it.
---@return {address: string, stop: fun()}
function nginx.start()
  local dir = line_of "mktemp -d"
  math.randomseed(os.time())
  for _ = 1, 20 do
    local port = math.random(20000, 60000)
    local file = assert(io.open(dir .. "/nginx.conf", "w"))
    file:write((CONFIG:gsub("@(%l+)@", { dir = dir, port = port, token = TOKEN, card = CARD })))
    file:close()
    local command = "nginx -p " .. dir .. " -c " .. dir .. "/nginx.conf"
    if line_of(command .. " >/dev/null 2>&1; echo $?") == "0" then
      return {
        address = "http://127.0.0.1:" .. port,
        stop = function()
          os.execute(command .. " -s quit 2>/dev/null; rm -rf " .. dir)
        end,
      }
    end
  end
  error("nginx does not start: see " .. dir .. "/error.log")
end

return nginx
