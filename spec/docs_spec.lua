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

  it("explains every assumption that the code names", function()
    local assumptions = read("docs/assumptions.md")
    local pipe = assert(io.popen("grep -rhoE '\\bA[0-9]+\\b' lua csrc"))
    for mark in pipe:lines() do
      assert.is_truthy(assumptions:find("| " .. mark .. " |", 1, true), mark)
    end
    pipe:close()
  end)
end)
