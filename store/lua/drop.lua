-- drop deletes a token, if it is still the one meant.
--
-- KEYS  1 the token: expiry ms, a space, the token itself
-- ARGV  1 the token itself
-- Returns 1 if it was deleted, 0 if not
local there = redis.call('GET', KEYS[1])
if not there or string.match(there, '^%d+ (.*)$') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
