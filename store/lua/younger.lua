-- younger keeps a value that has not long been made, unless a younger one is there.
-- How long a value lives is how young it is: whoever writes one lets it live as
-- much shorter as it is old. No clock is compared with another's.
--
-- KEYS  1 the value
-- ARGV  1 the value, 2 TTL ms, 3 TTL ms of one made this moment
-- Returns 1 if it was kept, 0 if not
local left = redis.call('PTTL', KEYS[1])
if left > tonumber(ARGV[2]) and left <= tonumber(ARGV[3]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
