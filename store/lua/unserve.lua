-- unserve takes the conversation from an agent whose seat is lost, unless it
-- has been assigned since.
--
-- KEYS  1 customer
-- ARGV  1 agent, 2 version
-- Returns 1 if it was taken from him, 0 if not
local c = redis.call('HMGET', KEYS[1], 'sv', 'v')
if c[1] ~= ARGV[1] or c[2] ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'sv', '', 'v', ARGV[2] + 1)
return 1
