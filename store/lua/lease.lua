-- lease gives a lane that is due to one worker, and reserves one message of the
-- customer's allowance for it. Needs layout.lua.
--
-- KEYS  1 lanes, 2 lane, 3 customer
-- ARGV  1 member of 1, 2 now ms, 3 end of the lease ms
-- Returns {} if the lane is not due, else {the first delivery, '1' = allowed, '1' = the time of the
--         allowance is over}
local due = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not due or tonumber(due) > tonumber(ARGV[2]) then return {} end
local head = redis.call('LINDEX', KEYS[2], 0)
if not head then
  redis.call('ZREM', KEYS[1], ARGV[1])
  return {}
end
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])

-- Either allowance that has not run out lets a message pass, and the message
-- counts against both: they do not add up.
local c = redis.call('HMGET', KEYS[3], 'mn', 'mu', 'en', 'eu', 'q')
local function room(n, till) return (tonumber(n or '') or 0) > 0 and (tonumber(till or '') or 0) > tonumber(ARGV[2]) end
local message, enter = room(c[1], c[2]), room(c[3], c[4])
if not message and not enter then
  -- The customer's next message makes the lane due: while he is not calm, see state.lua,
  -- it does not take the quick way.
  if c[5] then
    redis.call('HSET', KEYS[3], 'hl', '1', 'rm', '', 're', '', 'q', string.rep('0', CALM) .. string.sub(c[5], CALM + 1))
  end
  local over = math.max(tonumber(c[2] or '') or 0, tonumber(c[4] or '') or 0) <= tonumber(ARGV[2])
  return {head, '0', over and '1' or '0'}
end
if message then redis.call('HINCRBY', KEYS[3], 'mn', -1) end
if enter then redis.call('HINCRBY', KEYS[3], 'en', -1) end
redis.call('HSET', KEYS[3], 'rm', message and c[2] or '', 're', enter and c[4] or '')
return {head, '1', '0'}
