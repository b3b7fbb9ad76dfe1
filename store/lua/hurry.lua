-- hurry makes a customer overdue now, if he waits for this agent.
--
-- KEYS  1 timers, 2 customer
-- ARGV  1 member, 2 now ms, 3 agent, 4 TTL ms of 1
-- Returns 1 if he is, 0 if not
local c = redis.call('HMGET', KEYS[2], 'sv', 'aw')
if c[1] ~= ARGV[3] or (c[2] or '') == '' then return 0 end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
