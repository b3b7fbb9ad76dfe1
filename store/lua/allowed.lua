-- allowed reads until when recipients may be sent something. Needs customer.lua with
-- what it needs.
--
-- KEYS  1 customer or chat, 2 bucket of a customer
-- ARGV  1 member of a customer ('' = it is a chat)
-- Returns {after a message until ms, after entering until ms, '1' = the lane waits for him, '1' = all is held}
if ARGV[1] == '' then return redis.call('HMGET', KEYS[1], 'mu', 'eu', 'hl', 'hd') end
local c = open(KEYS[1], KEYS[2], ARGV[1])
return {c.mu, c.eu, c.hl, ''}
