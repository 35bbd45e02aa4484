--- `keysecure probe URL`: asks a merchant's endpoint what the platform would ask it.
local probe = {}

local NUMBERS = {
  { "rate", "Authorizations a second (10)." },
  { "seconds", "For so long (10)." },
  { "duplicates", "Share of questions that were asked before (0.05)." },
  { "tampered", "Share of questions that must be refused (0.02)." },
  { "p50", "Milliseconds that half of the answers may take." },
  { "p99", "Milliseconds that 99 of 100 may take." },
  { "p999", "Milliseconds that 999 of 1000 may take (800, the platform's limit)." },
  { "connections", "Connections at most (64)." },
}

local TEXTS = {
  { "amount", "Of each purchase (12.50)." },
  { "ca-file", "Certificates to trust instead of the system's." },
}

local FACTS = { "card-no", "cardholder-no", "local-currency" }

--- Adds the sub-command.
---@param parser table
function probe.describe(parser)
  local sub = parser:command("probe", "Ask an endpoint for authorizations, and judge its answers.")
  sub:argument("url", "Where your callbacks go; https, or http on this machine.")
  for _, option in ipairs(NUMBERS) do
    sub:option("--" .. option[1], option[2]):convert(tonumber)
  end
  for _, option in ipairs(TEXTS) do
    sub:option("--" .. option[1], option[2])
  end
  for _, name in ipairs(FACTS) do
    sub:option("--" .. name, "Of each purchase.")
  end
end

local function options_of(arguments)
  local key, secret = require("keysecure.webhook").keys_from_env()
  local options = { url = arguments.url, api_key = key, api_secret = secret, data = {} }
  for _, list in ipairs { NUMBERS, TEXTS } do
    for _, option in ipairs(list) do
      local name = option[1]:gsub("-", "_")
      options[name] = arguments[name]
    end
  end
  for _, name in ipairs(FACTS) do
    name = name:gsub("-", "_")
    options.data[name] = arguments[name]
  end
  return options
end

local function say(format, ...)
  print(string.format(format, ...))
end

local function milliseconds(time)
  return time and string.format("%.1f", time) or "-"
end

local function show(report)
  say("sent                 %d", report.sent)
  say("  asked once         %d", report.new)
  say("  asked again        %d", report.repeated)
  say("  tampered with      %d", report.tampered)
  say("approved             %d", report.approved)
  say("declined             %d", report.declined)
  say("milliseconds         p50 %s, p99 %s, p99.9 %s, most %s", milliseconds(report.p50),
    milliseconds(report.p99), milliseconds(report.p999), milliseconds(report.most))
  for _, fault in ipairs(report.faults) do
    say("FAULT                %s", fault)
  end
  say(report.ok and "good" or "not good")
end

--- Probes, prints what came of it; 1 where something is wrong with the endpoint, 2 with the call.
---@param arguments table
---@return integer status
function probe.run(arguments)
  local report, err = require("keysecure.webhook.probe").run(options_of(arguments))
  if not report then
    io.stderr:write("keysecure probe: ", tostring(err), "\n")
    return 2
  end
  show(report)
  return report.ok and 0 or 1
end

return probe
