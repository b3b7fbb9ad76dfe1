-- lead takes or renews the lease of a task that one replica at a time does.
--
-- KEYS  1 lead
-- ARGV  1 holder, 2 length of the lease ms
-- Returns 1 if the holder has it, 0 if somebody else has
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
