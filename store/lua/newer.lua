-- newer keeps a value that begins with the instant it was made, unless a newer
-- one is there.
--
-- KEYS  1 the value: ms, a space, anything
-- ARGV  1 the value, 2 TTL ms
-- Returns 1 if it was kept, 0 if not
local function made(value) return tonumber(string.match(value, '^%d+')) end
local there = redis.call('GET', KEYS[1])
if there and made(there) > made(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
