--- A certificate authority and a server certificate for loopback, made when the emulator starts and
--- gone when it ends.
local needs = require "keysecure.emulator.needs"
local altname = needs "openssl.x509.altname"
local bignum = needs "openssl.bignum"
local http_tls = needs "http.tls"
local pkey = needs "openssl.pkey"
local rand = needs "openssl.rand"
local x509 = needs "openssl.x509"
local x509_name = needs "openssl.x509.name"

local certificate = {}

local SECONDS_GOOD = 30 * 86400

local function new_certificate(common_name, key)
  local result = x509.new()
  result:setVersion(3)
  result:setSerial(bignum.fromBinary(rand.bytes(16)))
  local name = x509_name.new()
  name:add("CN", common_name)
  result:setSubject(name)
  result:setLifetime(os.time() - 86400, os.time() + SECONDS_GOOD)
  result:setPublicKey(key)
  return result
end

local function new_authority()
  local key = pkey.new { type = "EC", curve = "prime256v1" }
  local authority = new_certificate("keysecure emulator CA", key)
  authority:setIssuer(authority:getSubject())
  authority:setBasicConstraints { CA = true, pathLen = 0 }
  authority:setBasicConstraintsCritical(true)
  authority:sign(key)
  return authority, key
end

local function new_server_certificate(authority, authority_key)
  local key = pkey.new { type = "EC", curve = "prime256v1" }
  local server = new_certificate("localhost", key)
  server:setIssuer(authority:getSubject())
  local names = altname.new()
  names:add("DNS", "localhost")
  names:add("IP", "127.0.0.1")
  names:add("IP", "::1")
  server:setSubjectAlt(names)
  server:setBasicConstraints { CA = false }
  server:sign(authority_key)
  return server, key
end

-- HTTP/2 where the client offers it.
local function select_protocol(_, offered)
  for _, protocol in ipairs(offered) do
    if protocol == "h2" or protocol == "http/1.1" then
      return protocol
    end
  end
end

--- A TLS context for the server, and the certificate (PEM) that a client must trust.
---@return userdata context
---@return string ca_pem
function certificate.new()
  local authority, authority_key = new_authority()
  local server, key = new_server_certificate(authority, authority_key)
  local context = http_tls.new_server_context()
  if http_tls.has_alpn then
    context:setAlpnSelect(select_protocol)
  end
  assert(context:setPrivateKey(key))
  assert(context:setCertificate(server))
  return context, authority:toPEM()
end

return certificate
