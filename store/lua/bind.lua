-- bind makes a chat the agent's who was invited by a code.
--
-- KEYS  1 invitations, 2 wrong codes of the chat, 3 wrong codes of all, 4 chats, 5 whose chats
-- ARGV  1 now ms, 2 code, 3 chat (app, a space, openid), 4 wrong codes a chat may send, 5 all may, 6 TTL ms of 2 and 3,
--       7 until ms something may be sent to him
-- Returns {0, agent, the chat he had before ('' = none)}, {1} for a wrong code, {2} after too many, {3, agent} if the
--         chat is another's
if tonumber(redis.call('GET', KEYS[2]) or 0) >= tonumber(ARGV[4]) or tonumber(redis.call('GET', KEYS[3]) or 0) >= tonumber(ARGV[5]) then return {2} end
local agent
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local code, ends = string.match(all[i + 1], '^(%S+) (%d+)$')
  if code == ARGV[2] and tonumber(ends) > tonumber(ARGV[1]) then agent = all[i] end
  if code == ARGV[2] and ends == '0' and string.match(redis.call('HGET', KEYS[4], all[i]) or '', '^(%S+ %S+)') == ARGV[3] then
    return {0, all[i], ''} -- by this very code
  end
end
if not agent then
  for i = 2, 3 do
    if redis.call('INCR', KEYS[i]) == 1 then redis.call('PEXPIRE', KEYS[i], ARGV[6]) end
  end
  return {1}
end
local chats = redis.call('HGETALL', KEYS[4])
for i = 1, #chats, 2 do
  if chats[i] ~= agent and string.match(chats[i + 1], '^(%S+ %S+)') == ARGV[3] then return {3, chats[i]} end
end
redis.call('HSET', KEYS[1], agent, ARGV[2] .. ' 0') -- used up, and still known as a code
local before = string.match(redis.call('HGET', KEYS[4], agent) or '', '^(%S+ %S+)') or ''
if before ~= '' then redis.call('HDEL', KEYS[5], before) end
redis.call('HSET', KEYS[4], agent, ARGV[3] .. ' online ' .. ARGV[7])
redis.call('HSET', KEYS[5], ARGV[3], agent)
return {0, agent, before ~= ARGV[3] and before or ''}
