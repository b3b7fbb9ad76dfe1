-- drawn ends the lease of a chat's lane: what was sent goes, what was not stays,
-- and the message reserved for it is spent, given back, or the last there is.
--
-- KEYS  1 lanes, 2 lane, 3 chat
-- ARGV  1 member of 1, 2 end of the lease ms, 3 now ms, 4 'pop', 'retry', 'wait' or 'more' (word that more waits was
--       sent), 5 due ms of 'retry' and 'wait', 6 'spent', 'refund' or 'empty', 7 '1' = it may have arrived,
--       8 TTL ms of 1 and 2, 9 ms to hold, from 10 the ids of the lines
-- Returns 1, or 0 if the lease had passed to somebody else
local mine = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0) == tonumber(ARGV[2])
local now = tonumber(ARGV[3])
if mine and ARGV[6] ~= 'spent' then
  local c = redis.call('HMGET', KEYS[3], 'rm', 'mu')
  if c[1] and c[1] == c[2] then
    if ARGV[6] == 'empty' then redis.call('HSET', KEYS[3], 'mn', 0) else redis.call('HINCRBY', KEYS[3], 'mn', 1) end
    if #ARGV < 10 and ARGV[6] == 'refund' then redis.call('HSET', KEYS[3], 'tw', '') end
  end
end
for i = 10, #ARGV do
  local at = ARGV[4] == 'pop' and 0 or i - 10
  local item = redis.call('LINDEX', KEYS[2], at) or ''
  local id, tries, flags, rest = string.match(item, '^([^\n]*)\n(%d+)\n([^\n]*)\n(.*)$')
  if id == ARGV[i] and ARGV[4] == 'pop' then
    redis.call('LPOP', KEYS[2])
  elseif id == ARGV[i] and mine and ARGV[4] == 'retry' then
    if ARGV[7] == '1' and not string.find(flags, 'd') then flags = flags .. 'd' end
    redis.call('LSET', KEYS[2], at, table.concat({id, tries + 1, flags, rest}, '\n'))
  end
end
if not mine then return 0 end
for _, item in ipairs(redis.call('LRANGE', KEYS[2], 0, tonumber(redis.call('HGET', KEYS[3], 'fl') or 0))) do
  if string.find(item, '^[^\n]*\n%d+\n%l*w') then redis.call('LREM', KEYS[2], 1, item) end
end
redis.call('HSET', KEYS[3], 'fl', 0)
if ARGV[4] == 'pop' then redis.call('HSET', KEYS[3], 'ls', now) end
if redis.call('EXISTS', KEYS[2]) == 0 then return redis.call('ZREM', KEYS[1], ARGV[1]) end
local due = ARGV[5]
if ARGV[4] == 'pop' then due = now end
if ARGV[4] == 'more' then due = now + ARGV[9] redis.call('HSET', KEYS[3], 'hd', '1') end
redis.call('ZADD', KEYS[1], due, ARGV[1])
for i = 1, 2 do redis.call('PEXPIRE', KEYS[i], ARGV[8]) end
return 1
