-- close ends a conversation for the agent who has it. Needs customer.lua with
-- what it needs, owe.lua, await.lua.
--
-- KEYS  1 (not used), 2 customer, 3 lane, 4 lanes, 5 timers, 6 bucket
-- ARGV  1 now ms, 2 agent, 3 member, 4 TTL ms of 3 and 4, 5 slack ms, 6 notice ('' = none), 7 its body
-- Returns {0} if the conversation is not his, else {1, deliveries written}
local now = tonumber(ARGV[1])
local c = open(KEYS[2], KEYS[6], ARGV[3])
if c.sv ~= ARGV[2] then return {0} end
local owed = 0
if ARGV[6] ~= '' then owed = owe(c, now, KEYS[3], ARGV[4], {notice = ARGV[6], once = '0', agent = ARGV[2], entry = c.e, body = ARGV[7]}) end
answered(c, KEYS[5], ARGV[3])
for _, name in ipairs({'sv', 'se', 'st', 'n', 'mi'}) do put(c, name, '') end
put(c, 'v', whole((tonumber(c.v) or 0) + 1))
save(c, now, now + (tonumber(c.es) or 0), tonumber(ARGV[5]))
return {1, owed}
