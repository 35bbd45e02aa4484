-- The token operation through the client, over HTTP.
local core = require "keysecure.core"
local support = require "spec.support.client"

describe("merchant", function()
  local world

  setup(function()
    world = support.start { token_lifetime = 3600 }
  end)
  teardown(function()
    world:stop()
  end)

  describe("merchant.token", function()
    it("works, though nobody needs it", function()
      local token = assert(world.ks:call "merchant.token")
      support.check_row("merchant.token", token)
      assert.matches("^%x+$", token.access_token)
      local left = token.expired_time - select(2, core.now())
      assert.is_true(left > 3590000 and left <= 3600000, left)
      assert.equal("access token", tostring(token))
    end)

    it("is asked with Api-Key and Timestamp alone", function()
      local headers
      local ks = world:client { transport = { perform = function(_, request)
        headers = request.headers
        return nil, { reason = "tls", message = "no" }
      end } }
      ks:call "merchant.token"
      assert.is_nil(headers["Access-Token"])
      assert.equal(world.merchants.credit.api_key, headers["Api-Key"])
      assert.matches("^%d+$", headers.Timestamp)
      assert.equal(13, #headers.Timestamp)
    end)
  end)
end)
