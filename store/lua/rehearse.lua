-- Does once what the other scripts do, on keys of its own, and tells what Redis
-- refuses: a list of texts, a command, a space and the reason.
-- KEYS 1 string, 2 hash, 3 list, 4 sorted set, 5 stream, none of which is there
-- ARGV 1 for how long they are kept if the end is never reached, ms
local refused = {}
local function try(...)
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err then refused[#refused + 1] = (...) .. ' ' .. reply.err end
end
local text, hash, list, zset, stream = unpack(KEYS)
try('SETNX', text, 1) try('SET', text, '1', 'PX', ARGV[1], 'NX') try('GET', text) try('INCR', text) try('EXISTS', text) try('PTTL', text)
try('HSET', hash, 'a', 1) try('HSETNX', hash, 'b', 1) try('HGET', hash, 'a') try('HMGET', hash, 'a', 'b')
try('HGETALL', hash) try('HKEYS', hash) try('HLEN', hash) try('HEXISTS', hash, 'a') try('HINCRBY', hash, 'a', 1) try('HDEL', hash, 'b')
try('RPUSH', list, 'a') try('LPUSH', list, 'b') try('LINSERT', list, 'BEFORE', 'a', 'c') try('LLEN', list) try('LINDEX', list, 0)
try('LRANGE', list, 0, -1) try('LSET', list, 0, 'd') try('LREM', list, 1, 'a') try('LTRIM', list, 0, 1) try('LPOP', list)
try('ZADD', zset, 1, 'a') try('ZADD', zset, 'NX', 1, 'b') try('ZADD', zset, 'XX', 2, 'b') try('ZSCORE', zset, 'a') try('ZRANK', zset, 'a')
try('ZCARD', zset) try('ZCOUNT', zset, '-inf', '+inf') try('ZRANGEBYSCORE', zset, '-inf', '+inf', 'LIMIT', 0, 1)
try('ZRANGE', zset, '-inf', '+inf', 'BYSCORE', 'LIMIT', 0, 1) try('ZREMRANGEBYSCORE', zset, '-inf', 0) try('ZREM', zset, 'b')
try('XADD', stream, '1-1', 'a', 'b') try('XREVRANGE', stream, '+', '-', 'COUNT', 1) try('XTRIM', stream, 'MINID', 0) try('XTRIM', stream, 'MAXLEN', 20)
for _, key in ipairs(KEYS) do try('PEXPIRE', key, ARGV[1]) try('DEL', key) end
return refused
