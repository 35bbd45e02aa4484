-- Runs busted under the Lua that runs this file (`busted` itself picks whichever Lua `lua` is), and
-- brings an output handler `tally`: busted's plain one, and for ./dev two small files beside it:
--   $KS_TALLY      "passed failed skipped", written once all tests are through
--   $KS_TALLY.at   the test that is running, for when the run has to be ended from outside

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text, "\n")
  file:close()
end

package.preload["busted.outputHandlers.tally"] = function()
  return function(options)
    local busted = require "busted"
    local handler = require "busted.outputHandlers.plainTerminal"(options)
    local path = os.getenv "KS_TALLY"
    if not path then return handler end

    busted.subscribe({ "test", "start" }, function(element)
      local trace = element.trace or {}
      write(path .. ".at", ("%s (%s:%s)"):format(
        handler.getFullName(element), trace.short_src or "?", trace.currentline or "?"))
      return nil, true
    end)

    busted.subscribe({ "suite", "end" }, function()
      write(path, ("%d %d %d"):format(
        handler.successesCount, handler.failuresCount + handler.errorsCount, handler.pendingsCount))
      return nil, true
    end)

    return handler
  end
end

-- busted forgets the modules that a spec file loaded and has each file load them anew. cqueues does
-- not bear that: for a moment its finalizers don't know their own objects, and one collected just
-- then fails or leaves a dangling pointer. What is loaded before busted starts stays.
for _, name in ipairs { "http.request", "http.server", "http.tls", "cqueues.signal", "luv" } do
  pcall(require, name)
end

require "busted.runner" { standalone = false }
