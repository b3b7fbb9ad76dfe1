-- announce tells all replicas of a chat's state, if the chat is the agent's.
--
-- KEYS  1 chats, 2 whose chats
-- ARGV  1 agent, 2 chat (app, a space, openid), 3 state, 4 until ms, 5 '1' = the configuration says that it is his
-- Returns 1 if it was told, 0 if the chat is not his
if ARGV[5] ~= '1' and redis.call('HGET', KEYS[2], ARGV[2]) ~= ARGV[1] then return 0 end
-- If the configuration gives him another chat, the one that was bound to him is nobody's.
local before = string.match(redis.call('HGET', KEYS[1], ARGV[1]) or '', '^(%S+ %S+)')
if before and before ~= ARGV[2] and redis.call('HGET', KEYS[2], before) == ARGV[1] then redis.call('HDEL', KEYS[2], before) end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. ARGV[4])
return 1
