-- unserve takes the conversation from an agent whose seat is lost, unless it
-- has been assigned since. Needs constants, customer.lua with what it needs.
--
-- KEYS  1 customer, 2 bucket
-- ARGV  1 agent, 2 version, 3 member of 2, 4 now ms
-- Returns 1 if it was taken from him, 0 if not
local c = open(KEYS[1], KEYS[2], ARGV[3])
if c.sv ~= ARGV[1] or c.v ~= ARGV[2] then return 0 end
put(c, 'sv', '')
put(c, 'v', whole(ARGV[2] + 1))
save(c, tonumber(ARGV[4]), tonumber(ARGV[4]), SLACK)
return 1
