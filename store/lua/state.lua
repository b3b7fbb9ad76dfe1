-- Fragment: what seldom changes of a customer stands in three fields of his hash, s, t
-- and q, as text: to read or write many fields takes longer. Each is short enough for
-- Redis to keep the hash in one piece (64 bytes by default), unless names are long.
-- keys.go says what each part holds. Needs whole.lua.

local PLACE = '^([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n(.*)$'
local TERMS, NEVER = '^([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n(.*)$', '0000000000'
local EARLIER = '^(.-)\n(.-)\n(.-)\n(.-)\n(.-)\n(.-)\n(.-)\n(.*)$' -- t, where there is no q yet

-- split sets the parts of c.s, c.t and c.q as fields of c. For se, a space, which no
-- entry is named, stands for e.
local function split(c)
  c.e, c.es, c.et, c.a, c.g, c.ow, c.bo, c.se, c.st = string.match(c.s, PLACE)
  if c.se == ' ' then c.se = c.e end
  if (c.q or '') == '' then
    c.v, c.il, c.ku, c.ei, c.mi, c.n, c.dn, c.at = string.match(c.t, EARLIER)
    return
  end
  c.v, c.ei, c.mi, c.n, c.dn, c.at = string.match(c.t, TERMS)
  local ku = string.sub(c.q, 11, 20)
  c.ku, c.il = ku ~= NEVER and ku .. '000' or '', string.sub(c.q, 21)
end

-- calm tells until when (ms) a message that comes within il of the last one leaves
-- s, t, q and the TTL as they are; 0 if one does not. It is a second less than that:
-- kept.lua, which compares texts, may take the second of calm for over or not.
local function calm(c)
  local il, es, ku = tonumber(c.il) or 0, tonumber(c.es) or 0, tonumber(c.ku) or 0
  local owned = c.ow ~= '' and es > 0 and es >= il
  if c.se ~= c.e or not owned and (c.ow ~= '' or c.bo ~= '') then return 0 end
  return math.max(0, ku - math.max(il, es) - 1000)
end

-- seconds writes down an instant (ms, as text) as ten digits.
local function seconds(ms)
  return #ms == 13 and string.sub(ms, 1, 10) or string.format('%010d', (tonumber(ms) or 0) / 1000)
end

-- joined is the reverse of split. q holds calm and ku, in seconds, and il.
local function joined(c)
  return table.concat({c.e, c.es, c.et, c.a, c.g, c.ow, c.bo, c.se == c.e and ' ' or c.se, c.st}, '\n'),
    table.concat({c.v, c.ei, c.mi, c.n, c.dn, c.at}, '\n'),
    seconds(whole(calm(c))) .. seconds(c.ku) .. c.il
end
