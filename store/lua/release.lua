-- release undoes one taking of a seat, if no later one stands in its place.
--
-- KEYS  1 the agent's seats
-- ARGV  1 mark, 2 score of the taking, 3 score of the taking before it ('' = none)
-- Returns 1 if it was undone, 0 if there was nothing to undo
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score or tonumber(score) ~= tonumber(ARGV[2]) then return 0 end
if ARGV[3] == '' then
  redis.call('ZREM', KEYS[1], ARGV[1])
else
  redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
end
return 1
