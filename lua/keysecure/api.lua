--- The platform's merchant API as one table.
--
-- Pure data: it imports nothing. The client's methods and argument checks, redaction, the
-- emulator's routing and validation and the command line all read it, so adding an operation is
-- adding one entry here.
--
-- Marks say where a rule comes from: "P" published by the platform, "D" derived from what is
-- published, "A<n>" assumed because nothing published says it (see docs/assumptions.md). What
-- carries no mark is published.
--
-- An operation:
--   number, method, path      as published; `path` follows `api.base`, `{name}` is a parameter
--   mode                      "both", "credit", "authorization" or "sandbox"
--   auth                      "token" (Api-Key and Access-Token), "key" (Api-Key), "none"
--   write                     it changes something; it is never repeated blindly
--   unique, found_by          the merchant's own number of the row, and the list that finds it
--   settle                    how to find out what became of it where its answer was lost (below)
--   params                    what it takes, in order (below); `open`: other fields pass as given
--   returns                   "row", "list" (of rows), "done" ({result = true}) or "cipher"
--                             (Base64 of the AES ciphertext of a row)
--   row                       which object a row becomes; `data`: its fields
--   paged, window             takes page and size; takes start_time and end_time
--   each, key                 the method that walks all its rows; what tells two rows apart
--   errors                    the codes it gives beside `api.common_errors`
--
-- A settle (see docs/doubt.md); by the list `found_by` where nothing else is said:
--   same                      parameters that the row must have as asked
--   offers                    parameters that no row tells, by name: `list` finds the offer,
--                             `detail` reads the row, `same` says which fields must agree
--   taken                     the code of a refusal because it was done before: of a number in
--                             use, which 1004 names, or of a status that the card has
--   failed                    the row's status that means it didn't happen after all
--   read                      the operation that reads the row; it is done where its status is
--                             `status`, or the parameter `status_of`
--   again                     where the parameter `given` is given the row was there before: `read`
--                             reads it, and it is done where its status is no longer `undone`
--
-- A field (parameter or response):
--   name, type                "text", "id" (a number the platform gave), "money" (decimal text),
--                             "integer", "number", "boolean", "datetime" (yyyy-MM-dd[ HH:mm:ss]),
--                             "time" (Unix milliseconds), "object" or "list" (with `fields`),
--                             "any"
--   required                  true, or the mode that requires it
--   min, max                  of an integer; `max` of a text counts characters
--   digits                    exactly so many digits; `scale`: decimals a money text may have
--   enum                      allowed values; `fold`: in any letter case
--   encrypted                 AES on the wire; `secret`: never shown
--   header                    sent as this header, not in the body
--   code                      what the platform answers when the rule is broken (1004 unless said)

local api = {
  base = "/open-api/v1",
  max_page_size = 100,
  default_page_size = 10,
  window_days = 90,
  timestamp_max_age = 60, -- seconds; nor may a Timestamp ever be in the server's future
  decision_limit = 0.8, -- seconds the platform waits for an authorization's answer
  default_timezone = "UTC+8",
  languages = { "en_US", "zh_CN" },
}

api.environments = {
  production = { address = "https://openplatform.keysecure.io" },
  sandbox = { address = "https://sandbox-openplatform.keysecure.io" },
  -- The one on your own machine: its keys are no secret, and stand in for yours when you give none.
  emulator = {
    address = "http://127.0.0.1:8787",
    merchants = {
      credit = { api_key = "emulator-credit", api_secret = "emulator-credit-secret-32-bytes!" },
      authorization = {
        api_key = "emulator-authorization",
        api_secret = "emulator-authorization-secret-32",
      },
    },
  },
}

--- What the platform calls the two integration modes.
api.modes = { credit = "CREDIT_EXTENSION", authorization = "AUTHORIZATION" }

api.enums = {
  card_status = { "Pending", "ToActivate", "Activated", "Fail", "Frozen", "Delete" },
  card_status_target = { "Frozen", "Activated", "Delete" },
  card_type = { "Virtual", "Physical" },
  cardholder_status = { "Pending", "In_progress", "Approved", "Rejected" },
  consumption_type = {
    "Open_card", "Consumption", "Atm", "Manage_fee", "Reversal", "Refund",
  },
  exemption = { "Forever", "None", "Day" },
  fee_type = {
    "Consume_fee", "Apple_auth_fee", "Auth_fee", "Atm_fee", "Exchange_fee", "Decline_fee",
    "Small_fee", "Refund_fee", "Cancel_fee",
  },
  status = { "Pending", "Success", "Fail" },
  transfer_type = { "In", "Out" },
}

