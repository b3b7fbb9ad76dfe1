-- leave takes a conversation out of an agent's chat, with what he has not had of
-- it, unless that is kept for him. What is on its way is taken out if it does
-- not arrive. One that he gave up himself leaves him the only other that is open.
-- After one that was taken from him, his next words without a label are for
-- nobody, unless he has another selected. Needs labels.lua, lines.lua.
--
-- KEYS  1 chat, 2 labels, 3 lane, 4 lines taken out
-- ARGV  1 now ms, 2 member of the customer, 3 '1' = it was taken from him, and 4 a word on who has it,
--       5 '1' = he had not answered in time, 6 idle ms, 7 '1' = his notes on it too, 8 TTL ms of 1, 9 '1' = the lines stay,
--       10 '1' = somebody else was brought them
-- Returns {0} if the chat had no such conversation, else
--         {label, misses in a row, the only label left and selected ('' = none), '1' = it was selected, lines taken out}
local now = tonumber(ARGV[1])
local flying = tonumber(redis.call('HGET', KEYS[1], 'fl') or 0)
local out = take(KEYS[3], KEYS[4], now, flying, ARGV[10] == '1', function(l)
  return l.whose == ARGV[2] and ARGV[9] ~= '1' and (l.kind ~= 'N' or ARGV[7] == '1')
end)
local label = redis.call('HGET', KEYS[2], '=' .. ARGV[2])
if not label then return {0} end
redis.call('HDEL', KEYS[2], label, '=' .. ARGV[2])
local at = redis.call('HMGET', KEYS[1], 'sel', 'tomb', 'ms')
local selected, left = at[1] == label, ''
local none = (at[1] or '') == '' or not record(KEYS[2], at[1]) -- from now on
local tomb = (at[2] or '') ~= ''
if none and not tomb and ARGV[3] == '1' then
  redis.call('HSET', KEYS[1], 'sel', '', 'tomb', label .. ' ' .. ARGV[4])
elseif none and not tomb then
  left = only(records(KEYS[2]), now, tonumber(ARGV[6]), '')
  redis.call('HSET', KEYS[1], 'sel', left, 'sw', now)
end
local misses = tonumber(at[3] or '') or 0
if ARGV[5] == '1' then misses = redis.call('HINCRBY', KEYS[1], 'ms', 1) end
redis.call('PEXPIRE', KEYS[1], ARGV[8])
return {tonumber(label), misses, left, selected and '1' or '0', out}
