-- Fragment: a customer's hash as the text that is kept while he rests, which unpack.lua
-- reads. Needs rested.lua.

-- pack makes the text of the fields c, of which as many as there are must be known
-- to it; nil if they are not, if one is not as it ought to be, or the text is too
-- long. Left out are hl, rm and re, which mean nothing while nothing is owed, and an
-- allowance after entering that is over.
local function pack(c, there, now)
  local out, has, fits = {}, {}, true
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
  local function bit(name)
    local value = take(name)
    fits = fits and (value == '' or value == '1')
    has[name] = value == '1'
  end
  local function span(x)
    if not x then fits = false
    elseif x % 3600000 == 0 then number(x / 3600000 * 4 + 3)
    elseif x % 60000 == 0 then number(x / 60000 * 4 + 2)
    elseif x % 1000 == 0 then number(x / 1000 * 4 + 1)
    else number(x * 4) end
  end
  local function word(text) number(#text) out[#out + 1] = text end
  local function instant(at, from)
    local after = (tonumber(at) or 0) - from
    number(after < 0 and -after * 2 - 1 or after * 2)
  end
  local function count(name) number(tonumber(take(name)) or 0) end

  local lp, hours = tonumber(take('lp')), math.max(0, math.ceil((take('ku') - c.lp) / 3600000))
  number(lp) number(hours)
  local head = table.concat(out)
  out = {}
  span(tonumber(take('il')))
  local es = tonumber(take('es'))
  local less = es and hours - es / 3600000 -- the key is kept for an hour longer, and up to one more
  if less == 1 or less == 2 then number(less - 1) else span(es) end
  count('rc') count('v') count('dn')
  local e, se, ow, sv, bo, mn, mu = take('e'), take('se'), take('ow'), take('sv'), take('bo'), tonumber(take('mn')), take('mu')
  word(e) bit('et') bit('st')
  has.elsewhere, has.another, has.ow, has.bo = se ~= e, sv ~= ow, ow ~= '', bo ~= ''
  if has.ow then word(ow) end
  if has.bo then number(tonumber(bo)) end
  if has.elsewhere then word(se) end
  if has.another then word(sv) end
  has.mu = mu ~= ''
  if has.mu then
    local after = (mu - lp) / 3600000
    if mn and mn >= 0 and mn < 8 and after >= 0 and after % 1 == 0 then number((after * 8 + mn) * 2 + 1)
    else number(mn and mn * 2) instant(mu, lp) end
  end
  local en, eu = tonumber(take('en')), take('eu')
  has.en = (tonumber(eu) or 0) > math.min(now, tonumber(mu) or 0)
  if has.en then number(en) instant(eu, lp) end
  for _, name in ipairs({'a', 'g', 'at', 'ei', 'sa', 'n', 'mi'}) do
    local value = take(name)
    has[name] = value ~= ''
    if value == '' then -- nothing
    elseif name == 'at' then span(tonumber(value))
    elseif name == 'ei' then instant(value, lp)
    elseif name == 'sa' then -- taken when the conversation began, or refreshed by one of the last pushes
      local at, ei = tonumber(value) or 0, tonumber(c.ei)
      has.taken = ei and math.abs(at - ei) < math.abs(at - lp)
      instant(at, has.taken and ei or lp)
    else word(value) end
  end
  take('hl') take('rm') take('re')
  has.others = there > 0
  if has.others then number(there) end
  for name, value in pairs(has.others and c or {}) do
    local agent, times, last = string.match(value, '^(%S+) (%d+) (%d+)$')
    if string.sub(name, 1, 2) == 'o:' and agent then
      word(string.sub(name, 3)) word(agent) number(tonumber(times)) instant(last, lp)
      there = there - 1
    end
  end

  local last, flags, weight = #out, 0, 1
  for name in string.gmatch(FLAGS, '%a+') do
    flags, weight = flags + (has[name] and weight or 0), weight * 2
  end
  number(flags)
  local text = head .. table.concat(out, '', last + 1) .. table.concat(out, '', 1, last)
  return fits and there == 0 and #text <= VALUE and text or nil
end
