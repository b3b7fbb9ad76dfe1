-- Fragment: what is known of a customer in every conversation stands in three fields of
-- his hash as text: to read or write many fields takes longer. s and t seldom change, q
-- does with every push. Each is short enough for Redis to keep the hash in one piece (64
-- bytes by default), unless names are long. keys.go says what each part holds. Needs
-- whole.lua, layout.lua.

local PLACE = '^([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n(.*)$'
local TERMS = '^([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n(.*)$'
local NEVER = '0000000000000'

-- split sets the parts of c.s, c.t and c.q as fields of c. For se, a space, which no
-- entry is named, stands for e.
local function split(c)
  c.e, c.es, c.et, c.a, c.g, c.ow, c.bo, c.se, c.st = string.match(c.s, PLACE)
  if c.se == ' ' then c.se = c.e end
  c.v, c.ei, c.mi, c.n, c.dn, c.at = string.match(c.t, TERMS)
  local q = c.q
  local ku, lp, sa = string.sub(q, 11, 20), string.sub(q, 21, 33), string.sub(q, 34, 46)
  c.ku = ku ~= string.sub(NEVER, 1, 10) and ku .. '000' or ''
  c.lp, c.sa = lp ~= NEVER and lp or '', sa ~= NEVER and sa or ''
  c.il, c.rc = string.match(q, '^(%d*) (%d*)$', TAIL)
end

-- calm tells until when (ms) a message that comes within il of the last one leaves
-- s, t, ku, the TTL and his lane as they are; 0 if one does not. It is a second less than that:
-- kept.lua, which compares texts, may take the second of calm for over or not.
local function calm(c)
  if c.hl == '1' then return 0 end
  local il, es, ku = tonumber(c.il) or 0, tonumber(c.es) or 0, tonumber(c.ku) or 0
  local owned = c.ow ~= '' and es > 0 and es >= il
  if c.se ~= c.e or not owned and (c.ow ~= '' or c.bo ~= '') then return 0 end
  return math.max(0, ku - math.max(il, es) - 1000)
end

-- fixed writes down an instant (ms, as text) in thirteen digits.
local function fixed(ms)
  if #ms == 13 then return ms end
  return ms == '' and NEVER or string.format('%013.0f', ms + 0)
end

-- joined gives s and t, the reverse of split.
local function joined(c)
  return table.concat({c.e, c.es, c.et, c.a, c.g, c.ow, c.bo, c.se == c.e and ' ' or c.se, c.st}, '\n'),
    table.concat({c.v, c.ei, c.mi, c.n, c.dn, c.at}, '\n')
end

-- paced gives q.
local function paced(c)
  return string.sub(fixed(whole(calm(c))), 1, 10) .. string.sub(fixed(c.ku), 1, 10) .. fixed(c.lp) .. fixed(c.sa) .. c.il .. ' ' .. c.rc
end
