-- A forked child starts afresh, whatever its parent had under way, over HTTP.
local core = require "keysecure.core"
local fork = require "keysecure_spec.fork"
local hosts = require "spec.support.hosts"
local support = require "spec.support.client"

-- Runs `fn` in a child; returns a function that waits for it and tells whether it succeeded.
local function forked(fn)
  local child = fork.fork()
  if child == 0 then
    local ok, fault = pcall(fn)
    if not ok then
      io.stderr:write("in the child: ", tostring(fault), "\n")
    end
    fork.exit(ok and 0 or 1)
  end
  return function()
    return fork.wait(child) == 0
  end
end

local function equal(expected, actual)
  if expected ~= actual then
    error(("expected %s, got %s"):format(tostring(expected), tostring(actual)), 2)
  end
end

describe("a forked child", function()
  local world

  setup(function()
    world = support.start()
  end)
  teardown(function()
    world:stop()
  end)
  after_each(function()
    world:no_faults()
  end)

  local function finish(ks)
    local give_up = core.seconds() + 30
    while ks:pending() > 0 do
      assert(core.seconds() < give_up, "it does not end")
      ks:step(0.01)
      core.sleep(1)
    end
  end

  it("counts as another process", function()
    local before = core.forks()
    assert.equal(before, core.forks())
    assert.is_true(forked(function() equal(before + 1, core.forks()) end)())
    assert.equal(before, core.forks())
  end)

  it("calls over connections of its own, and the parent goes on with its", function()
    local ks = world.ks
    assert(ks.cards:packages())
    local counted = world:counted(function()
      local ended = forked(function()
        equal(3, #assert(ks.cards:packages()))
        ks:close()
      end)
      assert.is_true(ended())
      assert.equal(3, #assert(ks.cards:packages()))
    end)
    assert.equal(0, counted.token_requests) -- a token is good in the child as well
    assert.equal(2, counted.of["cards.packages"])
  end)

  it("has nothing of its parent's under way, and tells nobody twice", function()
    local ks = world:client { host = "tick" }
    world:control("POST", "faults", { operation = "cards.packages", delay = 0.3, times = 2 })
    local told, slept = 0, 0
    local function done()
      told = told + 1
    end
    ks.cards:packages({}, { done = done })
    ks:spawn(function()
      ks:sleep(0.2)
      slept = slept + 1
    end, done)
    ks:step()
    local ended = forked(function()
      equal(0, ks:pending())
      equal(nil, ks:timeout())
      core.sleep(250)
      ks:step()
      equal(0, told + slept)
      ks.cards:bins({}, { done = done }) -- refused here: the mode is another
      finish(ks)
      equal(1, told)
    end)
    assert.is_true(ended())
    assert.equal(2, ks:pending())
    finish(ks)
    assert.same({ 2, 1 }, { told, slept })
  end)

  it("does not wait for a token that its parent fetches", function()
    local ks = world:client { host = "tick" }
    world:control("POST", "faults", { operation = "merchant.token", delay = 2 })
    local told = 0
    ks.cards:packages({}, { done = function() told = told + 1 end })
    ks:step()
    core.sleep(50)
    ks:step()
    local ended = forked(function()
      local started, packages = core.seconds(), nil
      ks.cards:packages({}, { done = function(value) packages = value end })
      finish(ks)
      equal(3, #packages)
      assert(core.seconds() - started < 1.5, "it waited for its parent")
    end)
    assert.is_true(ended())
    finish(ks)
    assert.equal(1, told)
  end)

  it("pauses for other times than its parent", function()
    local function pauses(client)
      local list = {}
      for i = 1, 4 do
        local call = client:call("GET", "/x", nil, "none", false, 1e9, i, i)
        call:next(i, i)
        local _, moment = call:answered(i, i, 200, '{"code":1009,"msg":""}')
        list[i] = moment
      end
      return table.concat(list, " ")
    end
    local function client()
      return core.client { address = "https://host", api_key = "key", budget = core.budget(7) }
    end
    local expected, mine = pauses(client()), client()
    assert.equal(expected, pauses(client()))
    assert.is_true(forked(function() equal(false, pauses(mine) == expected) end)())
  end)

  it("may be made by a function that runs as a task", function()
    local ks = world:client { host = "tick" }
    local ended, told
    ks:spawn(function()
      assert(ks.cards:packages())
      ended = forked(function()
        equal(false, (pcall(ks.step, ks) and ks:pending()) ~= 0)
        local count
        ks.cards:packages({}, { done = function(value) count = #value end })
        finish(ks)
        equal(3, count)
      end)
      return #assert(ks.cards:packages())
    end, function(count) told = count end)
    finish(ks)
    assert.is_true(ended())
    assert.equal(3, told)
  end)

  for _, name in ipairs(hosts.available()) do
    if name ~= "luv" then -- libuv's loop is shared with the parent; a child makes its own
      it("makes its calls under the host " .. name, function()
        local ks = world:client(hosts[name].options)
        local function count()
          local packages
          hosts[name].run(ks, function()
            packages = #assert(ks.cards:packages())
          end)
          return packages
        end
        assert.equal(3, count())
        assert.is_true(forked(function() equal(3, count()) end)())
        assert.equal(3, count())
      end)
    end
  end
end)
