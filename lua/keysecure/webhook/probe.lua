--- Asks a merchant's endpoint what the platform would ask it, and looks at the answers.
--
-- Authorizations are signed and sent at a fixed rate, whether or not earlier ones were answered,
-- and each is timed from the moment when it was due: an endpoint that stalls can't hide it. Among
-- them are two kinds that test more than speed: questions asked before, whose answer must be the
-- same, and questions that were tampered with, which must be refused.
local cjson = require "cjson"
local core = require "keysecure.core"
local errors = require "keysecure.errors"
local test_request = require "keysecure.webhook.test_request"
local api = require "keysecure.api"

local json = cjson.new()

local probe = {}

---@class keysecure.webhook.ProbeOptions
---@field url string            https, or http on this machine
---@field api_key string
---@field api_secret string
---@field rate? number          authorizations a second (10)
---@field seconds? number       for so long (10)
---@field amount? string        of each purchase ("12.50")
---@field data? table<string, string>  further members of `data`, such as card_no
---@field duplicates? number    share of questions that were asked before (0.05)
---@field tampered? number      share that must be refused (0.02)
---@field p50? number           milliseconds that half of the answers may take; likewise the next
---@field p99? number
---@field p999? number          (the platform's 800)
---@field connections? integer  at most (64)
---@field ca_file? string       certificates to trust instead of the system's

local DEFAULTS = { rate = 10, seconds = 10, amount = "12.50", duplicates = 0.05, tampered = 0.02,
  p999 = api.decision_limit * 1000, connections = 64 }

local QUANTILES = { { "p50", 0.5 }, { "p99", 0.99 }, { "p999", 0.999 } }

local GIVE_UP = 5000 -- milliseconds for one answer
local KNOWN_MAX = 1000 -- answers remembered, to ask again

-- What is sent ---------------------------------------------------------------------------------

local function new_data(self, number)
  local data = { consume_no = self.name .. number, card_no = "C0", cardholder_no = "U0",
    type = "Consumption", amount = self.options.amount, local_amount = self.options.amount,
    local_currency = "USD", status = "Pending", time = math.floor(core.wall()),
    merchant_info = { merchant_name = "Probe", merchant_mcc = "5999", city = "London",
      country = "GB" } }
  for name, value in pairs(self.options.data or {}) do
    data[name] = value
  end
  return data
end

-- Both of the platform's serializations take turns.
local function signed(self, number, data)
  local headers, body = test_request({ action = "Auth", data = data }, {
    api_key = self.options.api_key, api_secret = self.options.api_secret,
    order = number % 2 == 0 and "hash" or "document" })
  return { headers = headers, body = body, data = data }
end

-- The signature of one purchase on another.
local function tampered(self, number)
  local question = signed(self, number, new_data(self, number))
  question.body = question.body:gsub('"consume_no":"', '%0x', 1)
  question.kind = "tampered"
  return question
end

local function repeated(self, number)
  local known = self.known[number % #self.known + 1]
  local question = signed(self, number, known.data)
  question.kind, question.code = "repeated", known.code
  return question
end

-- Whether there have been fewer questions of a kind than its share; one there is early on, so that
-- a short probe has them all.
local function is_owed(self, kind, share, number)
  local owed = share > 0 and self.asked[kind] < math.max(number > 1 and 1 or 0,
    math.floor(number * share))
  if owed then
    self.asked[kind] = self.asked[kind] + 1
  end
  return owed
end

local function next_question(self, number)
  if is_owed(self, "tampered", self.options.tampered, number) then
    return tampered(self, number)
  elseif #self.known > 0 and is_owed(self, "repeated", self.options.duplicates, number) then
    return repeated(self, number)
  end
  local question = signed(self, number, new_data(self, number))
  question.kind = "new"
  return question
end

-- What came back -------------------------------------------------------------------------------

local function count(counts, key)
  counts[key] = (counts[key] or 0) + 1
end

-- The code of an answer that is one; nil and why it is none.
local function code_of(status, body)
  if status ~= 200 then
    return nil, "HTTP status " .. status
  end
  local ok, answer = pcall(json.decode, body)
  if not ok or type(answer) ~= "table" or type(answer.code) ~= "number" then
    return nil, "an answer without a code"
  end
  return answer.code
end

local function take_tampered(self, status, body)
  local refused = status >= 400 and status < 500
  if not refused then
    self.report.tampered_not_refused = self.report.tampered_not_refused + 1
    if code_of(status, body) == 0 then
      self.report.tampered_approved = self.report.tampered_approved + 1
    end
  end
end

local function take_answer(self, question, code)
  count(self.report, code == 0 and "approved" or "declined")
  if question.kind == "repeated" then
    if question.code ~= code then
      self.report.repeated_differently = self.report.repeated_differently + 1
    end
  elseif #self.known < KNOWN_MAX then
    self.known[#self.known + 1] = { data = question.data, code = code }
  end
end

-- `body` is why, where there is no status; the engine's words for it differ by the millisecond.
local function take(self, question, status, body, _, message)
  count(self.report, question.kind)
  if not status then
    self.words[body] = message
    return count(self.report.failed, body)
  elseif question.kind == "tampered" then
    return take_tampered(self, status, body)
  end
  local code, why = code_of(status, body)
  self.times[#self.times + 1] = (core.seconds() - question.due) * 1000
  if code then
    take_answer(self, question, code)
  else
    count(self.report.failed, why)
  end
end

-- Sending --------------------------------------------------------------------------------------

local function send(self, number, due)
  local question = next_question(self, number)
  question.due = due
  self.report.sent = self.report.sent + 1
  local id, reason, message = self.engine:start("POST", self.options.url, question.headers,
    question.body, GIVE_UP)
  if id then
    self.waiting[id] = question
  else
    take(self, question, nil, reason, nil, message)
  end
end

local function receive(self)
  local id, status, body, reached, message = self.engine:next()
  while id do
    local question = self.waiting[id]
    self.waiting[id] = nil
    take(self, question, status, body, reached, message)
    id, status, body, reached, message = self.engine:next()
  end
end

-- Waits for answers until `moment` (core.seconds).
local function wait_until(self, moment)
  repeat
    local left = math.ceil((moment - core.seconds()) * 1000)
    if self.engine:pending() > 0 then
      self.engine:step(math.max(0, left))
    elseif left > 0 then
      core.sleep(left)
    end
    receive(self)
  until core.seconds() >= moment
end

local function fire(self)
  local total = math.max(1, math.floor(self.options.rate * self.options.seconds))
  local from = core.seconds()
  for number = 1, total do
    local due = from + (number - 1) / self.options.rate
    if core.seconds() < due then
      wait_until(self, due)
    else
      self.engine:step(0)
      receive(self)
    end
    send(self, number, due)
  end
  while next(self.waiting) do -- each ends by itself, after GIVE_UP at the latest
    self.engine:step(GIVE_UP)
    receive(self)
  end
end

-- The verdict ----------------------------------------------------------------------------------

--- The smallest time that a share of them does not pass; nil where there are none. Sorts.
---@param times number[]
---@param share number
---@return number|nil
function probe.quantile(times, share)
  table.sort(times)
  return times[math.max(1, math.ceil(#times * share))]
end

local function judge(self)
  local report, faults = self.report, {}
  local function fault(format, ...)
    faults[#faults + 1] = string.format(format, ...)
  end
  for _, quantile in ipairs(QUANTILES) do
    local name, time = quantile[1], probe.quantile(self.times, quantile[2])
    local limit = self.options[name]
    report[name] = time
    if limit and time and time > limit then
      fault("%s is %.1f ms, more than %g", name == "p999" and "p99.9" or name, time, limit)
    end
  end
  report.most = self.times[#self.times]
  for why, times in pairs(report.failed) do
    fault("%d without an answer: %s", times, self.words[why] or why)
  end
  if report.tampered_not_refused > 0 then
    fault("%d of %d questions that were tampered with were not refused (HTTP 4xx), %d were "
      .. "approved", report.tampered_not_refused, report.tampered, report.tampered_approved)
  end
  if report.repeated_differently > 0 then
    fault("%d of %d questions asked again got another answer", report.repeated_differently,
      report.repeated)
  end
  table.sort(faults)
  report.faults, report.ok = faults, #faults == 0
  return report
end

-- Options --------------------------------------------------------------------------------------

local LIMITS = { rate = { 0.01, 20000 }, seconds = { 0.01, 3600 }, duplicates = { 0, 1 },
  tampered = { 0, 1 }, p50 = { 0, 1e6 }, p99 = { 0, 1e6 }, p999 = { 0, 1e6 },
  connections = { 1, 10000 } }

local function invalid(field, message)
  return errors.new { kind = "invalid", field = field, message = message }
end

-- Loads of signed requests go to somebody's own endpoint: over TLS, or to this machine.
local function is_usable(url)
  return url:find "^https://[^/]" ~= nil or url:find "^http://127%.%d+%.%d+%.%d+[:/]" ~= nil
    or url:find "^http://localhost[:/]" ~= nil or url:find "^http://%[::1%][:/]" ~= nil
end

local function fault_of(options)
  for name, limit in pairs(LIMITS) do
    local value = options[name]
    if value ~= nil and not (type(value) == "number" and value >= limit[1]
      and value <= limit[2]) then
      return invalid(name, string.format("must be a number from %g to %g", limit[1], limit[2]))
    end
  end
  for _, name in ipairs { "url", "api_key", "api_secret" } do
    if type(options[name]) ~= "string" or options[name] == "" then
      return invalid(name, "is required")
    end
  end
  if not is_usable(options.url) then
    return invalid("url", "must be https: plain http is for this machine alone")
  elseif not tostring(options.amount):find "^%d+%.?%d*$" then
    return invalid("amount", 'must be a decimal number such as "12.50"')
  end
end

local function complete(given)
  local options = {}
  for name, value in pairs(DEFAULTS) do
    options[name] = value
  end
  for name, value in pairs(given) do
    options[name] = value
  end
  return options
end

---@class keysecure.webhook.ProbeReport
---@field ok boolean
---@field faults string[]       why not
---@field sent integer
---@field new integer           questions; `repeated` were asked before, `tampered` must be refused
---@field approved integer
---@field declined integer
---@field p50 number|nil        milliseconds; likewise p99, p999, most
---@field failed table<string, integer>  questions without an answer, by why: an HTTP status, or a
---  keysecure.Reason

--- Probes an endpoint; returns when the last question was answered, or given up after 5 s.
---@param given keysecure.webhook.ProbeOptions
---@return keysecure.webhook.ProbeReport|nil
---@return keysecure.Error|nil err  kind "invalid", naming the option
function probe.run(given)
  local options = complete(given)
  local err = fault_of(options)
  if err then
    return nil, err
  end
  local self = {
    options = options, waiting = {}, known = {}, times = {},
    asked = { tampered = 0, repeated = 0 }, words = {},
    name = string.format("probe-%.0f-", core.wall()),
    engine = require "keysecure.curl".new { max_connections = options.connections,
      ca_file = options.ca_file },
    report = { sent = 0, new = 0, repeated = 0, tampered = 0, approved = 0, declined = 0,
      failed = {}, tampered_not_refused = 0, tampered_approved = 0, repeated_differently = 0 },
  }
  fire(self)
  self.engine:close()
  return judge(self)
end

return probe
