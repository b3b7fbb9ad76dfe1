-- seat takes a seat at the first candidate who has one free, or in whose seat
-- the customer is already. Without one the customer waits. Needs constants, whole.lua,
-- outlive.lua.
--
-- KEYS  1 known, 2 queue, 3 asked, 4 seats to give up, from 5 the candidates' seats
-- ARGV  1 mark of who takes it, 2 now ms, 3 score of the seat, 4 TTL ms of seats, 5 idle ms,
--       6 up to which score the seat of KEYS[4] is given up, '' = not, 7 '1' = these are the last candidates, and without a seat he waits,
--       from 8 the candidates: agent, capacity (0 = no limit)
-- Returns candidate taken, from 1 (0 = none), score of the taking before ('' = none) and
--         position from 1 (0 = none), between spaces; then on a line for each one tried seats and last new ms ('' = unknown)
local mark, now = ARGV[1], ARGV[2] + 0
local taken, before, position, loads, free = 0, '', 0, {}, whole(now * TICKS)
for i = 5, #KEYS do
  local agent, capacity = ARGV[2 * i - 2], ARGV[2 * i - 1]
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', free)
  local seats = redis.call('ZCARD', KEYS[i])
  local last = string.match(redis.call('HGET', KEYS[1], agent) or '', ' (.*)$') or ''
  before = redis.call('ZSCORE', KEYS[i], mark) or ''
  if before ~= '' or capacity == '0' or seats < capacity + 0 then
    taken = i - 4
    -- Once in 100 s, the unit of what stands before the last five digits, will do.
    local due = string.sub(last, 1, -6) ~= string.sub(ARGV[2], 1, -6)
    if before == '' then seats, last = seats + 1, ARGV[2] end
    redis.call('ZADD', KEYS[i], ARGV[3], mark)
    outlive(KEYS[i], ARGV[4])
    redis.call('HSET', KEYS[1], agent, capacity .. ' ' .. last)
    if due then redis.call('PEXPIRE', KEYS[1], KNOWN_TTL) end
  end
  loads[#loads + 1] = whole(seats) .. ' ' .. last
  if taken > 0 then break end
end

local done = taken > 0 or ARGV[7] == '1'
local same = taken > 0 and KEYS[4] == KEYS[taken + 4]
if done and ARGV[6] ~= '' and not same then
  local held = redis.call('ZSCORE', KEYS[4], mark)
  if held and tonumber(held) < tonumber(ARGV[6]) then redis.call('ZREM', KEYS[4], mark) end
end
if taken > 0 then
  -- Whoever waits is in both.
  if redis.call('ZREM', KEYS[2], mark) == 1 then redis.call('ZREM', KEYS[3], mark) end
elseif done then
  local gone = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', '(' .. (now - ARGV[5]), 'LIMIT', 0, 1000)
  if #gone > 0 then
    redis.call('ZREM', KEYS[2], unpack(gone))
    redis.call('ZREM', KEYS[3], unpack(gone))
  end
  redis.call('ZADD', KEYS[2], 'NX', now, mark)
  redis.call('ZADD', KEYS[3], now, mark)
  redis.call('PEXPIRE', KEYS[2], ARGV[5] + 1)
  redis.call('PEXPIRE', KEYS[3], ARGV[5] + 1)
  position = redis.call('ZRANK', KEYS[2], mark) + 1
end
return whole(taken) .. ' ' .. before .. ' ' .. whole(position) .. '\n' .. table.concat(loads, '\n')
