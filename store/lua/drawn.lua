-- drawn ends the lease of a chat's lane: what was sent goes, what was not stays,
-- and the message reserved for it is spent, given back, or the last there is.
-- Needs lines.lua.
--
-- KEYS  1 lanes, 2 lane, 3 chat, 4 lines taken out
-- ARGV  1 member of 1, 2 end of the lease ms, 3 now ms, 4 'pop', 'retry', 'wait' or 'more' (word that more waits was
--       sent), 5 due ms of 'retry' and 'wait', 6 'spent', 'refund' or 'empty', 7 '1' = it may have arrived,
--       8 TTL ms of 1 and 2, 9 ms to hold, from 10 the ids of the lines
-- Returns 1, or 0 if the lease had passed to somebody else
local outcome, now, ids = ARGV[4], tonumber(ARGV[3]), {}
for i = 10, #ARGV do ids[ARGV[i]] = true end
local mine = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or -1) == tonumber(ARGV[2])
local c = redis.call('HMGET', KEYS[3], 'rm', 'mu', 'fl')
local since = not c[1] or c[1] ~= c[2] -- the agent has written since, and has a new allowance
if mine and not since and ARGV[6] == 'empty' then redis.call('HSET', KEYS[3], 'mn', 0) end
if mine and not since and ARGV[6] == 'refund' then
  redis.call('HINCRBY', KEYS[3], 'mn', 1)
  if #ARGV < 10 then redis.call('HSET', KEYS[3], 'tw', '') end
end

local flying = tonumber(c[3] or '') or 0
local items = redis.call('LRANGE', KEYS[2], 0, -1)
for i = #items, 1, -1 do
  local l = line(items[i])
  if ids[l.id] and (outcome == 'pop' or (mine and l.withdrawn)) then
    if outcome == 'pop' then redis.call('LREM', KEYS[2], 1, items[i]) else drop(KEYS[2], KEYS[4], now, l) end
    if i <= flying then flying = flying - 1 end
  elseif ids[l.id] and mine and outcome == 'retry' then
    redis.call('LSET', KEYS[2], i - 1, mark(l, ARGV[7] == '1' and 'd' or '', 1))
  end
end
if c[3] then redis.call('HSET', KEYS[3], 'fl', mine and 0 or flying) end
if not mine then return 0 end
if outcome == 'pop' then redis.call('HSET', KEYS[3], 'ls', now) end
if redis.call('EXISTS', KEYS[2]) == 0 then return redis.call('ZREM', KEYS[1], ARGV[1]) end
local due = ARGV[5]
if outcome == 'pop' or outcome == 'more' then due = now end
if not since and (outcome == 'more' or (outcome ~= 'pop' and ARGV[6] == 'empty')) then
  due = now + ARGV[9]
  redis.call('HSET', KEYS[3], 'hd', '1')
end
redis.call('ZADD', KEYS[1], due, ARGV[1])
redis.call('HSET', KEYS[3], 'po', outcome == 'retry' and due or '')
for i = 1, 2 do redis.call('PEXPIRE', KEYS[i], ARGV[8]) end
return 1
