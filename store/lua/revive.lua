-- revive puts a buried delivery back into its customer's lane, in the place that
-- it had among those that are still there, if it may still be sent. Needs customer.lua with
-- what it needs.
--
-- KEYS  1 buried, 2 lane, 3 lanes, 4 customer, 5 record of the revival, 6 bucket
-- ARGV  1 now ms, 2 burial as it stands in 1, 3 member of 3 and 6, 4 id of the delivery, 5 delivery as it stands in a lane,
--       6 when it becomes useless ms (0 = never), 7 TTL ms of 2 and 3, 8 TTL ms of 5
-- Returns {0, until ms} if it is in its lane, {1} if it is not buried any more, {2, until ms} if the time of the
--         allowance is over, {3, until ms} if it is useless by now, {4} if nothing is known of the customer
local now, expires = tonumber(ARGV[1]), tonumber(ARGV[6])
local c = open(KEYS[4], KEYS[6], ARGV[3])
if c.absent and c.before == '' then return {4} end
local till = math.max(tonumber(c.mu) or 0, tonumber(c.eu) or 0)
if expires > 0 and expires <= now then return {3, expires} end
if till <= now then return {2, till} end
if redis.call('LREM', KEYS[1], 1, ARGV[2]) == 0 then return {1} end
if c.before ~= '' then
  write(c)
  expire(c, now)
end

-- The first one may be on its way; it stays the first until its lease ends. Others
-- follow in the order of their number, which the id ends with.
local function number(item) return tonumber(string.match(item, '^%d+%-(%d+)')) or 0 end
local due = tonumber(redis.call('ZSCORE', KEYS[3], ARGV[3]) or 0)
local leased = due > now and (c.rm ~= '' or c.re ~= '')
local lane, after = redis.call('LRANGE', KEYS[2], 0, -1), nil
for i = leased and 2 or 1, #lane do
  if number(lane[i]) > number(ARGV[4]) then
    after = lane[i]
    break
  end
end
if after then redis.call('LINSERT', KEYS[2], 'BEFORE', after, ARGV[5]) else redis.call('RPUSH', KEYS[2], ARGV[5]) end
if not leased then redis.call('ZADD', KEYS[3], now, ARGV[3]) end
for i = 2, 3 do redis.call('PEXPIRE', KEYS[i], ARGV[7]) end
redis.call('SET', KEYS[5], '1', 'PX', ARGV[8])
return {0, expires > 0 and math.min(expires, till) or till}
