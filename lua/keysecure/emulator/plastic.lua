--- What is printed on a card: PAN with its check digit, CVV, expiry.
local needs = require "keysecure.emulator.needs"
local rand = needs "openssl.rand"

local plastic = {}

local PAN_LENGTH = 16
local YEARS_GOOD = 3

local function random_digits(count)
  local digits = {}
  for i = 1, count do
    digits[i] = string.format("%d", rand.uniform(10))
  end
  return table.concat(digits)
end

--- The check digit of a PAN that lacks it (ISO/IEC 7812-1, Luhn).
---@param digits string
---@return string
function plastic.check_digit(digits)
  local sum = 0
  for i = 1, #digits do
    local digit = digits:byte(-i) - 48
    if i % 2 == 1 then
      digit = digit * 2 > 9 and digit * 2 - 9 or digit * 2
    end
    sum = sum + digit
  end
  return tostring((10 - sum % 10) % 10)
end

--- A new card's data; `taken(pan)` says which PANs there are already.
---@param bin string
---@param year integer  the year of issue
---@param month integer
---@param taken fun(pan: string): boolean
---@return { pan: string, cvv: string, exp_year: string, exp_month: string, card_last_no: string }
function plastic.emboss(bin, year, month, taken)
  local pan
  repeat
    pan = bin .. random_digits(PAN_LENGTH - 1 - #bin)
    pan = pan .. plastic.check_digit(pan)
  until not taken(pan)
  return { pan = pan, cvv = random_digits(3), exp_year = tostring(year + YEARS_GOOD),
    exp_month = string.format("%02d", month), card_last_no = pan:sub(-4) }
end

return plastic
