--- Starts spec/support/wire_server.lua as a child and ends it again.
local child = require "spec.support.child"

local wire = { interpreter = child.interpreter }

--- A server with `plain`, `tls`, `expired`, `h2`, `proxy` (ports), `pin`, `other_pin`, `ca_file`,
--- and `stop`.
function wire.start()
  local server = child.start "spec/support/wire_server.lua"
  server.ca_file = server.directory .. "/ca.pem"
  --- A URL of the plain server.
  function server.url(self, path)
    return ("http://127.0.0.1:%d%s"):format(self.plain, path)
  end
  return server
end

return wire