--- States in which waiting for another one is in vain.
api.final_states = {
  cardholder = { Rejected = true },
  card = { Fail = true, Delete = true, ToActivate = true },
}

local function code(name, text, since)
  return { name = name, text = text, since = since or "P" }
end

api.codes = {
  [1001] = code("system_error", "system error, try later"),
  [1002] = code("api_key_missing", "Api-Key missing"),
  [1003] = code("ip_not_allowed", "IP address not on the Api-Key's whitelist"),
  [1004] = code("invalid_parameter", "invalid parameter"),
  [1005] = code("timestamp_invalid", "Timestamp invalid or expired"),
  [1006] = code("access_token_missing", "Access-Token missing"),
  [1007] = code("access_token_invalid", "Access-Token invalid or expired"),
  [1008] = code("api_key_unknown", "Api-Key unknown"),
  [1009] = code("too_frequent", "too many requests"),
  [1010] = code("api_key_not_enabled", "Api-Key not enabled"),
  [1011] = code("api_key_expired", "Api-Key expired"),
  [1012] = code("mode_not_supported", "integration mode not supported", "D"),
  [1013] = code("pci_not_enabled", "PCI not enabled for this merchant"),
  [1014] = code("client_token_invalid", "Client-Access-Token invalid or used"),
  [1015] = code("parent_origin_not_allowed", "parent origin not whitelisted"),
  [1016] = code("origin_mismatch", "origin differs from the configuration"),
  [1017] = code("replay", "replayed request"),
  [1018] = code("sec_fetch_refused", "Sec-Fetch check failed"),
  [1019] = code("end_not_after_start", "end_time is not after start_time"),
  [1020] = code("range_too_wide", "time range wider than 90 days"),
  [1021] = code("merchant_unknown", "merchant unknown"),
  [1022] = code("merchant_status_abnormal", "merchant status abnormal"),
  [2001] = code("cardholder_exists", "cardholder exists"),
  [2002] = code("cardholder_not_found", "cardholder does not exist"),
  [2003] = code("cardholder_already_verified", "cardholder already verified"),
  [2004] = code("cardholder_verification_pending", "cardholder verification pending"),
  [2005] = code("cardholder_verification_failed", "cardholder not verified"),
  [2006] = code("kyc_data_not_available", "KYC data not available"),
  [2007] = code("address_symbols", "address holds symbols that are not allowed"),
  [2008] = code("address_not_english", "address must be in English"),
  [2009] = code("country_not_supported", "country not supported"),
  [2010] = code("postal_code_invalid", "postal code invalid"),
  [2011] = code("unique_number_mismatch", "unique number differs from the cardholder's"),
  [3001] = code("insufficient_balance", "insufficient balance", "A11"),
  [4001] = code("card_not_found", "card does not exist", "A11"),
  [4002] = code("consumption_not_found", "consumption does not exist", "A11"),
  [4003] = code("product_not_found", "card package or BIN does not exist", "A11"),
  [4005] = code("card_status_not_allowed", "the card's status does not allow this"),
  [4010] = code("parameter_error", "parameter error"),
  [4016] = code("pin_rule", "PIN must be 6 digits without runs"),
  [4017] = code("not_for_virtual_cards", "not for virtual cards"),
}

--- What any operation behind a token may answer, and what the token operation may.
api.common_errors = { 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012,
  1021, 1022 }

-- Fields that several operations share --------------------------------------------------------

local function with(field, changes)
  local copy = {}
  for key, value in pairs(field) do
    copy[key] = value
  end
  for key, value in pairs(changes) do
    copy[key] = value
  end
  return copy
end

local function required(field)
  return with(field, { required = true })
end

-- "name" is text, "name:type" says the type.
local function fields(list)
  local result = {}
  for i, entry in ipairs(list) do
    if type(entry) == "string" then
      local name, kind = entry:match("^([%w_]+):?(%a*)$")
      entry = { name = name, type = kind ~= "" and kind or "text" }
    end
    result[i] = entry
  end
  return result
end

