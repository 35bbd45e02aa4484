--- What every token store must do, whatever it is made of.
local core = require "keysecure.core"
local token_store = require "keysecure.token_store"
local assert = require "luassert"

local support = {}

local KEY, OTHER = ("0123456789abcdef"):rep(2), ("f"):rep(32)

--- Waits until `fn` answers something true, and returns that.
function support.eventually(fn, seconds)
  local deadline = core.monotonic() + (seconds or 20) * 1000
  repeat
    local value = fn()
    if value then
      return value
    end
    core.sleep(5)
  until core.monotonic() > deadline
  error("waited in vain", 2)
end

--- Declares the tests. `busted` holds the spec's `it` and `before_each`; `new()` answers a store
--- that is empty; `another(store)` one more handle to it, as another process would have it.
function support.contract(busted, new, another)
  local it, before_each = busted.it, busted.before_each
  local store, twin

  before_each(function()
    store = new()
    twin = another(store)
  end)

  it("is a token store that shows nothing when printed", function()
    assert.is_nil(token_store.fault(store))
    assert.is_nil(tostring(store):find("0x", 1, true))
  end)

  it("has nothing at first", function()
    local text, err = store:load(KEY)
    assert.is_nil(text)
    assert.is_nil(err)
  end)

  it("keeps a text for all, under its key alone", function()
    assert.is_true(store:save(KEY, "one", 60))
    assert.equal("one", store:load(KEY))
    assert.equal("one", twin:load(KEY))
    assert.is_nil(twin:load(OTHER))
    assert.is_true(twin:save(KEY, "two", 60))
    assert.equal("two", store:load(KEY))
  end)

  it("keeps the longest text as it is", function()
    local text = ("0123456789+/ABCd"):rep(token_store.MAX_TEXT / 16)
    assert.equal(token_store.MAX_TEXT, #text)
    assert.is_true(store:save(KEY, text, 60))
    assert.equal(text, twin:load(KEY))
  end)

  it("lets one claim a key", function()
    assert.is_true(store:claim(KEY, "a", 60))
    assert.is_false((twin:claim(KEY, "b", 60)))
    assert.is_nil((select(2, twin:claim(KEY, "b", 60))))
    assert.is_true(twin:claim(OTHER, "b", 60))
    assert.is_true(twin:claim(KEY, "a", 60)) -- its answer got lost, say
  end)

  it("lets the next one claim what was released", function()
    assert.is_true(store:claim(KEY, "a", 60))
    assert.is_true(store:release(KEY, "a"))
    assert.is_true(twin:claim(KEY, "b", 60))
  end)

  it("releases nobody else's claim", function()
    assert.is_true(store:claim(KEY, "a", 60))
    assert.is_true(twin:release(KEY, "b"))
    assert.is_false((twin:claim(KEY, "b", 60)))
    assert.is_true(twin:release(KEY, "b", "note", 60))
    assert.same({ false }, { twin:claim(KEY, "b", 60) })
  end)

  it("gives up a claim whose time is over", function()
    assert.is_true(store:claim(KEY, "a", 0.05))
    support.eventually(function() return twin:claim(KEY, "b", 60) end)
    assert.is_true(store:release(KEY, "a"))
    assert.is_false((store:claim(KEY, "a", 60)))
  end)

  it("gives a note to those who claim, for its time", function()
    assert.is_true(store:claim(KEY, "a", 60))
    assert.is_true(store:release(KEY, "a", "why+not/=", 0.3))
    local claimed, note = twin:claim(KEY, "b", 60)
    if not claimed then -- or the machine was very slow
      assert.equal("why+not/=", note)
      assert.is_nil(store:load(KEY))
    end
    support.eventually(function() return twin:claim(KEY, "b", 60) end)
  end)

  it("keeps text and claim apart", function()
    assert.is_true(store:claim(KEY, "a", 60))
    assert.is_nil(twin:load(KEY))
    assert.is_true(store:save(KEY, "text", 60))
    assert.is_true(store:release(KEY, "a"))
    assert.equal("text", twin:load(KEY))
  end)

  it("forgets a text when its time is over", function()
    assert.is_true(store:save(KEY, "text", 0.05))
    support.eventually(function() return twin:load(KEY) == nil end)
  end)

  it("has a clock that all read alike", function()
    local before, epoch = store:now()
    local between, twin_epoch = twin:now()
    local after = store:now()
    assert.equal("string", type(epoch))
    assert.equal(epoch, twin_epoch)
    assert.is_true(before <= between and between <= after)
    support.eventually(function() return store:now() >= before + 20 end)
  end)
end

return support
