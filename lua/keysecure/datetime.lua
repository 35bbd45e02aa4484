--- The platform's date texts: `yyyy-MM-dd` or `yyyy-MM-dd HH:mm:ss` in a time zone `UTC+8`.
-- Pure; the machine's own time zone plays no part.

local datetime = {}

local DAY = 86400

-- Days from 1970-01-01 to a day of the Gregorian calendar; March is taken as a year's first month,
-- so that the leap day is its last.
local function days_of(year, month, day)
  if month <= 2 then
    year, month = year - 1, month + 12
  end
  local leaps = math.floor(year / 4) - math.floor(year / 100) + math.floor(year / 400)
  return 365 * year + leaps + math.floor((153 * (month - 3) + 2) / 5) + day - 719469
end

local function civil_of(days)
  local shifted = days + 719468
  local era = math.floor(shifted / 146097)
  local day_of_era = shifted - era * 146097
  local year_of_era = math.floor((day_of_era - math.floor(day_of_era / 1460)
    + math.floor(day_of_era / 36524) - math.floor(day_of_era / 146096)) / 365)
  local day_of_year = day_of_era
    - (365 * year_of_era + math.floor(year_of_era / 4) - math.floor(year_of_era / 100))
  local month_index = math.floor((5 * day_of_year + 2) / 153)
  local day = day_of_year - math.floor((153 * month_index + 2) / 5) + 1
  local month = month_index < 10 and month_index + 3 or month_index - 9
  local year = year_of_era + era * 400 + (month <= 2 and 1 or 0)
  return year, month, day
end

--- Seconds that a time zone such as "UTC+8", "UTC-03:30" or "UTC" is ahead of UTC.
---@param zone string
---@return integer|nil seconds  nil where the text is no such zone
function datetime.zone_offset(zone)
  if zone == "UTC" then
    return 0
  end
  local sign, hours, minutes = zone:match("^UTC([+-])(%d%d?):?(%d*)$")
  if not sign or not (minutes == "" or minutes:match("^[0-5]%d$")) then
    return nil
  end
  local seconds = tonumber(hours) * 3600 + (tonumber(minutes) or 0) * 60
  if seconds > 14 * 3600 then
    return nil
  end
  return sign == "-" and -seconds or seconds
end

--- Unix seconds of a date text; a date alone is its midnight.
---@param text string
---@param zone string
---@return integer|nil seconds  nil where the text is no such date
---@return boolean|nil date_only
function datetime.parse(text, zone)
  local year, month, day, rest = text:match("^(%d%d%d%d)%-(%d%d)%-(%d%d)(.*)$")
  if not year then
    return nil
  end
  year, month, day = tonumber(year), tonumber(month), tonumber(day)
  local hour, minute, second = 0, 0, 0
  if rest ~= "" then
    hour, minute, second = rest:match("^ (%d%d):(%d%d):(%d%d)$")
    if not hour then
      return nil
    end
    hour, minute, second = tonumber(hour), tonumber(minute), tonumber(second)
  end
  if month < 1 or month > 12 or day < 1 or hour > 23 or minute > 59 or second > 59 then
    return nil
  end
  local days = days_of(year, month, day)
  local _, same_month, same_day = civil_of(days)
  if same_month ~= month or same_day ~= day then
    return nil -- such as 30 February
  end
  local local_seconds = days * DAY + hour * 3600 + minute * 60 + second
  return local_seconds - datetime.zone_offset(zone), rest == ""
end

--- The moment up to which a date text reaches as the end of a window: a date alone is meant to its
--- last second [A13].
---@param text string
---@param zone string
---@return integer|nil seconds
function datetime.parse_end(text, zone)
  local seconds, date_only = datetime.parse(text, zone)
  return seconds and (date_only and seconds + DAY - 1 or seconds)
end

--- The text `yyyy-MM-dd HH:mm:ss` of Unix seconds.
---@param seconds integer
---@param zone string
---@return string
function datetime.format(seconds, zone)
  local shifted = math.floor(seconds) + datetime.zone_offset(zone)
  local days = math.floor(shifted / DAY)
  local rest = shifted - days * DAY
  local year, month, day = civil_of(days)
  return string.format("%04d-%02d-%02d %02d:%02d:%02d", year, month, day,
    math.floor(rest / 3600), math.floor(rest % 3600 / 60), rest % 60)
end

return datetime
