-- finish ends a lease: the first delivery of the lane goes or stays, and the
-- message reserved for it is spent, given back, or the last there is.
--
-- KEYS  1 lanes, 2 lane, 3 customer, 4 buried
-- ARGV  1 member of 1, 2 id of the delivery, 3 end of the lease ms, 4 now ms,
--       5 'pop', 'retry' or 'wait', 6 due ms of the last two, 7 'spent', 'refund' or 'empty',
--       8 burial ('' = none), 9 burials kept, 10 TTL ms of 4, 11 TTL ms of 1 and 2
-- Returns the burials lost for want of room, or -1 if the delivery had been finished by
--         somebody else, or has been leased to somebody else who is to say when it is due
local head = redis.call('LINDEX', KEYS[2], 0)
if not head or string.match(head, '^[^\n]*') ~= ARGV[2] then return -1 end
local mine = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0) == tonumber(ARGV[3])
if not mine and ARGV[5] ~= 'pop' then return -1 end

if mine then
  -- Only the allowance that the message was reserved from: the customer may have
  -- earned a new one since.
  local c = redis.call('HMGET', KEYS[3], 'rm', 'mu', 're', 'eu')
  local function settle(name, reserved, till)
    if ARGV[7] == 'spent' or not reserved or reserved == '' or reserved ~= till then return end
    if ARGV[7] == 'empty' then redis.call('HSET', KEYS[3], name, 0) else redis.call('HINCRBY', KEYS[3], name, 1) end
  end
  settle('mn', c[1], c[2])
  settle('en', c[3], c[4])
  if c[1] or c[3] then redis.call('HSET', KEYS[3], 'rm', '', 're', '') end
end

if ARGV[5] ~= 'pop' then
  local id, attempts, rest = string.match(head, '^([^\n]*)\n(%d+)\n(.*)$')
  if ARGV[5] == 'retry' then redis.call('LSET', KEYS[2], 0, id .. '\n' .. (attempts + 1) .. '\n' .. rest) end
  redis.call('ZADD', KEYS[1], ARGV[6], ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[11])
  redis.call('PEXPIRE', KEYS[2], ARGV[11])
  return 0
end

local lost = 0
if ARGV[8] ~= '' then
  lost = math.max(0, redis.call('LPUSH', KEYS[4], ARGV[8]) - ARGV[9])
  redis.call('LTRIM', KEYS[4], 0, ARGV[9] - 1)
  redis.call('PEXPIRE', KEYS[4], ARGV[10])
end
redis.call('LPOP', KEYS[2])
if redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('ZREM', KEYS[1], ARGV[1])
elseif mine then
  redis.call('ZADD', KEYS[1], ARGV[4], ARGV[1])
end
return lost
