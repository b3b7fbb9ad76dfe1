-- reply ends the hearing of an agent's message: it keeps what he was told for
-- repeats and, if he answered a conversation, notes that it does not wait any
-- more. Needs labels.lua.
--
-- KEYS  1 record of the message, 2 labels, 3 chat
-- ARGV  1 first ms, 2 TTL ms of 1, 3 what he was told (sealed), 4 label answered ('' = none), 5 member of its customer, 6 now ms
-- Returns 1
redis.call('SET', KEYS[1], ARGV[1] .. '\n' .. ARGV[3], 'PX', ARGV[2])
if ARGV[4] == '' then return 1 end
if redis.call('EXISTS', KEYS[3]) == 1 then redis.call('HSET', KEYS[3], 'ms', 0) end
local r = record(KEYS[2], ARGV[4])
if r and r.member == ARGV[5] then
  r.waiting, r.last = '', tostring(math.max(tonumber(ARGV[6]), tonumber(r.last)))
  write(KEYS[2], r)
end
return 1
