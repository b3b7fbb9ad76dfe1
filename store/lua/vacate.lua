-- vacate gives up seats that were taken for nothing.
--
-- KEYS  seats of agents
-- ARGV  1 mark, 2 score: a seat from there on was taken or refreshed later, and stays
-- Returns how many were given up
local gone = 0
for i = 1, #KEYS do
  local score = redis.call('ZSCORE', KEYS[i], ARGV[1])
  if score and tonumber(score) < tonumber(ARGV[2]) then gone = gone + redis.call('ZREM', KEYS[i], ARGV[1]) end
end
return gone
