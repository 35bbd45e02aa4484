-- Debian's nginx comes without lua-resty-string, which is a part of OpenResty and of which
-- lua-resty-http wants one function, for client certificates.
return {
  to_hex = function(text)
    return (text:gsub(".", function(c)
      return string.format("%02x", c:byte())
    end))
  end,
}
