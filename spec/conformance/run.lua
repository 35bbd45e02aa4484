--- `./dev conformance`: runs the cases against $KS_BACKEND and writes where it differs.
--
-- KS_BACKEND is "emulator" (an emulator started for it), "sandbox", or an address. For the latter
-- two KEYSECURE_API_KEY, KEYSECURE_API_SECRET and KEYSECURE_MODE say who asks; KS_CARDHOLDER_NO,
-- KS_PACKAGE_NO and KS_CARD_NO_PENDING … KS_CARD_NO_FAIL name rows to try those cases on that need
-- some. These cards are frozen, activated and deleted. Production is refused. KS_CASES is a Lua
-- pattern that the cases' names must match, such as "^cards%.list".
package.path = "./?.lua;" .. package.path

local api = require "keysecure.api"
local backends = require "spec.conformance.backend"
local runner = require "spec.conformance.runner"

local function variable(name)
  local value = os.getenv(name)
  if not value or value == "" then
    io.stderr:write("conformance: ", name, " is missing\n")
    os.exit(2)
  end
  return value
end

local function chosen()
  local name = os.getenv "KS_BACKEND" or "emulator"
  if name == "emulator" then
    return backends.emulator()
  end
  local address = name == "sandbox" and api.environments.sandbox.address or name
  if not address:find("^https?://") or address == api.environments.production.address then
    io.stderr:write("conformance: KS_BACKEND is emulator, sandbox or an address\n")
    os.exit(2)
  end
  return backends.remote(address, { mode = variable "KEYSECURE_MODE",
    api_key = variable "KEYSECURE_API_KEY", api_secret = variable "KEYSECURE_API_SECRET" })
end

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

local path = arg[1] or "build/conformance.md"
local backend = chosen()
local pattern = os.getenv "KS_CASES" or ""
local report = runner.run(backend, function(id) return id:find(pattern) ~= nil end)
backend:stop()
write(path, runner.page(report))
print(string.format("%d as expected, %d differ, %d not tried: %s", report.same,
  #report.differences, #report.skipped, path))
os.exit(#report.differences == 0 and 0 or 1)
