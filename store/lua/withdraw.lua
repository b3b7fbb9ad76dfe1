-- withdraw takes the lines of one posting out of a chat's lane, unless the agent
-- has the one that counts. Lines on their way are taken out if they do not
-- arrive. A conversation of which he has had nothing loses its label again; if he
-- may have had something of it all the same, his next words without a label are
-- for nobody. The posting is withdrawn whether it has been written or not, if no
-- line is named. Needs lines.lua.
--
-- KEYS  1 lane, 2 chat, 3 labels, 4 record of the push, 5 lines taken out
-- ARGV  1 member of the customer, 2 turn, 3 id of the line that counts ('' = in any case), 4 TTL ms of 4, 5 now ms
-- Returns 0 if the agent has it, 1 if it was taken out, 2 if it is on its way
local counts, others, doubt, turn, turns = ARGV[3] == '', false, false, tonumber(ARGV[2]), {}
for _, item in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  local l = line(item)
  if l.id == ARGV[3] then counts, turn = true, l.turn end -- a repeat has another turn
  if l.whose == ARGV[1] then turns[#turns + 1], doubt = l.turn, doubt or string.find(l.flags, 'd') ~= nil end
end
if not counts and not redis.call('ZSCORE', KEYS[5], ARGV[3]) then return 0 end
for _, t in ipairs(turns) do others = others or t ~= turn end
local known = redis.call('GET', KEYS[4]) or ''
redis.call('SET', KEYS[4], 'x', 'PX', ARGV[4])
if not counts then return 1 end
local flying = tonumber(redis.call('HGET', KEYS[2], 'fl') or 0)
local out, marked = take(KEYS[1], KEYS[5], ARGV[5], flying, false, function(l)
  return l.whose == ARGV[1] and l.turn == turn and (l.kind ~= 'N' or l.turn > 0)
end)
if marked > 0 then return 2 end
local label, lines = string.match(known, ' (%d+) new (%d+)$')
if label and not others and out == tonumber(lines) and redis.call('HGET', KEYS[3], '=' .. ARGV[1]) == label then
  redis.call('HDEL', KEYS[3], label, '=' .. ARGV[1])
  local at = redis.call('HMGET', KEYS[2], 'sel', 'tomb')
  if at[1] == label then redis.call('HSET', KEYS[2], 'sel', '') end
  if doubt and (at[1] == label or (at[1] or '') == '') and (at[2] or '') == '' then redis.call('HSET', KEYS[2], 'tomb', label .. ' ') end
end
return 1
