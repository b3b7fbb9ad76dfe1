-- Fragment: a customer's hash as the text that is kept while he rests. Needs
-- rested.lua, and unpack.lua, which reads it and says how it is made up.

-- pack makes the text of the fields c, of which as many as there are must be known
-- to it; nil if they are not, if one is not as it ought to be, or the text is too
-- long. Left out are hl, rm and re, which mean nothing while nothing is owed, and an
-- allowance after entering that is over.
local function pack(c, there, now)
  local out, flags, weight, fits = {}, 0, 1, true
  local function take(name)
    local value = c[name] or ''
    if value ~= '' then there = there - 1 end
    return value
  end
  local function number(x)
    if not x or x < 0 or x > 9e15 or x % 1 ~= 0 then
      fits = false
      return
    end
    while x > 127 do
      local low = x % 128
      out[#out + 1], x = string.char(128 + low), (x - low) / 128
    end
    out[#out + 1] = string.char(x)
  end
  local function flag(set)
    if set then flags = flags + weight end
    weight = weight * 2
    return set
  end
  local function bit(name) -- '0' was written once for what is not there
    local value = take(name)
    fits = fits and (value == '' or value == '0' or value == '1')
    flag(value == '1')
  end
  local function span(x)
    if not x then fits = false
    elseif x % 3600000 == 0 then number(x / 3600000 * 4 + 3)
    elseif x % 60000 == 0 then number(x / 60000 * 4 + 2)
    elseif x % 1000 == 0 then number(x / 1000 * 4 + 1)
    else number(x * 4) end
  end
  local function word(text) number(#text) out[#out + 1] = text end
  local function instant(at)
    local after = (tonumber(at) or 0) - c.lp
    number(after < 0 and -after * 2 - 1 or after * 2)
  end
  local function count(name) number(tonumber(take(name)) or 0) end

  number(tonumber(take('lp'))) number(math.max(0, math.ceil((take('ku') - c.lp) / 3600000)))
  local head = table.concat(out)
  out = {}
  span(tonumber(take('il'))) span(tonumber(take('es'))) count('rc') count('v') count('dn')
  local e, se, ow, sv, bo, mu, eu = take('e'), take('se'), take('ow'), take('sv'), take('bo'), take('mu'), take('eu')
  word(e) bit('et') bit('st')
  flag(se == e) flag(sv == ow)
  if flag(ow ~= '') then word(ow) end
  if flag(bo ~= '' and bo ~= '0') then number(tonumber(bo)) end
  if se ~= e then word(se) end
  if sv ~= ow then word(sv) end
  if flag(mu ~= '') then number(tonumber(take('mn'))) span(mu - c.lp) end
  local en = take('en')
  if flag((tonumber(eu) or 0) > math.min(now, tonumber(mu) or 0)) then number(tonumber(en)) span(eu - c.lp) end
  for _, name in ipairs({'a', 'g', 'at', 'ei', 'sa', 'n', 'mi'}) do
    local value = take(name)
    if flag(value ~= '') then
      if name == 'at' then span(tonumber(value)) elseif name == 'ei' or name == 'sa' then instant(value) else word(value) end
    end
  end
  take('hl') take('rm') take('re')
  if flag(there > 0) then number(there) end
  for name, value in pairs(there > 0 and c or {}) do
    local agent, times, last = string.match(value, '^(%S+) (%d+) (%d+)$')
    if string.sub(name, 1, 2) == 'o:' and agent then
      word(string.sub(name, 3)) word(agent) number(tonumber(times)) instant(last)
      there = there - 1
    end
  end

  local last = #out
  number(flags)
  local text = head .. table.concat(out, '', last + 1) .. table.concat(out, '', 1, last)
  return fits and there == 0 and #text <= VALUE and text or nil
end
