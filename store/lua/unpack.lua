-- Fragment: reading what pack.lua wrote. Needs rested.lua.

-- unpacked gives the fields of the customer's hash that are not ''; ku is an hour
-- late at most.
local function unpacked(text)
  local at, flags, c = 1, 0, {}
  local function count()
    local n = string.byte(text, at)
    if n > 127 then
      n, at = number(text, at)
      return n
    end
    at = at + 1
    return n
  end
  local function flag()
    local low = flags % 2
    flags = (flags - low) / 2
    return low == 1
  end
  local function span() -- ms; the unit stands in the lowest two bits
    local n = count()
    local unit = n % 4
    return (n - unit) / 4 * (unit == 3 and 3600000 or unit == 2 and 60000 or unit == 1 and 1000 or 1)
  end
  local function instant() -- told from the last push; the lowest bit says that it was before
    local n = count()
    return c.lp + (n % 2 == 1 and -(n + 1) / 2 or n / 2)
  end
  local function word()
    local n = count()
    at = at + n
    return string.sub(text, at - n, at - 1)
  end

  c.lp = count()
  c.ku = c.lp + count() * 3600000
  flags = count()
  c.il, c.es, c.rc, c.v, c.dn, c.e = span(), span(), count(), count(), count(), word()
  c.et, c.st = flag() and '1' or '', flag() and '1' or ''
  local same, his = flag(), flag()
  c.ow = flag() and word() or ''
  c.bo = flag() and count() or ''
  c.se, c.sv = same and c.e or word(), his and c.ow or word()
  if flag() then c.mn, c.mu = count(), c.lp + span() end
  if flag() then c.en, c.eu = count(), c.lp + span() end
  if flag() then c.a = word() end
  if flag() then c.g = word() end
  if flag() then c.at = span() end
  if flag() then c.ei = instant() end
  if flag() then c.sa = instant() end
  if flag() then c.n = word() end
  if flag() then c.mi = word() end
  for _ = 1, flag() and count() or 0 do
    local entry, agent, times = word(), word(), count()
    c['o:' .. entry] = agent .. ' ' .. times .. ' ' .. instant()
  end
  for _, name in ipairs({'rc', 'v', 'dn'}) do if c[name] == 0 then c[name] = nil end end
  for name, value in pairs(c) do
    if value == '' then c[name] = nil elseif type(value) ~= 'string' then c[name] = tostring(value) end
  end
  return c
end
