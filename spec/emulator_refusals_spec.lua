-- Every code that `api` lets an operation give is given.
local api = require "keysecure.api"
local core = require "keysecure.core"
local support = require "spec.support.emulator"

local peer

local function window(values)
  values.start_time, values.end_time = "2026-01-01", "2026-01-02"
  return values
end

local function configure(credit)
  assert(peer:control("POST", "config", { merchants = { credit = credit } }))
end

-- What is called to see an operation refused; its arguments keep every rule.
local function valid(name)
  local values = {
    ["cardholders.apply"] = function() return peer:apply_values() end,
    ["cards.apply"] = function() return peer:card_values() end,
    ["accounts.transfer"] = function() return peer:transfer_values { cardholder_no = "U1" } end,
  }
  if values[name] then
    return values[name]()
  end
  local all = { cardholder_no = "U1", card_no = "C1", consume_no = "S1", card_last_no = "1234",
    cvv = "123", status = "Frozen", pin = "862947", client_access_token = "token",
    amount = "1.00" }
  local result = {}
  for _, field in ipairs(api.operations[name].params) do
    result[field.name] = field.required and all[field.name] or nil
  end
  return api.operations[name].window and window(result) or result
end

local function with_headers(headers)
  return function(name)
    return peer:call(name, valid(name), { headers = headers })
  end
end

local function with_key_state(state)
  return function(name)
    local values = valid(name)
    peer:headers(api.operations[name], "credit")
    assert(peer:control("POST", "config", { merchants = { credit = { key_state = state },
      authorization = { key_state = state } } }))
    peer.tokens = { credit = "any", authorization = "any" }
    return peer:call(name, values)
  end
end

local function with_fault(code)
  return function(name)
    local values = valid(name)
    peer:control("POST", "faults", { operation = name, code = code })
    return peer:call(name, values)
  end
end

local common = {
  [1001] = with_fault(1001),
  [1002] = with_headers { ["Api-Key"] = false },
  [1003] = function(name)
    local values = valid(name)
    local list = { ip_whitelist = { "10.0.0.1" } }
    assert(peer:control("POST", "config", { merchants = { credit = list, authorization = list } }))
    peer.tokens = { credit = "any", authorization = "any" }
    return peer:call(name, values)
  end,
  [1004] = with_headers { Timezone = "Mars/Olympus" },
  [1005] = with_headers { Timestamp = "1763880000000" },
  [1006] = with_headers { ["Access-Token"] = false },
  [1007] = function(name)
    local values = valid(name)
    peer:ok "merchant.token"
    peer:headers(api.operations[name], api.operations[name].mode == "authorization"
      and "authorization" or "credit")
    peer:control("POST", "tokens/expire")
    return peer:call(name, values)
  end,
  [1008] = with_headers { ["Api-Key"] = "nobody" },
  [1009] = function(name)
    local values = valid(name)
    local merchant = api.operations[name].mode == "authorization" and "authorization" or "credit"
    peer:headers(api.operations[name], merchant)
    assert(peer:control("POST", "config", { merchants = { [merchant] = { rate_limit = 1 } } }))
    local answer
    for _ = 1, 20 do -- a second may turn over in between
      answer = peer:call(name, values)
      if answer.json.code == 1009 then
        break
      end
    end
    return answer
  end,
  [1010] = with_key_state "disabled",
  [1011] = with_key_state "expired",
  [1012] = function(name)
    local mode = api.operations[name].mode
    local other = mode == "credit" and "authorization" or "credit"
    return peer:call(name, valid(name), { merchant = other })
  end,
  [1021] = with_key_state "merchant_unknown",
  [1022] = with_key_state "merchant_abnormal",
}

-- Where an operation can't give a common code: no token is asked for, or both modes may call.
local function is_possible(operation, code)
  if operation.auth == "none" then
    return code == 1001 or code == 1004
  end
  return not ((code == 1006 or code == 1007) and operation.auth ~= "token")
    and not (code == 1012 and operation.mode == "both")
end

local function refused_window(start_time, end_time)
  return function(name)
    return peer:call(name, { start_time = start_time, end_time = end_time })
  end
end

local function unknown(name)
  return peer:call(name, valid(name))
end

