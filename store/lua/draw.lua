-- draw gives what a chat is owed to one worker: the lines that go out in one
-- message, one message of the agent's allowance being reserved for it. The last
-- one there is goes for word that more waits; then all is held until he writes.
--
-- KEYS  1 lanes, 2 lane, 3 chat
-- ARGV  1 member of 1, 2 now ms, 3 end of the lease ms, 4 line asked for ('' = none), 5 bytes that fit into one
--       message, 6 ms from one message to the next, 7 ms to hold, 8 lines that fit
-- Returns {'empty'}, {'done'}, {'held'}, {'wait', due ms}, {'mine', '1' = word that more waits, lines …}
local now, asked = tonumber(ARGV[2]), ARGV[4]
local function sent()
  if asked == '' then return false end
  for _, item in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do
    if string.match(item, '^[^\n]*') == asked then return false end
  end
  return true
end
if redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('ZREM', KEYS[1], ARGV[1])
  return {asked ~= '' and 'done' or 'empty'}
end
local chat = redis.call('HMGET', KEYS[3], 'mn', 'mu', 'tw', 'ls', 'st', 'hd')
local due = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0)
if due > now then
  if chat[6] == '1' then return {sent() and 'done' or 'held'} end
  if sent() then return {'done'} end
  return {'wait', due}
end
local left = tonumber(chat[1] or '') or 0
if chat[5] == 'gone' or (tonumber(chat[2] or '') or 0) <= now then left = 0 end
if left == 0 or (left == 1 and chat[3] == '1') then
  redis.call('ZADD', KEYS[1], now + ARGV[7], ARGV[1])
  redis.call('HSET', KEYS[3], 'hd', '1')
  return {sent() and 'done' or 'held'}
end
local after = (tonumber(chat[4] or '') or 0) + ARGV[6]
if after > now and after - now <= tonumber(ARGV[6]) then
  redis.call('ZADD', KEYS[1], after, ARGV[1])
  return {'wait', after}
end
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
redis.call('HSET', KEYS[3], 'mn', left - 1, 'rm', chat[2], 'fl', 0)
if left == 1 then
  redis.call('HSET', KEYS[3], 'tw', '1')
  return {'mine', '1'}
end
local out, bytes = {'mine', '0'}, 0
for _, item in ipairs(redis.call('LRANGE', KEYS[2], 0, ARGV[8] - 1)) do
  local kind, size = string.match(item, '^[^\n]*\n%d+\n[^\n]*\n[^\n]*\n%d+\n%d+\n(%u)\n(%d+)\n')
  bytes = bytes + size
  local alone = kind == 'I' or kind == 'P'
  if #out > 2 and (alone or bytes > tonumber(ARGV[5])) then break end
  out[#out + 1] = item
  if alone then break end
end
redis.call('HSET', KEYS[3], 'fl', #out - 2)
return out
