-- Fragment: what seldom changes of a customer stands in two fields of his hash, s and
-- t, as text: to read or write many fields takes longer. Each is short enough for Redis
-- to keep the hash in one piece (64 bytes by default), unless names are long. keys.go
-- says what each part holds.

local PLACE, TERMS = '^(.-)\n(.-)\n(.-)\n(.-)\n(.-)\n(.-)\n(.-)\n(.-)\n(.*)$', '^(.-)\n(.-)\n(.-)\n(.-)\n(.-)\n(.-)\n(.-)\n(.*)$'

-- place splits the text s, terms the text t.
local function place(s) return string.match(s, PLACE) end
local function terms(t) return string.match(t, TERMS) end

-- split sets the parts of c.s and c.t as fields of c. For se, a space, which no
-- entry is named, stands for e.
local function split(c)
  c.e, c.es, c.et, c.a, c.g, c.ow, c.bo, c.se, c.st = place(c.s)
  if c.se == ' ' then c.se = c.e end
  c.v, c.il, c.ku, c.ei, c.mi, c.n, c.dn, c.at = terms(c.t)
end

-- joined is the reverse of split.
local function joined(c)
  return table.concat({c.e, c.es, c.et, c.a, c.g, c.ow, c.bo, c.se == c.e and ' ' or c.se, c.st}, '\n'),
    table.concat({c.v, c.il, c.ku, c.ei, c.mi, c.n, c.dn, c.at}, '\n')
end