local function with_address(changes)
  return function(name)
    local address = {}
    for key, value in pairs(support.address_info) do
      address[key] = value
    end
    for key, value in pairs(changes) do
      address[key] = value
    end
    return peer:call(name, peer:card_values { address_info = address })
  end
end

local function without_pci(name)
  local card_no = peer:card()
  configure { pci = false }
  return peer:call(name, { card_no = card_no, client_access_token = "t" })
end

local function deleted(name)
  local card_no = peer:card()
  peer:ok("cards.update_status", { card_no = card_no, status = "Delete" })
  return peer:call(name, { card_no = card_no, status = "Activated" })
end

local function unknown_card(values)
  return function(name)
    values.cardholder_no = peer:holder()
    return peer:call(name, values)
  end
end

local PIN = { card_no = "C1", pin = "862947" }
local CVV = { card_no = "C1", cvv = "123", card_last_no = "1234" }

local function reapply(code, first_token, changes)
  return function()
    if code == 2004 then
      peer:control("POST", "config", { kyc_delay = 60 })
    end
    local values = peer:apply_values { sumsub_share_token = first_token }
    values.cardholder_no = peer:ok("cardholders.apply", values).cardholder_no
    for key, value in pairs(changes or {}) do
      values[key] = value
    end
    return peer:call("cardholders.apply", values)
  end
end

local function read_card_from(headers, config)
  return function(name)
    configure(config or {})
    local card_no = peer:card()
    return peer:call(name, { card_no = card_no, client_access_token = peer:client_token(card_no) },
      { headers = headers })
  end
end

local function settled_before(settle)
  return function(name)
    local consume_no = peer:purchase()
    peer:ok(settle, { consume_no = consume_no })
    return peer:call(name, { consume_no = consume_no })
  end
end