local cardholder_no = { name = "cardholder_no", type = "id", max = 64, since = "D" }
local card_no = { name = "card_no", type = "id", max = 64, since = "D" }
local consume_no = { name = "consume_no", type = "id", max = 64, since = "D" }
local transfer_no = { name = "transfer_no", type = "id", max = 64, since = "D" }
local package_no = { name = "package_no", type = "id", max = 64, since = "D" }
local card_bin_no = { name = "card_bin_no", type = "id", max = 64, since = "D" }
local cardholder_unique_no = { name = "cardholder_unique_no", type = "text", max = 64 }
local card_unique_no = { name = "card_unique_no", type = "text", max = 64 }
local transfer_unique_no = { name = "transfer_unique_no", type = "text", max = 64 }
local amount = { name = "amount", type = "money", since = "A5" }
local card_last_no = { name = "card_last_no", type = "text", digits = 4 }

local page = { name = "page", type = "integer", min = 0, default = 0 }
local size = { name = "size", type = "integer", min = 1, max = 100, default = 10 }
local start_time = { name = "start_time", type = "datetime", required = true }
local end_time = { name = "end_time", type = "datetime", required = true }

local function paged(params)
  params[#params + 1] = page
  params[#params + 1] = size
  return params
end

local function windowed(params)
  params[#params + 1] = start_time
  params[#params + 1] = end_time
  return paged(params)
end

-- Whether a line of the address is required depends on the card type [D]: see `required`.
local function address_line(name, when, code_of_rule)
  return { name = name, type = "text", max = 128, required = when, english = true,
    code = code_of_rule }
end

local ALWAYS, PHYSICAL = true, "Physical"

local address_info = {
  name = "address_info", type = "object", required = PHYSICAL, fields = {
    address_line("first_name", PHYSICAL),
    address_line("last_name", PHYSICAL),
    { name = "phone_code", type = "text", required = PHYSICAL, pattern = "^%d+$", max = 8,
      says = "digits without a plus sign" },
    { name = "phone", type = "text", required = PHYSICAL, pattern = "^%d+$", max = 20,
      says = "digits", since = "A12" },
    { name = "postal_code", type = "text", required = ALWAYS, max = 16,
      pattern = "^[%w][%w %-]*$", says = "letters, digits, spaces and hyphens", code = 2010,
      since = "A12" },
    { name = "country", type = "text", required = ALWAYS, pattern = "^%u%u%u?$",
      says = "a country code of two or three capitals", code = 2009, since = "A12" },
    address_line("state", ALWAYS),
    address_line("city", ALWAYS),
    address_line("address_line1", ALWAYS),
    address_line("address_line2"),
  },
}

local fee_detail = { name = "fee_detail", type = "object", fields = fields {
  "consume_rate", "open_cost:money", "cross_consume_rate", "small_consume_threshold:money",
  "small_consume_deduct:money", "free_small_consume_count:number", "free_small_excuse_type",
  "free_small_excuse_days:number", "refund_rate", "consume_cancle_fee:money",
  "consume_cancel_threshold:money", "decline_fee:money", "decline_fee_free_count:number",
  "decline_fee_free_type", "decline_fee_free_days:number", "atm_rate", "atm_min_fee:money",
  "apple_pay_fee:money", "manage_fee_type", "manage_fee:money", "management_fee_free_type",
  "free_management_fee_threshold:money",
} }

local function limits(name)
  return { name = name, type = "object", fields = fields {
    "limit_balance:money", "limit_week_balance:money", "limit_atm_day_balance:money",
    "limit_atm_month_balance:money",
  } }
end

--- The plaintext of `cards.private_info`: each part is secret but the two numbers.
local private_data = {
  card_no, card_unique_no,
  { name = "cvv", type = "text", secret = true },
  { name = "pan", type = "text", secret = true },
  { name = "exp_year", type = "text", secret = true },
  { name = "exp_month", type = "text", secret = true },
}

-- Operations ----------------------------------------------------------------------------------

api.operations = {
  ["merchant.token"] = {
    number = 1, mode = "both", auth = "key", method = "GET", path = "/merchant/token",
    doc = "Fetches an access token; the library does so by itself.",
    params = {}, returns = "row", row = "token",
    data = { { name = "access_token", type = "text", secret = true },
      { name = "expired_time", type = "time" } },
    errors = {},
  },

  ["cardholders.apply"] = {
    number = 2, mode = "both", auth = "token", method = "POST", path = "/cardholder/apply",
    doc = "Applies for a cardholder's KYC verification; with cardholder_no, applies again.",
    write = true, unique = "cardholder_unique_no", found_by = "cardholders.list",
    settle = { same = {}, taken = 2001,
      again = { given = "cardholder_no", read = "cardholders.info", undone = "Rejected" } },
    params = {
      cardholder_no,
      required(cardholder_unique_no),
      { name = "sumsub_share_token", type = "text", required = true, max = 512, secret = true },
    },
    returns = "row", row = "cardholder",
    data = fields { "cardholder_no:id", "cardholder_unique_no" },
    errors = { 2001, 2002, 2003, 2004, 2005, 2006, 2011 },
  },
  ["cardholders.list"] = {
    number = 3, mode = "both", auth = "token", method = "POST", path = "/cardholder/list",
    doc = "One page of the cardholders that applied in a time window.",
    paged = true, window = true, key = "cardholder_no", each = "each",
    params = windowed { cardholder_no, cardholder_unique_no },
    returns = "list", row = "cardholder",
    data = fields { "cardholder_no:id", "cardholder_unique_no", "email", "fail_reason", "status",
      "time:time" },
    errors = { 1019, 1020 },
  },
  ["cardholders.info"] = {
    number = 4, mode = "both", auth = "token", method = "GET",
    path = "/cardholder/{cardholder_no}/info",
    doc = "A cardholder with its status, balance and cards.",
    params = { required(cardholder_no) },
    returns = "row", row = "cardholder",
    data = fields { "cardholder_no:id", "cardholder_unique_no", "email", "status",
      "total_balance:money", "time:time",
      { name = "card_list", type = "list", row = "card", fields = fields { "card_no:id" } } },
    errors = { 2002 },
  },

  ["cards.apply"] = {
    number = 5, mode = "both", auth = "token", method = "POST", path = "/card/apply",
    doc = "Applies for a card: of a package in credit mode, of a BIN in authorization mode.",
    write = true, unique = "card_unique_no", found_by = "cards.list",
    settle = { same = { "cardholder_no", "card_type" }, taken = 1004, offers = {
      package_no = { list = "cards.packages", detail = "cards.detail", same = {
        package_en_name = "package_name_en", package_cn_name = "package_name_cn",
        organization = "organization" } },
      card_bin_no = { list = "cards.bins", detail = "cards.detail",
        same = { organization = "organization" } },
    } },
    params = {
      with(card_bin_no, { required = "authorization" }),
      with(package_no, { required = "credit" }),
      required(cardholder_no),
      required(card_unique_no),
      { name = "card_type", type = "text", required = true, enum = api.enums.card_type },
      address_info,
    },
    returns = "row", row = "card",
    data = fields { "card_no:id", "card_unique_no" },
    errors = { 2002, 2005, 2007, 2008, 2009, 2010, 3001, 4003 },
  },
  ["cards.list"] = {
    number = 6, mode = "both", auth = "token", method = "POST", path = "/card/list",
    doc = "One page of the cards applied for in a time window.",
    paged = true, window = true, key = "card_no", each = "each",
    params = windowed { cardholder_no, card_unique_no, card_no },
    returns = "list", row = "card",
    data = fields { "card_no:id", "card_unique_no", "cardholder_no:id", "card_type",
      "card_last_no", "organization", "status", "time:time" },
    errors = { 1019, 1020 },
  },
  ["cards.detail"] = {
    number = 7, mode = "both", auth = "token", method = "GET", path = "/card/{card_no}/detail",
    doc = "A card with its status and fees.",
    params = { required(card_no) },
    returns = "row", row = "card",
    data = fields { "card_no:id", "card_unique_no", "cardholder_no:id", "card_name",
      "package_name_en", "package_name_cn", "card_type", "organization", "card_last_no", "status",
      "time:time", fee_detail },
    errors = { 4001 },
  },
  ["cards.private_info"] = {
    number = 8, mode = "both", auth = "token", method = "GET",
    path = "/card/{card_no}/private/info",
    doc = "The card's PAN, CVV and expiry, decrypted here. Needs PCI and an Activated card.",
    params = { required(card_no) },
    returns = "cipher", row = "private", data = private_data,
    errors = { 1013, 4001, 4005 },
  },
  ["cards.activate"] = {
    number = 9, mode = "both", auth = "token", method = "POST", path = "/card/active",
    doc = "Activates a physical card that is ToActivate.",
    write = true, settle = { read = "cards.detail", status = "Activated" },
    params = {
      required(cardholder_no), required(card_no),
      { name = "cvv", type = "text", required = true, digits = 3, encrypted = true,
        secret = true },
      required(card_last_no),
    },
    returns = "done", data = fields { "result:boolean" },
    errors = { 2002, 4001, 4005 },
  },
  ["cards.update_status"] = {
    number = 10, mode = "both", auth = "token", method = "POST", path = "/card/status/update",
    doc = "Freezes, unfreezes or deletes a card.",
    write = true, settle = { read = "cards.detail", status_of = "status", taken = 4005 },
    params = {
      required(card_no),
      { name = "status", type = "text", required = true, enum = api.enums.card_status_target },
    },
    returns = "done", data = fields { "result:boolean" },
    errors = { 4001, 4005 },
  },
  ["cards.set_pin"] = {
    number = 11, mode = "both", auth = "token", method = "POST", path = "/card/pin/set",
    doc = "Sets the PIN of an Activated physical card.",
    write = true,
    params = {
      required(card_no), required(cardholder_no),
      { name = "pin", type = "text", required = true, digits = 6, no_runs = true,
        encrypted = true, secret = true, code = 4016 },
    },
    returns = "done", data = fields { "result:boolean" },
    errors = { 2002, 4001, 4005, 4016, 4017 },
  },

  ["consumptions.info"] = {
    number = 12, mode = "both", auth = "token", method = "GET",
    path = "/card/consume/{consume_no}/info",
    doc = "One consumption record.",
    params = { required(consume_no) },
    returns = "row", row = "consumption",
    data = fields { "consume_no:id", "consume_relate_no:id", "card_no:id", "cardholder_no:id",
      "type", "amount:money", "local_amount:money", "local_currency", "fee:money",
      { name = "fee_list", type = "list", since = "A2",
        fields = fields { "fee_type", "amount:money" } },
      { name = "merchant_info", type = "object", since = "A2",
        fields = fields { "merchant_name", "merchant_mcc", "city", "country" } },
      "status", "time:time" },
    errors = { 4002 },
  },
  ["consumptions.list"] = {
    number = 13, mode = "both", auth = "token", method = "POST", path = "/card/consume/list",
    doc = "One page of the consumption records of a time window.",
    paged = true, window = true, key = "consume_no", each = "each",
    params = windowed { cardholder_no, consume_no, card_no },
    returns = "list", row = "consumption",
    data = fields { "consume_no:id", "card_no:id", "type", "amount:money", "status",
      "time:time" },
    errors = { 1019, 1020 },
  },

  ["pci.client_token"] = {
    number = 14, mode = "both", auth = "token", method = "GET",
    path = "/merchant/client/{card_no}/token",
    doc = "A one-time token for the platform's hosted iframe that shows a card.",
    write = true, -- each call makes a token
    params = { required(card_no) },
    returns = "row", row = "client_token",
    data = { { name = "client_access_token", type = "text", secret = true },
      { name = "expires_in", type = "number" } },
    errors = { 1013, 4001, 4005 },
  },
  ["pci.card_detail"] = {
    number = 15, mode = "both", auth = "token", method = "POST",
    path = "/merchant/pci/card/detail", since = "A3",
    doc = "What the hosted iframe asks for with its one-time token.",
    write = true, -- it spends the token
    params = {
      required(card_no),
      { name = "client_access_token", type = "text", required = true, max = 512, secret = true,
        header = "Client-Access-Token" },
    },
    returns = "row", row = "private", data = private_data,
    errors = { 1013, 1014, 1015, 1016, 1017, 1018, 4001 },
  },

  ["accounts.transfer"] = {
    number = 16, mode = "credit", auth = "token", method = "POST", path = "/account/transfer",
    doc = "Moves TUSDT to a cardholder (In) or back (Out).",
    write = true, unique = "transfer_unique_no", found_by = "accounts.transfers",
    settle = { same = { "cardholder_no", "type", "balance" }, taken = 1004, failed = "Fail" },
    params = {
      required(cardholder_no), required(transfer_unique_no),
      { name = "type", type = "text", required = true, enum = api.enums.transfer_type,
        fold = true },
      { name = "balance", type = "money", required = true, scale = 2, positive = true },
    },
    returns = "row", row = "transfer",
    data = fields { "transfer_no:id", "transfer_unique_no", "before_balance:money",
      "after_balance:money" },
    errors = { 2002, 3001 },
  },
  ["accounts.info"] = {
    number = 17, mode = "credit", auth = "token", method = "GET",
    path = "/account/{cardholder_no}/info",
    doc = "The accounts of a cardholder.",
    params = { required(cardholder_no) },
    returns = "list", row = "account",
    data = fields { "cardholder_no:id", "symbol", "symbol_chain", "balance:money",
      "usd_balance:money", "bonus_balance:money", "usd_bonus_balance:money" },
    errors = { 2002 },
  },
  ["accounts.transfers"] = {
    number = 18, mode = "credit", auth = "token", method = "POST",
    path = "/account/transfer/list", since = "A4",
    doc = "One page of the fund transfers of a time window.",
    paged = true, window = true, key = "transfer_no", each = "each_transfer",
    params = windowed { cardholder_no, transfer_no, transfer_unique_no },
    returns = "list", row = "transfer",
    data = fields { "transfer_no:id", "transfer_unique_no", "cardholder_no:id", "type",
      "balance:money", "status", "time:time" },
    errors = { 1019, 1020 },
  },
  ["cards.packages"] = {
    number = 19, mode = "credit", auth = "token", method = "POST", path = "/card/package/list",
    doc = "One page of the card packages on offer, with their fees and limits.",
    paged = true, key = "package_no", each = "each_package",
    params = paged {
      { name = "type", type = "text", enum = api.enums.card_type, since = "A12" }, package_no },
    returns = "list", row = "package",
    data = fields { "package_no:id", "package_en_name", "package_cn_name", "card_bin",
      "card_bin_no:id", "organization", "package_type", "en_desc", "cn_desc",
      { name = "en_tag_list", type = "any" }, { name = "cn_tag_list", type = "any" },
      limits("consumption_limit"), fee_detail },
    errors = {},
  },
  ["cards.bins"] = {
    number = 20, mode = "authorization", auth = "token", method = "POST",
    path = "/card/support/bins",
    doc = "One page of the card BINs on offer.",
    paged = true, key = "card_bin_no", each = "each_bin",
    params = paged { card_bin_no },
    returns = "list", row = "bin",
    data = fields { "card_bin_no:id", "card_bin", "organization", "support_physical:boolean",
      "support_virtual:boolean", { name = "currencies", type = "any" },
      limits("balance_limit") },
    errors = {},
  },
}

-- The five simulations share their shape; nothing published says their fields, so the client passes
-- what it is given and what stands here is what the emulator takes [A5].
local function simulation(number, name, doc, params, data, errors)
  api.operations["simulate." .. name] = {
    number = number, mode = "sandbox", auth = "none", method = "POST", path = "/simulate/" .. name,
    since = "A5", doc = doc, write = true, open = true, params = params, returns = "row",
    row = "simulation", data = data, errors = errors,
  }
end

simulation(21, "auth", "Rehearses a purchase at a merchant.", {
  required(card_no), required(amount),
  { name = "local_amount", type = "money" },
  { name = "local_currency", type = "text", pattern = "^%u%u%u$", says = "three capitals" },
  { name = "type", type = "text", enum = api.enums.consumption_type },
  { name = "apple_pay", type = "boolean" },
  { name = "merchant_info", type = "object", fields = fields { "merchant_name", "merchant_mcc",
    "city", "country" } },
}, fields { "consume_no:id", "status", "decision" }, { 4001, 4005 })

local settled = { required(consume_no), { name = "remark", type = "text", max = 255 } }
local returned = { required(consume_no), amount }
local status_of = fields { "consume_no:id", "status" }
local related = fields { "consume_no:id", "consume_relate_no:id" }

simulation(22, "consumption_clear", "Clears an authorized purchase, in whole or in part.",
  { settled[1], amount, { name = "final", type = "boolean" }, settled[2] }, status_of,
  { 4002, 4005 })
simulation(23, "consumption_fail", "Lets an authorized purchase fail.", settled, status_of,
  { 4002, 4005 })
simulation(24, "reversal", "Reverses a purchase.", returned, related, { 4002, 4005 })
simulation(25, "refund", "Refunds a cleared purchase.", returned, related, { 4002, 4005 })

--- The names of all operations, in the platform's order.
api.names = {}
for name, operation in pairs(api.operations) do
  operation.name = name
  api.names[operation.number] = name
end

return api
