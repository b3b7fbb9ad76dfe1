-- seat takes a seat at the first candidate who has one free, or in whose seat
-- the customer is already. Without one the customer waits. Needs outlive.lua.
--
-- KEYS  1 facts, 2 waiting, 3 tried, 4 seats to give up, from 5 the candidates' seats
-- ARGV  1 member, 2 now ms, 3 score of the seat, 4 TTL ms of seats, 5 TTL ms of 1, 6 idle ms,
--       7 up to which score the seat of KEYS[4] is given up, '' = not, 8 '1' = these are the last candidates, and without a seat he waits,
--       from 9 the candidates: agent, capacity (0 = no limit)
-- Returns {candidate taken, from 1 (0 = none), score of the taking before ('' = none),
--          position from 1 (0 = none), {seats, last new ms ('' = unknown) of each one tried}}
local member, now = ARGV[1], tonumber(ARGV[2])
local taken, before, position, loads = 0, '', 0, {}
for i = 5, #KEYS do
  local agent, capacity = ARGV[2 * i - 1], tonumber(ARGV[2 * i])
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now)
  local seats = redis.call('ZCARD', KEYS[i])
  local last = redis.call('HGET', KEYS[1], 'last:' .. agent) or ''
  before = redis.call('ZSCORE', KEYS[i], member) or ''
  if before ~= '' or capacity == 0 or seats < capacity then
    taken = i - 4
    if before == '' then seats, last = seats + 1, ARGV[2] end
    redis.call('ZADD', KEYS[i], ARGV[3], member)
    outlive(KEYS[i], ARGV[4])
    redis.call('HSET', KEYS[1], 'capacity:' .. agent, capacity, 'last:' .. agent, last)
    redis.call('PEXPIRE', KEYS[1], ARGV[5])
  end
  loads[#loads + 1] = seats
  loads[#loads + 1] = last
  if taken > 0 then break end
end

local done = taken > 0 or ARGV[8] == '1'
local same = taken > 0 and KEYS[4] == KEYS[taken + 4]
if done and ARGV[7] ~= '' and not same then
  local held = redis.call('ZSCORE', KEYS[4], member)
  if held and tonumber(held) < tonumber(ARGV[7]) then redis.call('ZREM', KEYS[4], member) end
end
if taken > 0 then
  redis.call('ZREM', KEYS[2], member)
  redis.call('ZREM', KEYS[3], member)
elseif done then
  local gone = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', '(' .. (now - ARGV[6]), 'LIMIT', 0, 1000)
  if #gone > 0 then
    redis.call('ZREM', KEYS[2], unpack(gone))
    redis.call('ZREM', KEYS[3], unpack(gone))
  end
  redis.call('ZADD', KEYS[2], 'NX', now, member)
  redis.call('ZADD', KEYS[3], now, member)
  redis.call('PEXPIRE', KEYS[2], ARGV[6] + 1)
  redis.call('PEXPIRE', KEYS[3], ARGV[6] + 1)
  position = redis.call('ZRANK', KEYS[2], member) + 1
end
return {taken, before, position, loads}
