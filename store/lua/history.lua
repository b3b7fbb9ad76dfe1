-- history reads what explain shows. Needs customer.lua with what it needs.
--
-- KEYS  1 customer, 2 records, 3 bucket
-- ARGV  1 now ms, 2 member, 3 how many records are asked for, 4 how old they may be ms
-- Returns {last push ms ('' = nothing known), view, records, newest first}
local c, now, name, found = open(KEYS[1], KEYS[3], ARGV[2]), tonumber(ARGV[1]), field(ARGV[2]), {}
for _, item in ipairs(ARGV[3] ~= '0' and redis.call('LRANGE', KEYS[2], 0, -1) or {}) do
  if #found == tonumber(ARGV[3]) or now - number(item, 9) > tonumber(ARGV[4]) then break end
  if string.sub(item, 1, 8) == name then found[#found + 1] = string.sub(item, 9) end
end
return {c.lp, view(c, now, tonumber(c.il) or 0, c.sv), found}
