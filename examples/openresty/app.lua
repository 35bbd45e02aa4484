--- Issues a card for each request and shows it masked.
--
--     curl -d '{"person": "U-1001", "share_token": "…"}' http://127.0.0.1:8080/cards
--     {"card_no":"C2026…","status":"Activated","card":"411111******1111 12\/2029"}
local cjson = require "cjson.safe"
local keysecure = require "keysecure"
local shdict = require "keysecure.token_store.shdict"

local app = {}

-- Fails here, at the start of nginx, where an option is missing.
local ks = assert(keysecure.from_env {
  transport = os.getenv "KEYSECURE_TRANSPORT" or "resty", -- "curl" without lua-resty-http
  host = "openresty",
  token_store = shdict.new "keysecure_tokens",
  mode = os.getenv "KEYSECURE_MODE" or "credit",
})

local function reply(status, answer)
  ngx.status = status
  ngx.say(cjson.encode(answer))
end

-- Reads as in a script; each line that waits lets the worker answer others. Raises errors of the
-- library, which are objects.
local function issue(person, share_token)
  local holder = assert(ks.cardholders:apply {
    cardholder_unique_no = person, sumsub_share_token = share_token,
  })
  assert(holder:wait("Approved", { timeout = 20 }))
  local package = assert(ks.cards:packages { type = "Virtual" })[1]
  local card = assert(holder:apply_card {
    package_no = package.package_no, card_type = "Virtual", card_unique_no = person .. "-card",
  })
  assert(card:wait("Activated", { timeout = 20 }))
  return card, assert(card:private_info())
end

-- What became of it on the platform is what matters to whoever asked.
local STATUS = { not_sent = 503, refused = 422, unknown = 504 }

function app.issue()
  ngx.req.read_body()
  local asked = cjson.decode(ngx.req.get_body_data() or "")
  if type(asked) ~= "table" or type(asked.person) ~= "string"
    or type(asked.share_token) ~= "string" then
    return reply(400, { error = "a JSON object with person and share_token expected" })
  end
  local ok, card, private = pcall(issue, asked.person, asked.share_token)
  if ok then
    return reply(201, { card_no = card.card_no, status = card.status, card = tostring(private) })
  elseif not keysecure.is_error(card) then
    error(card, 0)
  end
  ngx.log(ngx.WARN, tostring(card)) -- one line, without secrets
  return reply(card.kind == "invalid" and 400 or STATUS[card.outcome],
    { error = card.message, outcome = card.outcome })
end

--- Whether calls get through, and by which way: for you, not for the world.
function app.health()
  local _, err = ks.cards:packages(nil, { timeout = 3 })
  reply(err and 503 or 200, { ok = not err, error = err and tostring(err) or nil,
    transport = ks.options.transport })
end

return app
