-- overdue gives a customer who has waited too long for his agent to one worker.
--
-- KEYS  1 timers, 2 customer
-- ARGV  1 member, 2 now ms, 3 end of the lease ms
-- Returns {} if he does not wait, or somebody else has him, else {agent, since ms}
local due = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not due or tonumber(due) > tonumber(ARGV[2]) then return {} end
local c = redis.call('HMGET', KEYS[2], 'sv', 'aw')
if (c[1] or '') == '' or (c[2] or '') == '' then
  redis.call('ZREM', KEYS[1], ARGV[1])
  return {}
end
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
return c
