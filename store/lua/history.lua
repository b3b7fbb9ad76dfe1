-- history reads what explain shows. Needs customer.lua.
--
-- KEYS  1 customer, 2 records
-- ARGV  1 now ms
-- Returns {last push ms ('' = nothing known), view, records, newest first}
local c = open(KEYS[1])
return {c.lp, view(c, tonumber(ARGV[1]), tonumber(c.il) or 0, c.sv), redis.call('LRANGE', KEYS[2], 0, -1)}
