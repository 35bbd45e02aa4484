-- `keysecure emulator`: what it says when it starts, and how it ends.
local command = require "spec.support.command"
local support = require "spec.support.emulator"

local function read(path)
  local file = io.open(path)
  local text = file and file:read "*a" or ""
  if file then
    file:close()
  end
  return text
end

-- An emulator in the background, as a shell leaves it there: { pid, address, said, status, err }.
local function start(options)
  local base = os.tmpname()
  os.execute(string.format("( '%s' bin/keysecure emulator --port 0 --log none %s >%s.out 2>%s.err &"
    .. " echo $! >%s.pid; wait $!; echo $? >%s.status ) &", command.interpreter(), options or "",
    base, base, base, base))
  local running = { base = base }
  function running.said() return read(base .. ".out") end
  function running.err() return read(base .. ".err") end
  function running.status() return tonumber(read(base .. ".status")) end
  function running.kill(signal) os.execute("kill -" .. signal .. " " .. running.pid) end
  support.wait(function() return running.said():find "_emulator/" end, 30)
  running.pid = assert(read(base .. ".pid"):match "%d+")
  running.address = running.said():match "on (http://127%.0%.0%.1:%d+)"
  return running
end

-- However it takes signals, it is not left behind.
local function finish(running)
  if not running.status() then
    running.kill "TERM"
    if not pcall(support.wait, running.status, 10) then
      running.kill "KILL"
    end
  end
  for _, suffix in ipairs { "", ".out", ".err", ".pid", ".status" } do
    os.remove(running.base .. suffix)
  end
end

local function act(running, merchant, operation, fields)
  local json = require "keysecure.emulator.json"
  return support.http(running.address, "POST", "/_emulator/act", {
    ["Content-Type"] = "application/json" }, json.encode { merchant = merchant,
    operation = operation, fields = fields }).json.data
end

local function new_card(running)
  local holder = act(running, "authorization", "cardholders.apply",
    { cardholder_unique_no = "U-1", sumsub_share_token = "share" })
  return act(running, "authorization", "cards.apply", { cardholder_no = holder.cardholder_no,
    card_bin_no = "B-1", card_unique_no = "C-1", card_type = "Virtual" })
end

describe("keysecure emulator #plain", function()
  it("says in five lines where it is, its keys, how to point a script at it, and its page",
    function()
      local running = start()
      finally(function() finish(running) end)
      local said = running.said()
      assert.equal(5, select(2, said:gsub("\n", "")))
      local lines = {}
      for line in said:gmatch "[^\n]+" do
        lines[#lines + 1] = line
      end
      assert.matches("^keysecure emulator on http://127%.0%.0%.1:%d+ ", lines[1])
      assert.matches("^  authorization +api_key emulator%-authorization  api_secret ", lines[2])
      assert.matches("^  credit +api_key emulator%-credit  api_secret ", lines[3])
      assert.equal("  export KEYSECURE_ENVIRONMENT=emulator KEYSECURE_MODE=credit"
        .. " KEYSECURE_ADDRESS=" .. running.address, lines[4])
      assert.equal("  page " .. running.address .. "/  control " .. running.address
        .. "/_emulator/… (docs/emulator.md)", lines[5])
      running.kill "TERM"
      support.wait(function() return running.status() end, 30)
      assert.equal(0, running.status())
    end)

  it("points a script at itself by what it says", function()
    local running = start()
    finally(function() finish(running) end)
    local environment = {}
    for name, value in running.said():gmatch "(KEYSECURE_[%w_]+)=(%S+)" do
      environment[name] = value
    end
    local result = command.run({ "cards", "packages" }, { environment = environment })
    assert.equal(0, result.status, result.err)
    assert.matches("P%-1", result.out)
  end)

  it("ends cleanly on Ctrl-C with callbacks in flight", function()
    support.run(function()
      local silent = support.receiver(function() return 200, nil, 60 end)
      local running = start("--kyc-delay 0 --issue-delay 0 --callback-url " .. silent.url)
      finally(function() finish(running) end)
      local card = new_card(running)
      support.wait(function() return #silent.of "Card_update" == 1 end, 30)
      support.together(function()
        -- Asked, and never answered: the connection just ends.
        pcall(act, running, "authorization", "simulate.auth", { card_no = card.card_no,
          amount = "1.00" })
      end, function()
        support.wait(function() return #silent.of "Auth" == 1 end, 30)
        running.kill "INT"
        support.wait(function() return running.status() end, 30)
      end)
      assert.equal(0, running.status())
      assert.equal("", running.err())
      assert.is_false((pcall(support.http, running.address, "GET", "/")))
      silent.server:close()
    end)
  end)

  it("says what stands in its way, and ends with 1", function()
    local running = start()
    finally(function() finish(running) end)
    local port = running.address:match ":(%d+)$"
    local result = command.run { "emulator", "--port", port }
    assert.equal(1, result.status)
    assert.matches("cannot listen on 127%.0%.0%.1 port " .. port, result.err)
    assert.matches("must be at most 65535", command.run({ "emulator", "--port", "70000" }).err)
  end)
end)
