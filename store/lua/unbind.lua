-- unbind takes an agent's chat from him.
--
-- KEYS  1 chats, 2 whose chats
-- ARGV  1 agent
-- Returns the chat (app, a space, openid), '' if he had none
local chat = string.match(redis.call('HGET', KEYS[1], ARGV[1]) or '', '^(%S+ %S+)')
if not chat then return '' end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], chat)
return chat
