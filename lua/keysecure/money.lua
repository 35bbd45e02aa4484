--- Exact money: decimal text of any length, without a float anywhere.
--
-- A Lua number is refused by raising, because 0.1 + 0.2 is a bug waiting; a text that is no decimal
-- number comes back as `nil, err`. A result keeps as many decimals as the operand that has more
-- ("100.00" - "0.5" is "99.50"), carries no needless leading zero, and zero has no sign.
local errors = require "keysecure.errors"

local money = {}

---@class keysecure.Decimal
---@field negative boolean
---@field digits string   all digits, the decimals included
---@field scale integer   how many of them are decimals

local function parse(value)
  if type(value) ~= "string" then
    error('money is decimal text such as "100.00", got a ' .. type(value), 4)
  end
  local sign, whole, point, fraction = value:match("^(%-?)(%d+)(%.?)(%d*)$")
  if not whole or (point == ".") ~= (fraction ~= "") then
    return nil, errors.new { kind = "invalid", message = "not a decimal number" }
  end
  return { negative = sign == "-", digits = whole .. fraction, scale = #fraction }
end

local function parse_both(a, b)
  local x, err = parse(a)
  local y
  if x then
    y, err = parse(b)
  end
  if not y then
    return nil, err
  end
  return x, y
end

local function text_of(negative, digits, scale)
  if #digits <= scale then
    digits = ("0"):rep(scale + 1 - #digits) .. digits
  end
  local whole = digits:sub(1, #digits - scale):gsub("^0+(%d)", "%1")
  local text = scale > 0 and whole .. "." .. digits:sub(-scale) or whole
  return (negative and text:find("[1-9]")) and "-" .. text or text
end

-- Both with the same number of decimals and of digits, so that texts compare as numbers do.
local function aligned(x, y)
  local scale = math.max(x.scale, y.scale)
  local a = x.digits .. ("0"):rep(scale - x.scale)
  local b = y.digits .. ("0"):rep(scale - y.scale)
  local width = math.max(#a, #b)
  return ("0"):rep(width - #a) .. a, ("0"):rep(width - #b) .. b, scale
end

-- Column by column from the right; `step(a, b, carry)` answers a digit and the next carry.
local function columns(a, b, step)
  local result, carry = {}, 0
  for i = #a, 1, -1 do
    result[i], carry = step(a:byte(i) - 48, b:byte(i) - 48, carry)
  end
  return table.concat(result), carry
end

local function add_digits(a, b)
  local sum, carry = columns(a, b, function(x, y, over)
    local digit = x + y + over
    if digit > 9 then
      return digit - 10, 1
    end
    return digit, 0
  end)
  return carry == 1 and "1" .. sum or sum
end

-- `a` is not less than `b`.
local function subtract_digits(a, b)
  return (columns(a, b, function(x, y, borrowed)
    local digit = x - y - borrowed
    if digit < 0 then
      return digit + 10, 1
    end
    return digit, 0
  end))
end

local function sum(x, y)
  local a, b, scale = aligned(x, y)
  if x.negative == y.negative then
    return text_of(x.negative, add_digits(a, b), scale)
  elseif a >= b then
    return text_of(x.negative, subtract_digits(a, b), scale)
  end
  return text_of(y.negative, subtract_digits(b, a), scale)
end

local function is_zero(x)
  return not x.digits:find("[1-9]")
end

-- Schoolbook multiplication; cell i holds the digit worth 10^(i-1).
local function multiply_digits(a, b)
  local cells = {}
  for i = 1, #a + #b do
    cells[i] = 0
  end
  for i = 1, #a do
    local carry, digit = 0, a:byte(-i) - 48
    for j = 1, #b do
      local cell = cells[i + j - 1] + digit * (b:byte(-j) - 48) + carry
      carry = math.floor(cell / 10)
      cells[i + j - 1] = cell - carry * 10
    end
    cells[i + #b] = carry
  end
  for i, cell in ipairs(cells) do
    cells[i] = string.char(48 + cell)
  end
  return table.concat(cells):reverse()
end

-- Half away from zero.
local function round_digits(digits, scale, wanted)
  if scale <= wanted then
    return digits .. ("0"):rep(wanted - scale)
  end
  local cut = scale - wanted
  digits = ("0"):rep(cut + 1 - #digits) .. digits
  local kept, dropped = digits:sub(1, #digits - cut), digits:sub(-cut)
  if dropped:byte(1) >= 53 then
    kept = add_digits(kept, ("0"):rep(#kept - 1) .. "1")
  end
  return kept
end

--- Whether `value` is decimal text that this module takes: digits with an optional minus sign and
--- optional decimals; no plus sign, no exponent, no spaces.
---@param value any
---@return boolean
function money.is(value)
  return type(value) == "string" and parse(value) ~= nil
end

--- Compares by value: "1.0" equals "1.00".
---@param a string
---@param b string
---@return -1|0|1|nil
---@return keysecure.Error|nil err
function money.compare(a, b)
  local x, y = parse_both(a, b)
  if not x then
    return nil, y
  end
  local p, q = aligned(x, y)
  local x_below_zero, y_below_zero = x.negative and not is_zero(x), y.negative and not is_zero(y)
  if x_below_zero ~= y_below_zero then
    return x_below_zero and -1 or 1
  elseif p == q then
    return 0
  end
  return (p < q) == x_below_zero and 1 or -1
end

---@param a string
---@param b string
---@return string|nil sum
---@return keysecure.Error|nil err
function money.add(a, b)
  local x, y = parse_both(a, b)
  if not x then
    return nil, y
  end
  return sum(x, y)
end

---@param a string
---@param b string
---@return string|nil difference  may be negative
---@return keysecure.Error|nil err
function money.subtract(a, b)
  local x, y = parse_both(a, b)
  if not x then
    return nil, y
  end
  return sum(x, { negative = not y.negative, digits = y.digits, scale = y.scale })
end

--- The product, rounded half away from zero ("0.005" to two decimals is "0.01", as Java's HALF_UP)
--- to `scale` decimals; without `scale` it is exact.
---@param a string
---@param b string       a rate, for example
---@param scale? integer
---@return string|nil product
---@return keysecure.Error|nil err
function money.multiply(a, b, scale)
  if scale ~= nil and (type(scale) ~= "number" or scale < 0 or scale % 1 ~= 0) then
    error("scale is a whole number of decimals", 2)
  end
  local x, y = parse_both(a, b)
  if not x then
    return nil, y
  end
  local exact = x.scale + y.scale
  local digits = round_digits(multiply_digits(x.digits, y.digits), exact, scale or exact)
  return text_of(x.negative ~= y.negative, digits, scale or exact)
end

return money
