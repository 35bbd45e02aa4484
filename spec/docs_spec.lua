local function read(path)
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  return text
end

describe("the reference", function()
  it("says what api.lua says: ./dev docs writes it", function()
    assert.equal(dofile("docs/generate.lua"), read("docs/operations.md"))
  end)

  it("is linked from the README, like every page", function()
    local readme = read("README.md")
    for _, page in ipairs { "client", "operations", "command", "emulator", "callbacks",
      "assumptions" } do
      assert.is_truthy(readme:find("docs/" .. page .. ".md", 1, true), page)
      read("docs/" .. page .. ".md")
    end
  end)

  it("says what assumptions.lua says: ./dev docs writes it", function()
    assert.equal(dofile("docs/assumptions.lua"), read("docs/assumptions.md"))
  end)

  it("explains every assumption that the tree names, and none twice", function()
    local known = {}
    for i, assumption in ipairs(require "keysecure.assumptions") do
      assert.equal("A" .. i, assumption.mark)
      known[assumption.mark] = true
    end
    local pipe = assert(io.popen("grep -IrhoE '\\bA[0-9]+\\b' lua csrc docs spec examples"))
    local seen = 0
    for mark in pipe:lines() do
      seen = seen + 1
      assert.is_truthy(known[mark], mark)
    end
    pipe:close()
    assert.is_true(seen > #require "keysecure.assumptions")
  end)
end)
