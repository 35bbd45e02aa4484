--- A headless Chromium, driven through WebDriver by lua-http: what the specs of the page stand on.
--
-- chromedriver is a child whose lifeline is a pipe: it ends when this process does, however that
-- comes about.
local cjson = require "cjson"
local cqueues = require "cqueues"
local http_request = require "http.request"

local browser = {}

local ANSWER_TIMEOUT = 90 -- seconds; the machine may be busy
local PATIENCE = 15 -- seconds until something has to be there
local ELEMENT = "element-6066-11e4-a52e-4f735466cecf" -- the name that the standard gives them

local FLAGS = { "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic",
  "--no-first-run", "--disable-background-networking", "--disable-component-update",
  "--disable-sync", "--disable-dev-shm-usage", "--no-proxy-server", "--force-color-profile=srgb",
  "--hide-scrollbars", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1" }

local Browser = {}
Browser.__index = Browser

-- The wire ------------------------------------------------------------------------------------

local function call(address, method, path, body)
  local request = http_request.new_from_uri(address .. path)
  request.proxies, request.hsts, request.cookie_store = false, false, false
  request.headers:upsert(":method", method)
  if body then
    request.headers:upsert("content-type", "application/json")
    request:set_body(cjson.encode(body))
    request.headers:delete "expect"
  end
  local headers, stream = request:go(ANSWER_TIMEOUT)
  if not headers then
    error("chromedriver: " .. tostring(stream), 0)
  end
  local text = assert(stream:get_body_as_string(ANSWER_TIMEOUT))
  stream:shutdown()
  local value = cjson.decode(text).value
  if headers:get ":status" ~= "200" then
    error(string.format("%s: %s", tostring(value.error), tostring(value.message)), 0)
  end
  return value
end

function Browser:command(method, path, body)
  return call(self.driver, method, "/session/" .. self.session .. path, body)
end

-- Waits for `fn` to answer something true, and returns that.
local function wait(fn, what)
  local deadline, last = cqueues.monotime() + PATIENCE, nil
  repeat
    local ok, result = pcall(fn)
    if ok and result then
      return result
    end
    last = not ok and result or last
    cqueues.sleep(0.05)
  until cqueues.monotime() > deadline
  error("waited in vain for " .. what .. (last and ": " .. tostring(last) or ""), 3)
end

-- Starting and ending -------------------------------------------------------------------------

local function read(path)
  local file = assert(io.open(path))
  local text = file:read "*a"
  file:close()
  return text
end

local function start_driver()
  local output = os.tmpname()
  local lifeline = assert(io.popen(string.format("exec 3<&0; command -v chromedriver >%s 2>&1"
    .. " || { echo 'no chromedriver' >%s; exit; }; chromedriver --port=0 >%s 2>&1 </dev/null &"
    .. " driver=$!; cat <&3 >/dev/null; kill $driver", output, output, output), "w"))
  local ok, port = pcall(wait, function()
    local text = read(output)
    assert(not text:find "no chromedriver", "there is no chromedriver")
    return text:match "started successfully on port (%d+)"
  end, "chromedriver")
  local said = read(output)
  os.remove(output)
  if not ok then
    lifeline:close()
    error("chromedriver did not start: " .. tostring(port) .. " " .. said, 0)
  end
  return lifeline, "http://127.0.0.1:" .. port
end

local function capabilities(profile)
  local flags = { "--user-data-dir=" .. profile }
  for _, flag in ipairs(FLAGS) do
    flags[#flags + 1] = flag
  end
  return { capabilities = { alwaysMatch = {
    ["goog:chromeOptions"] = { args = flags },
    ["goog:loggingPrefs"] = { browser = "ALL", performance = "ALL" },
  } } }
end

--- Starts a browser with a profile of its own; raises where there is none.
function browser.start()
  local lifeline, driver = start_driver()
  local pipe = assert(io.popen "mktemp -d")
  local profile = pipe:read "*l"
  pipe:close()
  local self = setmetatable({ lifeline = lifeline, driver = driver, profile = profile }, Browser)
  local ok, session = pcall(call, driver, "POST", "/session", capabilities(profile))
  if not ok then
    self:stop()
    error("Chromium did not start: " .. tostring(session), 0)
  end
  self.session = session.sessionId
  return self
end

--- Ends it. Chromium goes before its driver, which would leave it behind.
function Browser:stop()
  if self.session then
    pcall(self.command, self, "DELETE", "")
  end
  self.lifeline:close()
  os.execute("rm -rf '" .. self.profile .. "'")
end

-- Looking -------------------------------------------------------------------------------------

function Browser:open(url)
  self:command("POST", "/url", { url = url })
end

--- Runs JavaScript, the body of a function, and answers what it returns.
function Browser:run(script, ...)
  local given = { ... }
  given[1] = given[1] or cjson.null -- lua-cjson would write an empty list as an object
  return self:command("POST", "/execute/sync", { script = script, args = given })
end

--- What the page shows of the elements that a CSS selector finds.
function Browser:text(selector)
  return self:run("return [...document.querySelectorAll(arguments[0])]"
    .. ".map(e => e.checkVisibility() ? e.innerText : '').join('\\n')", selector)
end

--- Waits until the text at a selector holds `part`, without loading the page again.
function Browser:wait_text(selector, part)
  return wait(function()
    local text = self:text(selector)
    return text:find(part, 1, true) and text
      or error("'" .. part .. "' not in '" .. text .. "'", 0)
  end, "'" .. part .. "' in " .. selector)
end

--- Waits until JavaScript returns something true.
function Browser:wait_for(script, ...)
  local arguments = { ... }
  return wait(function() return self:run(script, (unpack or table.unpack)(arguments)) end, script)
end

-- Acting --------------------------------------------------------------------------------------

-- XPath has no way to quote both kinds of quotes; no name here needs any.
local function find(self, xpath)
  return wait(function()
    return self:command("POST", "/element", { using = "xpath", value = xpath })
  end, xpath)[ELEMENT]
end

--- Clicks, as a mouse would, the button of that text that is inside `place` (XPath, the page).
function Browser:click(text, place)
  local xpath = string.format("%s//button[normalize-space(.)='%s'][not(ancestor::*[@hidden])]",
    place or "", text)
  wait(function()
    self:click_at(xpath)
    return true
  end, "a click on " .. text)
end

--- Clicks the first element that an XPath finds.
function Browser:click_at(xpath)
  local element = find(self, xpath)
  -- Away from the edges, where the page's head may lie over it.
  self:run("arguments[0].scrollIntoView({ block: 'center' })", { [ELEMENT] = element })
  self:command("POST", "/element/" .. element .. "/click", cjson.decode "{}")
end

--- Fills in a field by its name, in place of what is there.
function Browser:fill(name, text)
  local element = find(self, "//dialog//*[@name='" .. name .. "']")
  self:command("POST", "/element/" .. element .. "/clear", cjson.decode "{}")
  self:command("POST", "/element/" .. element .. "/value", { text = text })
end

--- Chooses an option by its value.
function Browser:choose(name, value)
  self:click_at(string.format("//*[@name='%s']//option[@value='%s']", name, value))
end

--- Presses keys where the focus is.
function Browser:press(keys)
  local active = self:command("GET", "/element/active")[ELEMENT]
  self:command("POST", "/element/" .. active .. "/value", { text = keys })
end

-- The window ----------------------------------------------------------------------------------

local function devtools(self, name, parameters)
  return self:command("POST", "/goog/cdp/execute", { cmd = name, params = parameters })
end

--- As large as a desk's or a phone's.
function Browser:resize(width, height, mobile)
  devtools(self, "Emulation.setDeviceMetricsOverride", { width = width, height = height,
    deviceScaleFactor = 1, mobile = mobile or false })
end

---@param scheme "light"|"dark"
function Browser:color(scheme)
  devtools(self, "Emulation.setEmulatedMedia",
    { features = { { name = "prefers-color-scheme", value = scheme } } })
end

--- A PNG of what is seen, as Base64.
function Browser:screenshot()
  return self:command("GET", "/screenshot")
end

--- What the console was told since it was asked last, as { level, message }.
function Browser:console()
  return self:command("POST", "/se/log", { type = "browser" })
end

--- The addresses that were asked for since this was asked last.
function Browser:requested()
  local urls = {}
  for _, entry in ipairs(self:command("POST", "/se/log", { type = "performance" })) do
    local event = cjson.decode(entry.message).message
    if event.method == "Network.requestWillBeSent" then
      urls[#urls + 1] = event.params.request.url
    end
  end
  return urls
end

return browser
