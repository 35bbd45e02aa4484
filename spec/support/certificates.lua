--- Keys and certificates of authorities that nobody else trusts, for the servers of the specs.
local altname = require "openssl.x509.altname"
local basexx = require "basexx"
local bignum = require "openssl.bignum"
local digest = require "openssl.digest"
local name = require "openssl.x509.name"
local pkey = require "openssl.pkey"
local rand = require "openssl.rand"
local ssl_context = require "openssl.ssl.context"
local x509 = require "openssl.x509"

local certificates = {}

local HOUR, DAY = 3600, 86400

function certificates.key()
  return pkey.new { type = "EC", curve = "prime256v1" }
end

-- `from` and `to`: seconds from now.
local function certificate(subject, key, from, to)
  local made = x509.new()
  made:setVersion(3)
  made:setSerial(bignum.fromBinary(rand.bytes(8)))
  made:setSubject(name.new():add("CN", subject))
  made:setLifetime(os.time() + from, os.time() + to)
  made:setBasicConstraintsCritical(true)
  made:setPublicKey(key)
  return made
end

--- An authority: `certificate`, `key`.
function certificates.authority(subject)
  local key = certificates.key()
  local made = certificate(subject, key, -HOUR, DAY)
  made:setIssuer(made:getSubject())
  made:setBasicConstraints { CA = true }
  made:sign(key)
  return { certificate = made, key = key }
end

--- A server's certificate for 127.0.0.1. `but`: `expired`, or `named`, another name it is for.
function certificates.server(authority, key, but)
  but = but or {}
  local made = certificate("server of the specs", key, -2 * HOUR, but.expired and -HOUR or DAY)
  made:setIssuer(authority.certificate:getSubject())
  made:setBasicConstraints { CA = false }
  local names = altname.new()
  made:setSubjectAlt(but.named and names:add("DNS", but.named) or names:add("IP", "127.0.0.1"))
  made:sign(authority.key)
  return made
end

--- A server's side of TLS that speaks one protocol.
function certificates.context(cert, key, protocol)
  local context = ssl_context.new("TLS", true)
  context:setCertificate(cert)
  context:setPrivateKey(key)
  context:setAlpnSelect(function(_, offered)
    for _, one in ipairs(offered) do
      if one == protocol then
        return one
      end
    end
  end)
  return context
end

--- What `pinned_key` takes for this key.
function certificates.pin_of(key)
  local der = basexx.from_base64((key:toPEM("public"):gsub("%-%-%-%-%-[^\n]*", ""):gsub("%s", "")))
  return "sha256//" .. basexx.to_base64(digest.new("sha256"):final(der))
end

function certificates.write(cert, path)
  local file = assert(io.open(path, "w"))
  file:write(cert:toPEM())
  file:close()
end

return certificates
