--- Drives a core call without sockets and without sleeping: time is an argument.
local core = require "keysecure.core"

local calls = {}

local WALL = 1790000000000 -- some moment, Unix ms

--- A world with one client: `now` moves by hand, the server's clock is `skew` ms ahead of ours.
function calls.world(options)
  options = options or {}
  local budget = options.budget or core.budget(options.seed or 7)
  return {
    client = core.client {
      address = options.address or "https://host/open-api/v1",
      api_key = options.api_key or "key-1", budget = budget,
      language = options.language, secret = options.secret,
    },
    budget = budget,
    monotonic = options.monotonic or 1000,
    skew = options.skew or 0,
  }
end

function calls.now(world)
  return world.monotonic, WALL + world.monotonic
end

--- The server's time, Unix ms.
function calls.server_time(world)
  return WALL + world.monotonic + world.skew
end

--- The Date header that the server would send now.
function calls.date(world)
  return os.date("!%a, %d %b %Y %H:%M:%S GMT", math.floor(calls.server_time(world) / 1000))
end

function calls.begin(world, changes)
  changes = changes or {}
  local monotonic, wall = calls.now(world)
  return world.client:call(changes.method or "POST", changes.path or "/card/apply",
    changes.body or "{}", changes.auth or "token", changes.write or false,
    changes.timeout or 30000, monotonic, wall, changes.timezone, changes.header,
    changes.header_value, changes.settles)
end

function calls.next(world, call)
  return call:next(calls.now(world))
end

--- Answers with a body; the Date header is the server's.
function calls.answer(world, call, body, changes)
  changes = changes or {}
  local monotonic, wall = calls.now(world)
  return call:answered(monotonic, wall, changes.status or 200, body,
    changes.date ~= false and calls.date(world) or nil, changes.retry_after)
end

function calls.fail(world, call, reason, reached, message)
  local monotonic, wall = calls.now(world)
  return call:failed(monotonic, wall, reason, reached, message)
end

function calls.token_body(world, token, lifetime)
  return string.format(
    '{"code":0,"msg":"Success","data":{"access_token":"%s","expired_time":%.0f}}',
    token, calls.server_time(world) + (lifetime or 86400000))
end

function calls.refusal(code, msg)
  return string.format('{"code":%d,"msg":"%s"}', code, msg or "no")
end

--- A call whose token is at hand: its first request is the operation's.
function calls.ready(world, changes)
  local call = calls.begin(world, changes)
  local action, request = calls.next(world, call)
  if request.url:find("/merchant/token", 1, true) then
    action, request = calls.answer(world, call, calls.token_body(world, "token-1"))
  end
  return call, action, request
end

return calls
