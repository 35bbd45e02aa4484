-- examples/openresty, started as its documentation says, against the emulator.
local cjson = require "cjson"
local nginx = require "spec.support.nginx"
local support = require "spec.support.client"

local function story(transport)
  return function()
    local world, port, lifeline

    lazy_setup(function()
      world = support.start()
      port = nginx.free_port()
      local root = io.popen("pwd"):read "*l"
      local merchant = world.merchants.credit
      -- A shell holds it, and ends it when this process ends; the keys stay out of its arguments.
      lifeline = assert(io.popen([[
        exec >/dev/null 2>&1
        while read -r line && [ "$line" != go ]; do export "$line"; done
        sh examples/openresty/run.sh & pid=$!
        read -r _; kill -TERM $pid; wait $pid
      ]], "w"))
      for name, value in pairs {
        PORT = port, KEYSECURE_ADDRESS = world.address, KEYSECURE_API_KEY = merchant.api_key,
        KEYSECURE_API_SECRET = merchant.api_secret, KEYSECURE_TRANSPORT = transport,
        LUA_FOLDERS = table.concat({ root .. "/lua/?.lua", root .. "/lua/?/init.lua",
          root .. "/spec/support/debian/?.lua", (nginx.resty_http() or root) .. "/?.lua" }, ";"),
        LUA_CPATHS = root .. "/build/luajit/?.so",
      } do
        lifeline:write(name, "=", value, "\n")
      end
      lifeline:write "go\n"
      lifeline:flush()
      nginx.wait_for(port)
    end)
    lazy_teardown(function()
      lifeline:write "stop\n"
      lifeline:close()
      world:stop()
    end)

    local function ask(path, body)
      local answer = nginx.at(port):get(path, { body = body })
      return answer.status, cjson.decode(answer.body), answer.body
    end

    it("says how it fares", function()
      local status, answer = ask "/health"
      assert.same({ 200, { ok = true, transport = transport } }, { status, answer })
    end)

    it("issues a card and shows it masked", function()
      local status, answer, text = ask("/cards", '{"person":"U-1","share_token":"share"}')
      assert.equal(201, status, text)
      assert.equal("Activated", answer.status)
      assert.matches("^%d%d%d%d%d%d%*%*%*%*%*%*%d%d%d%d %d%d/%d%d%d%d$", answer.card)
      local plastic = world:control("GET", "card/" .. answer.card_no)
      assert.is_nil(text:find(plastic.pan, 1, true))
      -- Three digits can be part of any number, so: nothing else is told.
      assert.same({ card_no = answer.card_no, status = "Activated", card = answer.card }, answer)
      assert.matches("^C%d+$", answer.card_no)
    end)

    it("says what was refused, and what was not asked rightly", function()
      assert.equal(400, (ask("/cards", "{}")))
      assert.equal(400, (ask("/cards", "nonsense")))
      world:fault("cardholders.apply", 2006)
      local status, answer = ask("/cards", '{"person":"U-2","share_token":"share"}')
      assert.same({ 422, "refused" }, { status, answer.outcome })
    end)
  end
end

nginx.describe("examples/openresty, by the pump,", story "curl")
nginx.describe_resty("examples/openresty, over cosockets,", story "resty")
