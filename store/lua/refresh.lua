-- refresh keeps a serving agent's seat for longer, or takes it again if it was
-- lost and there is room. Needs constants, whole.lua, outlive.lua.
--
-- KEYS  1 the agent's seats, 2 known
-- ARGV  1 mark, 2 now ms, 3 score of the seat, 4 TTL ms of 1, 5 agent
-- Returns 1 if the customer has the seat, 0 if it is lost: the agent is full,
--         or his capacity is not known
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', whole(ARGV[2] * TICKS))
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score then
  local capacity = tonumber(string.match(redis.call('HGET', KEYS[2], ARGV[5]) or '', '^%d*'))
  if not capacity then return 0 end
  if capacity > 0 and redis.call('ZCARD', KEYS[1]) >= capacity then return 0 end
end
if not score or tonumber(score) < tonumber(ARGV[3]) then redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1]) end
outlive(KEYS[1], ARGV[4])
return 1
