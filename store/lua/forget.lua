-- forget removes what is kept of a customer's conversation. Needs rested.lua.
--
-- KEYS  1 customer, 2 bucket, 3 records, 4 lanes, 5 timers, from 6 his other keys
-- ARGV  1 member of 2 to 5
-- Returns 1
local name = field(ARGV[1])
redis.call('DEL', KEYS[1], unpack(KEYS, 6))
redis.call('HDEL', KEYS[2], name)
for _, item in ipairs(redis.call('LRANGE', KEYS[3], 0, -1)) do
  if string.sub(item, 1, 8) == name then redis.call('LREM', KEYS[3], 1, item) end
end
for i = 4, 5 do redis.call('ZREM', KEYS[i], ARGV[1]) end
return 1
