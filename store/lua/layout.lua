-- Fragment: how field q of a customer's hash is laid out. Ten digits each: calm of
-- state.lua and ku, in seconds. Thirteen digits each: lp and sa, in ms. Then what is of
-- no fixed length: il, a space, rc.

local CALM, TAIL = 10, 47 -- how many digits calm has; where what is of no fixed length begins
