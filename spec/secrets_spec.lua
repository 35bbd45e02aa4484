-- No secret in any string that the library produces. Every operation is driven to success and into
-- every refusal with marked secrets, against the emulator and against servers and transports that
-- repeat whatever they were sent; then errors, tostring, rows, events, messages of misuse and the
-- emulator's log are searched.
local api = require "keysecure.api"
local cjson = require "cjson"
local keysecure = require "keysecure"
local support = require "spec.support.client"

local API_KEY = "marked-api-key-5f0c"
local API_SECRET = "marked-api-secret-of-32-bytes-!!"
local SHARE_TOKEN = "marked_share_token_77"
local PIN = "862947"

-- Searching -------------------------------------------------------------------------------------

local secrets, found

local function is_in(text, secret)
  if #secret > 6 then
    return text:find(secret, 1, true) ~= nil
  end
  return text:find("%f[%d]" .. secret .. "%f[%D]") ~= nil -- CVV and PIN
end

local function search(text, where)
  for label, secret in pairs(secrets) do
    if is_in(text, secret) then
      found[#found + 1] = where .. " shows " .. label .. ": " .. text
    end
  end
end

-- Searches a value and all that can be reached from it.
local function look(value, where, seen)
  seen = seen or {}
  if type(value) == "string" then
    return search(value, where)
  elseif type(value) == "number" or seen[value] then
    return
  end
  search(tostring(value):gsub("0x%x+", ""), where .. " as text")
  if type(value) == "table" then
    seen[value] = true
    for key, item in pairs(value) do
      look(key, where .. ", a key", seen)
      look(item, where .. "." .. tostring(key), seen)
    end
    local meta = getmetatable(value)
    if type(meta) == "table" then
      look(meta, where .. ", its metatable", seen)
    end
  end
end

local function look_at_error(err, where)
  assert.is_true(keysecure.is_error(err), where)
  look(err, where)
  local _, raised = pcall(assert, nil, err)
  look(raised, where .. ", asserted")
  search("failed: " .. tostring(err), where)
end

local function nothing_found()
  assert.same({}, found)
end

local function in_order(map)
  local list = {}
  for key in pairs(map) do
    list[#list + 1] = key
  end
  table.sort(list)
  return list
end

local CODES = in_order(api.codes)

-- The emulator ----------------------------------------------------------------------------------

describe("no secret", function()
  local world, ks, log, plastic

  -- A transport that notes the tokens on their way over the one of another client.
  local function watching(carrier)
    return setmetatable({ perform = function(_, request)
      secrets["access token"] = request.headers["Access-Token"] or secrets["access token"]
      local answer, failure = carrier:perform(request)
      local token = answer and answer.body:match '"client_access_token":"(%x+)"'
      secrets["client token"] = token or secrets["client token"]
      return answer, failure
    end }, { __tostring = function() return tostring(carrier) end })
  end

  setup(function()
    found = {}
    secrets = { ["Api-Key"] = API_KEY, apiSecret = API_SECRET, ["share token"] = SHARE_TOKEN,
      PIN = PIN }
    log = os.tmpname()
    world = support.start { log = log,
      merchants = { credit = { api_key = API_KEY, api_secret = API_SECRET } } }
    ks = world:client { transport = watching(world:client().transport),
      on_event = function(event) look(event, "event") end }
  end)
  teardown(function()
    world:stop()
    os.remove(log)
  end)
  before_each(function()
    found = {}
  end)

  -- A physical card whose CVV is like no number that may stand in a message for another reason.
  local function physical(holder)
    repeat
      local card = world:card("Physical", ks, holder)
      plastic = world:plastic(card)
      if plastic.cvv > "600" then
        secrets.PAN, secrets.CVV = plastic.pan, plastic.cvv
        return card
      end
    until false
  end

  it("in what succeeds", function()
    local holder = assert(ks.cardholders:apply {
      cardholder_unique_no = "h-1", sumsub_share_token = SHARE_TOKEN })
    assert(holder:refresh())
    local card = physical(holder)
    look(assert(card:activate { cvv = plastic.cvv, card_last_no = plastic.card_last_no }),
      "activated card")
    look(assert(card:set_pin(PIN)), "card with PIN")
    local window = support.window()
    local results = {
      token = assert(ks:call "merchant.token"), holder = holder, card = card,
      private = assert(card:private_info()), client_token = assert(card:client_token()),
      transfer = world:fund(holder), accounts = assert(holder:accounts()),
      holders = assert(ks.cardholders:list(window)), cards = assert(ks.cards:list(window)),
      transfers = assert(ks.accounts:transfers(window)), packages = assert(ks.cards:packages()),
      info = assert(ks.cardholders:info { cardholder_no = holder.cardholder_no }),
      detail = assert(ks.cards:detail { card_no = card.card_no }),
      auth = assert(ks.simulate:auth { card_no = card.card_no, amount = "9.00" }),
    }
    secrets["second access token"] = results.token.access_token
    results.opened = assert(ks.pci:card_detail { card_no = card.card_no,
      client_access_token = results.client_token.client_access_token })
    results.consumption = assert(ks.consumptions:info { consume_no = results.auth.consume_no })
    assert.equal(plastic.pan, results.opened.pan)
    for name, result in pairs(results) do
      look(result, name)
      local encoded, text = pcall(cjson.encode, result)
      search(text, name .. (encoded and " as JSON" or ", not encoded"))
    end
    assert.is_string(secrets["access token"])
    assert.is_string(secrets["client token"])
    nothing_found()
  end)

  it("in the client and whatever it holds", function()
    look(ks, "client")
    for _, value in ipairs { ks, ks.cards, ks.core, ks.cipher, ks.cipher.core, ks.transport,
      ks.transport.engine, ks.host, ks.rows.card } do
      search(tostring(value), "tostring")
    end
    nothing_found()
  end)

  -- Fields with marked values for all that is secret.
  local function marked(operation)
    local fields = support.least(operation)
    fields.sumsub_share_token = fields.sumsub_share_token and SHARE_TOKEN
    fields.client_access_token = fields.client_access_token and secrets["client token"]
    fields.cvv = fields.cvv and secrets.CVV
    fields.pin = fields.pin and PIN
    return fields
  end

  local function call_all(client, where, options)
    for _, name in ipairs(api.names) do
      local operation = api.operations[name]
      if operation.mode ~= "authorization" then
        local value, err = client:call(name, marked(operation), options)
        if err then
          look_at_error(err, name .. " " .. where)
        else
          look(value, name .. " " .. where)
        end
      end
    end
  end

  it("in any operation refused with any code", function()
    for _, code in ipairs(CODES) do
      -- The first that fits is taken: requests for a token go on as ever.
      world:control("POST", "faults",
        { operation = "merchant.token", delay = 0, times = "always" })
      world:fault("*", code, "always")
      call_all(ks, "with " .. code, { timeout = 0.05 })
      world:no_faults()
      world:fault("merchant.token", code, "always")
      look_at_error(select(2, ks:call("merchant.token", {}, { timeout = 0.05 })), "token")
      world:no_faults()
    end
    call_all(ks, "for unknown rows")
    nothing_found()
  end)

  it("in calls that get no answer", function()
    world:control("POST", "faults", { operation = "*", delay = 5, times = "always" })
    call_all(ks, "without an answer", { timeout = 0.02 })
    world:no_faults()
    local closed = world:client()
    closed:close()
    call_all(closed, "when closed")
    call_all(world:client { address = "http://127.0.0.1:1" }, "with nobody there",
      { timeout = 0.1 })
    nothing_found()
  end)

  it("in what is refused here", function()
    local WRONG = {
      { "cards.activate", { cvv = secrets.CVV .. "0" } }, { "cards.set_pin", { pin = "86294" } },
      { "cards.activate", { cvv = secrets.CVV, card_no = secrets.PAN .. "/" } },
      { "cards.set_pin", { pin = PIN, card_no = "a b" } },
      { "cardholders.apply", { sumsub_share_token = SHARE_TOKEN .. "\n" } },
      { "pci.card_detail", { client_access_token = secrets["client token"]:rep(20) } },
      { "cards.detail", { card_no = " " .. secrets["access token"] } },
      { "accounts.transfer", { balance = secrets.PAN .. "x" } },
    }
    for _, case in ipairs(WRONG) do
      local fields = marked(api.operations[case[1]])
      for name, value in pairs(case[2]) do
        fields[name] = value
      end
      local _, err = ks:call(case[1], fields)
      assert.equal("invalid", err.kind, case[1])
      look_at_error(err, case[1] .. " refused here")
    end
    for _, changes in ipairs { { api_secret = API_SECRET .. "x" }, { api_key = API_KEY .. " " },
      { api_secret = API_SECRET, secret_encoding = "hex" },
      { api_secret = API_SECRET, secret_encoding = "base64" } } do
      look_at_error(select(2, keysecure.new(world:options(changes))), "option")
    end
    nothing_found()
  end)

  it("in what is raised", function()
    local card = ks:card "C1"
    local private = assert(ks.cards:private_info {
      card_no = assert(ks.cards:list(support.window()))[1].card_no })
    local CASES = {
      function() ks.cards:set_pin(PIN) end, function() ks.cards.set_pin(PIN) end,
      function() ks.cards:set_pin { pin = tonumber(PIN), card_no = "C1",
        cardholder_no = "U1" } end,
      function() ks.cards:activate { cardholder_no = "U1", card_no = "C1",
        cvv = tonumber(secrets.CVV) } end,
      function() card.set_pin(PIN) end, function() card:activate(secrets.CVV) end,
      function() ks.cardholders:apply(SHARE_TOKEN) end,
      function() ks.cardholders:apply { share_token = SHARE_TOKEN } end,
      function() ks.pci:card_detail { card_no = secrets.PAN, token = secrets["client token"] } end,
      function() return private.pin end, function() private.cvv = secrets.CVV end,
      function() keysecure.new { api_key = API_KEY, secret = API_SECRET } end,
      function() keysecure.new { api_key = API_KEY, api_secret = { API_SECRET } } end,
      function() keysecure.new(API_SECRET) end,
      function() return private .. "" end, function() return #private + private end,
    }
    for i, case in ipairs(CASES) do
      local ok, message = xpcall(case, debug.traceback)
      assert.is_false(ok, i)
      look(message, "raised " .. i)
    end
    nothing_found()
  end)

  it("in the emulator's log", function()
    local text = ""
    for line in io.lines(log) do
      search(line:gsub("^%S+ ", ""):gsub(" %S+ ms$", " "), "log") -- times can be like a CVV
      text = text .. line .. "\n"
    end
    for _, name in ipairs(api.names) do
      assert.is_truthy(name == "cards.bins" or text:find(name, 1, true), name)
    end
    nothing_found()
  end)

  -- Servers that repeat what they hear ----------------------------------------------------------

  local function dump(request)
    local lines = { request.method .. " " .. request.url }
    for _, name in ipairs(in_order(request.headers)) do
      lines[#lines + 1] = name .. ": " .. request.headers[name]
    end
    return table.concat(lines, "\n") .. "\n\n" .. (request.body or "")
  end

  local function values(map)
    local list = {}
    for _, name in ipairs(in_order(map)) do
      list[#list + 1] = tostring(map[name])
    end
    return list
  end

  local PADS = { 200, 220, 232, 238, 239 }

  -- What a server may say about a request and its plaintext; `pads`: up to where the messages are
  -- cut, too.
  local function remarks(request, fields, pads)
    local list = { dump(request) }
    for _, map in ipairs { request.headers, fields } do
      for _, value in ipairs(values(map)) do
        list[#list + 1] = value .. " invalid parameter"
        list[#list + 1] = "not " .. value .. ", see " .. value .. "/" .. value
        for _, pad in ipairs(pads or {}) do
          list[#list + 1] = ("x"):rep(pad) .. " " .. value .. " " .. value
        end
      end
    end
    list[#list + 1] = "PAN " .. secrets.PAN .. ", " .. secrets.PAN:gsub("%d%d%d%d", "%0 ")
      .. "or " .. secrets.PAN:gsub("%d%d%d%d", "%0-")
    return list
  end

  -- Whatever is longer than what is kept of a message must not be kept in half either.
  local function search_for_halves(text, where)
    for label, secret in pairs(secrets) do
      if #secret > 6 and text:find(secret:sub(1, 6), 1, true)
        and not (label == "PAN" and text:find "%*%*%*") then
        found[#found + 1] = where .. " shows the beginning of " .. label .. ": " .. text
      end
    end
  end

  local function echo(answer)
    local transport = {}
    function transport:perform(request)
      local at_token = request.url:find("/merchant/token", 1, true)
      if at_token and not self.at_token then
        return { status = 200, headers = {}, body = cjson.encode { code = 0, msg = "",
          data = { access_token = secrets["access token"], expired_time = 4e12 } } }
      end
      return answer(request, self.fields)
    end
    local client = assert(keysecure.new { address = "https://gateway.example",
      api_key = API_KEY, api_secret = API_SECRET, mode = "credit", transport = transport,
      on_event = function(event) look(event, "event") end })
    return client, transport
  end

  -- Drives each operation; `answer(request, remark)` makes of a remark what the server answers.
  local function drive(answer, where, pads)
    local number, remark_count
    local client, transport = echo(function(request, fields)
      local list = remarks(request, fields, pads)
      remark_count = math.max(remark_count, #list) -- what it is looked up by may say less
      return answer(request, list[math.min(number, #list)])
    end)
    for _, name in ipairs(api.names) do
      local operation = api.operations[name]
      if operation.mode ~= "authorization" then
        number, remark_count = 1, 1
        while number <= remark_count do
          transport.fields, transport.at_token = marked(operation), name == "merchant.token"
          local _, err = client:call(name, transport.fields, { timeout = 0.005 })
          if err then
            look_at_error(err, name .. " " .. where)
            search_for_halves(err.message, name .. " " .. where)
          end
          number = number + 1
        end
      end
    end
    nothing_found()
  end

  it("in refusals that repeat the request", function()
    drive(function(_, remark)
      return { status = 200, headers = {},
        body = cjson.encode { code = 1004, msg = remark, data = remark } }
    end, "repeated", PADS)
  end)

  it("in refusals with any code that repeat the request", function()
    local given
    local client, transport = echo(function(request, fields)
      return { status = 400, headers = {}, body = cjson.encode { code = given,
        msg = table.concat(values(fields), " ") .. " " .. dump(request) } }
    end)
    for _, code in ipairs(CODES) do
      given = code
      for _, name in ipairs(api.names) do
        local operation = api.operations[name]
        if operation.mode ~= "authorization" then
          transport.fields, transport.at_token = marked(operation), name == "merchant.token"
          local _, err = client:call(name, transport.fields, { timeout = 0.005 })
          look_at_error(err, name .. " with " .. code)
          search_for_halves(err.message, name .. " with " .. code)
        end
      end
    end
    nothing_found()
  end)

  it("in refusals of the token that repeat the request", function()
    local code
    local client = echo(function() end)
    client.transport = { perform = function(_, request)
      return { status = 200, headers = {}, body = cjson.encode { code = code,
        msg = dump(request) } }
    end }
    for _, given in ipairs { 1002, 1003, 1008, 1010 } do
      code = given
      local _, err = client.cards:packages({}, { timeout = 0.05 })
      look_at_error(err, "token " .. code)
      client:sleep(0.01)
    end
    nothing_found()
  end)

  it("in answers that are none, and failures, that repeat the request", function()
    drive(function(_, remark)
      return { status = 502, headers = {}, body = "<html>" .. remark }
    end, "as a page")
    drive(function(_, remark)
      return { status = 200, headers = {},
        body = cjson.encode { code = remark, msg = remark, data = remark } }
    end, "with a code that is none")
    drive(function(_, remark)
      return nil, { reason = "tls", message = remark }
    end, "in a failure", PADS)
    drive(function(_, remark)
      return nil, { reason = remark }
    end, "in a failure's reason")
  end)

  it("in success that has another shape, and repeats the request", function()
    for _, shape in ipairs {
      function(remark) return remark end,
      function(remark) return { list = { remark } } end,
      function(remark) return { list = remark, result = remark } end,
      function(remark) return { time = remark, result = false, expired_time = remark } end,
    } do
      drive(function(_, remark)
        return { status = 200, headers = {},
          body = cjson.encode { code = 0, msg = remark, data = shape(remark) } }
      end, "in data")
    end
  end)
end)