local refusals = {
  ["cardholders.apply"] = {
    [2001] = function(name)
      local values = peer:apply_values()
      peer:ok(name, values)
      return peer:call(name, values)
    end,
    [2002] = function(name) return peer:call(name, peer:apply_values { cardholder_no = "U1" }) end,
    [2003] = reapply(2003, "share"),
    [2004] = reapply(2004, "share"),
    [2005] = function(name)
      return peer:call(name, peer:apply_values { sumsub_share_token = "unverified-1" })
    end,
    [2006] = function(name)
      return peer:call(name, peer:apply_values { sumsub_share_token = "nodata-1" })
    end,
    [2011] = reapply(2011, "reject", { cardholder_unique_no = "another" }),
  },
  ["cardholders.info"] = { [2002] = unknown },
  ["cards.apply"] = {
    [2002] = function(name) return peer:call(name, peer:card_values { cardholder_no = "U1" }) end,
    [2005] = function(name)
      local rejected = peer:apply_values { sumsub_share_token = "reject" }
      local holder_no = peer:ok("cardholders.apply", rejected).cardholder_no
      return peer:call(name, peer:card_values { cardholder_no = holder_no })
    end,
    [2007] = with_address { city = "London;" },
    [2008] = with_address { address_line1 = "伦敦" },
    [2009] = with_address { country = "Atlantis" },
    [2010] = with_address { postal_code = "?" },
    [3001] = function(name) return peer:call(name, peer:card_values { package_no = "P-3" }) end,
    [4003] = function(name) return peer:call(name, peer:card_values { package_no = "P-9" }) end,
  },
  ["cards.detail"] = { [4001] = unknown },
  ["cards.private_info"] = { [1013] = without_pci, [4001] = unknown, [4005] = deleted },
  ["cards.activate"] = {
    [2002] = unknown,
    [4001] = unknown_card(CVV),
    [4005] = function(name)
      local card_no, holder = peer:card()
      return peer:call(name,
        { cardholder_no = holder, card_no = card_no, cvv = "123", card_last_no = "1234" })
    end,
  },
  ["cards.update_status"] = { [4001] = unknown, [4005] = deleted },
  ["cards.set_pin"] = {
    [2002] = unknown,
    [4001] = unknown_card(PIN),
    [4005] = function(name)
      local card_no, holder = peer:card "Physical"
      return peer:call(name, { card_no = card_no, cardholder_no = holder, pin = "862947" })
    end,
    [4016] = function(name)
      return peer:call(name, { card_no = "C1", cardholder_no = "U1", pin = "123947" })
    end,
    [4017] = function(name)
      local card_no, holder = peer:card()
      return peer:call(name, { card_no = card_no, cardholder_no = holder, pin = "862947" })
    end,
  },
  ["consumptions.info"] = { [4002] = unknown },
  ["pci.client_token"] = { [1013] = without_pci, [4001] = unknown, [4005] = deleted },
  ["pci.card_detail"] = {
    [1013] = without_pci,
    [1014] = function(name)
      local card_no = peer:card()
      local values = { card_no = card_no, client_access_token = peer:client_token(card_no) }
      assert.equal(1014, peer:call(name,
        { card_no = card_no, client_access_token = "never given" }).json.code)
      assert.equal(1014, peer:call(name, { card_no = (peer:card()),
        client_access_token = values.client_access_token }).json.code)
      peer:ok(name, values)
      return peer:call(name, values, { headers =
        { Timestamp = string.format("%.0f", core.wall() - 1000) } })
    end,
    [1015] = read_card_from({ ["Parent-Origin"] = "https://evil.example" },
      { parent_origins = { "https://shop.example" } }),
    [1016] = read_card_from({ Origin = "https://evil.example" },
      { pci_origin = "https://cards.example" }),
    [1017] = function(name)
      local card_no = peer:card()
      local values = { card_no = card_no, client_access_token = peer:client_token(card_no) }
      local headers = { Timestamp = string.format("%.0f", core.wall()) }
      peer:ok(name, values, { headers = headers })
      return peer:call(name, values, { headers = headers })
    end,
    [1018] = read_card_from { ["Sec-Fetch-Site"] = "cross-site" },
    [4001] = unknown,
  },
  ["accounts.transfer"] = {
    [2002] = unknown,
    [3001] = function(name)
      local holder = peer:holder()
      peer:fund(holder, "1.00")
      return peer:call(name,
        peer:transfer_values { cardholder_no = holder, type = "Out", balance = "1.01" })
    end,
  },
  ["accounts.info"] = { [2002] = unknown },
  ["simulate.auth"] = {
    [4001] = unknown,
    [4005] = function(name)
      return peer:call(name, { card_no = (peer:card "Physical"), amount = "1.00" })
    end,
  },
  ["simulate.consumption_clear"] = { [4002] = unknown,
    [4005] = settled_before "simulate.consumption_clear" },
  ["simulate.consumption_fail"] = { [4002] = unknown,
    [4005] = settled_before "simulate.consumption_clear" },
  ["simulate.reversal"] = { [4002] = unknown,
    [4005] = settled_before "simulate.consumption_fail" },
  ["simulate.refund"] = { [4002] = unknown,
    [4005] = settled_before "simulate.consumption_fail" },
}

local WINDOW = {
  [1019] = refused_window("2026-01-02", "2026-01-01"),
  [1020] = refused_window("2026-01-01", "2026-04-02"),
}

describe("the emulator refuses", function()
  setup(function() peer = support.start() end)
  teardown(function() peer:stop() end)
  after_each(function() peer:reset() end)

  for _, name in ipairs(api.names) do
    local operation = api.operations[name]

    describe(name, function()
      for _, code in ipairs(api.common_errors) do
        if is_possible(operation, code) then
          it("with " .. code, function()
            assert.is_truthy(common[code], "no case is written for " .. code)
            assert.equal(code, common[code](name).json.code)
          end)
        end
      end

      for _, code in ipairs(operation.errors) do
        it("with " .. code .. " (" .. api.codes[code].name .. ")", function()
          local case = (refusals[name] or {})[code] or (operation.window and WINDOW[code])
          assert.is_truthy(case, "no case is written for " .. code)
          local answer = case(name)
          assert.equal(code, answer.json.code)
          assert.equal(200, answer.status)
        end)
      end
    end)
  end

  it("by no code that api does not list", function()
    for name, cases in pairs(refusals) do
      local listed = {}
      for _, code in ipairs(api.operations[name].errors) do
        listed[code] = true
      end
      for code in pairs(cases) do
        assert.is_true(listed[code] == true, name .. " " .. code)
      end
    end
  end)
end)
