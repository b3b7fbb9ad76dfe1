-- Fragment: reading what pack.lua wrote. Needs rested.lua.

-- unpacked gives the fields of the customer's hash that are not ''; ku is an hour
-- late at most.
local function unpacked(text)
  local at, has, c = 1, {}, {}
  local function count()
    local n = string.byte(text, at)
    if n > 127 then
      n, at = number(text, at)
      return n
    end
    at = at + 1
    return n
  end
  local function span(n) -- ms; the unit stands in the lowest two bits
    local unit = n % 4
    return (n - unit) / 4 * (unit == 3 and 3600000 or unit == 2 and 60000 or unit == 1 and 1000 or 1)
  end
  local function instant(from) -- the lowest bit says that it was before
    local n = count()
    return from + (n % 2 == 1 and -(n + 1) / 2 or n / 2)
  end
  local function word()
    local n = count()
    at = at + n
    return string.sub(text, at - n, at - 1)
  end

  c.lp = count()
  local hours, flags = count(), count()
  c.ku = c.lp + hours * 3600000
  for name in string.gmatch(FLAGS, '%a+') do
    local low = flags % 2
    flags, has[name] = (flags - low) / 2, low == 1
  end
  c.il, c.es = span(count()), count()
  c.es = c.es < 2 and (hours - 1 - c.es) * 3600000 or span(c.es) -- no span is written as 0 or 1
  c.rc, c.v, c.dn, c.e = count(), count(), count(), word()
  c.et, c.st = has.et and '1' or '', has.st and '1' or ''
  c.ow = has.ow and word() or ''
  c.bo = has.bo and count() or ''
  c.se, c.sv = has.elsewhere and word() or c.e, has.another and word() or c.ow
  if has.mu then
    local n = count()
    if n % 2 == 1 then -- hours, and less than eight messages
      n = (n - 1) / 2
      c.mn = n % 8
      c.mu = c.lp + (n - c.mn) / 8 * 3600000
    else
      c.mn, c.mu = n / 2, instant(c.lp)
    end
  end
  if has.en then c.en, c.eu = count(), instant(c.lp) end
  if has.a then c.a = word() end
  if has.g then c.g = word() end
  if has.at then c.at = span(count()) end
  if has.ei then c.ei = instant(c.lp) end
  if has.sa then c.sa = instant(has.taken and c.ei or c.lp) end
  if has.n then c.n = word() end
  if has.mi then c.mi = word() end
  for _ = 1, has.others and count() or 0 do
    local entry, agent, times = word(), word(), count()
    c['o:' .. entry] = agent .. ' ' .. times .. ' ' .. instant(c.lp)
  end
  for _, name in ipairs({'rc', 'v', 'dn'}) do if c[name] == 0 then c[name] = nil end end
  for name, value in pairs(c) do
    if value == '' then c[name] = nil elseif type(value) ~= 'string' then c[name] = tostring(value) end
  end
  return c
end
