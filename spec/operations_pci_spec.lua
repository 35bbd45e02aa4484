-- The operations of the hosted iframe through the client, over HTTP.
local support = require "spec.support.client"

describe("pci", function()
  local world, ks, card

  setup(function()
    world = support.start()
    ks = world.ks
    card = world:card()
  end)
  teardown(function()
    world:stop()
  end)
  after_each(function()
    world:configure { merchants = { credit = { pci = true } } }
    world:no_faults()
  end)

  local function client_token()
    return assert(ks.pci:client_token { card_no = card.card_no }).client_access_token
  end

  describe("pci.client_token", function()
    it("works: guarded, and another each time", function()
      local token = assert(ks.pci:client_token { card_no = card.card_no })
      support.check_row("pci.client_token", token)
      assert.equal("client token for 300 s", (tostring(token):gsub("%.0", "")))
      assert.equal(300, token.expires_in)
      assert.are_not.equal(token.client_access_token, client_token())
    end)

    it("is refused with 1013 where the merchant has no PCI", function()
      world:configure { merchants = { credit = { pci = false } } }
      support.refused({ code = 1013, attempts = 1 },
        ks.pci:client_token { card_no = card.card_no })
    end)

    it("is refused with 4001 for a card that there isn't", function()
      support.refused({ code = 4001 }, ks.pci:client_token { card_no = "C1" })
    end)

    it("is refused with 4005 unless the card is Activated", function()
      local other = world:card()
      assert(other:freeze())
      support.refused({ code = 4005 }, ks.pci:client_token { card_no = other.card_no })
    end)
  end)

  describe("pci.card_detail", function()
    local function detail(token, card_no)
      return ks.pci:card_detail { card_no = card_no or card.card_no,
        client_access_token = token }
    end

    it("works once: guarded, as private_info", function()
      local token = client_token()
      local private = assert(detail(token))
      support.check_row("pci.card_detail", private)
      assert.equal(world:plastic(card).pan, private.pan)
      assert.equal(world:plastic(card).cvv, private.cvv)
      assert.matches("^411111%*+%d%d%d%d ", tostring(private))
      support.refused({ code = 1014, attempts = 1 }, detail(token))
    end)

    it("is refused with 1013 where the merchant has no PCI", function()
      local token = client_token()
      world:configure { merchants = { credit = { pci = false } } }
      support.refused({ code = 1013 }, detail(token))
    end)

    it("is refused with 1014 for another token or another card's", function()
      support.refused({ code = 1014 }, detail "no-token")
      support.refused({ code = 1014 }, detail(client_token(), world:card().card_no))
    end)

    it("is refused with 1015, 1016, 1017 and 1018 where a browser is misled", function()
      for _, code in ipairs { 1015, 1016, 1017, 1018 } do
        world:fault("pci.card_detail", code)
        support.refused({ code = code, attempts = 1 }, detail "token")
      end
    end)

    it("is refused with 4001 for a card that there isn't", function()
      support.refused({ code = 4001 }, detail("token", "C1"))
    end)
  end)
end)
