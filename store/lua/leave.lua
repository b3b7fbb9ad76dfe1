-- leave takes a conversation out of an agent's chat, with what he has not had of
-- it, unless that is kept for him. What is on its way is taken out if it does
-- not arrive. Needs labels.lua, lines.lua.
--
-- KEYS  1 chat, 2 labels, 3 lane
-- ARGV  1 now ms, 2 member of the customer, 3 a word on who has it ('' = the agent gave it up himself),
--       4 '1' = he had not answered in time, 5 idle ms, 6 '1' = his notes on it too, 7 TTL ms of 1, 8 '1' = the lines stay
-- Returns {0} if the chat had no such conversation, else
--         {label, misses in a row, the only label left and selected ('' = none), '1' = it was selected, lines taken out}
local now = tonumber(ARGV[1])
local flying = tonumber(redis.call('HGET', KEYS[1], 'fl') or 0)
local out = take(KEYS[3], flying, function(l) return l.whose == ARGV[2] and ARGV[8] ~= '1' and (l.kind ~= 'N' or ARGV[6] == '1') end)
local label = redis.call('HGET', KEYS[2], '=' .. ARGV[2])
if not label then return {0} end
redis.call('HDEL', KEYS[2], label, '=' .. ARGV[2])
local selected = redis.call('HGET', KEYS[1], 'sel') == label
local left = ''
if selected and ARGV[3] == '' then
  left = only(records(KEYS[2]), now, tonumber(ARGV[5]), '')
  redis.call('HSET', KEYS[1], 'sel', left, 'sw', now)
elseif selected then
  redis.call('HSET', KEYS[1], 'sel', '', 'tomb', label .. ' ' .. ARGV[3])
end
local misses = tonumber(redis.call('HGET', KEYS[1], 'ms') or 0)
if ARGV[4] == '1' then misses = redis.call('HINCRBY', KEYS[1], 'ms', 1) end
redis.call('PEXPIRE', KEYS[1], ARGV[7])
return {tonumber(label), misses, left, selected and '1' or '0', out}
