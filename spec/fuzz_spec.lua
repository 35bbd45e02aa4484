-- The corpus of each fuzz target, run by fuzz/replay.c under the sanitizers: `./dev fuzz` makes new
-- inputs. Tagged #asan, which is the one flavour that has these programs.
local lfs = require "lfs"

local TARGETS = { "json", "signature", "webhook", "cipher", "call" }

local function files_of(target)
  local folder, paths = "fuzz/corpus/" .. target, {}
  for name in lfs.dir(folder) do
    if name:sub(1, 1) ~= "." then
      paths[#paths + 1] = "'" .. folder .. "/" .. name .. "'"
    end
  end
  table.sort(paths)
  return paths
end

describe("the fuzz corpus #asan", function()
  for _, target in ipairs(TARGETS) do
    it("of " .. target .. " breaks nothing", function()
      local paths = files_of(target)
      assert.is_true(#paths >= 20, "the corpus is gone")
      local pipe = assert(io.popen(("%s/fuzz/%s %s 2>&1; echo \"status $?\""):format(
        os.getenv "KS_BUILD", target, table.concat(paths, " "))))
      local said = pipe:read "*a"
      pipe:close()
      assert.equal(#paths .. " files\nstatus 0\n", said)
    end)
  end
end)
