-- say writes an agent's answer down for his customer, if the conversation is
-- his. Needs customer.lua with what it needs, owe.lua, await.lua, tell.lua.
--
-- KEYS  1 record of the answer, 2 customer, 3 lane, 4 lanes, 5 transcript, 6 timers, 7 bucket
-- ARGV  1 now ms, 2 agent, 3 member, 4 TTL ms of 1, 5 TTL ms of 3 and 4, 6 idle ms, 7 slack ms,
--       8 body, 9 words, 10 what they are known by, 11 keep transcripts for ms
-- Returns {0, messages left, until ms, '1' = refresh the seat, version} if it is owed, the same
--         with a number below 0 if it has to wait for the customer, {1, agent} not his but that
--         agent's ('' = nobody's), {2, until ms} too late
local now, idle = tonumber(ARGV[1]), tonumber(ARGV[6])
local known = redis.call('GET', KEYS[1])
if known then
  local left, till = string.match(known, '^(%S+) (%d+)$')
  return {0, tonumber(left), till, '0', ''}
end
local c = open(KEYS[2], KEYS[7], ARGV[3])
local till, left = tonumber(c.mu) or 0, tonumber(c.mn) or 0
if c.sv ~= ARGV[2] then return {1, c.sv} end
if till <= now then return {2, c.mu} end

-- What is leased has its message reserved; what is held or waits to be tried again has not.
local due = tonumber(redis.call('ZSCORE', KEYS[4], ARGV[3]) or 0)
local reserved = redis.call('HMGET', KEYS[2], 'rm', 're')
local leased = due > now and ((reserved[1] or '') ~= '' or (reserved[2] or '') ~= '')
local lane = redis.call('LRANGE', KEYS[3], 0, -1)
local owed = #lane - (leased and 1 or 0)
if left <= owed then -- it runs short: answers come before notices
  for i = leased and 2 or 1, #lane do
    if not string.find(lane[i], '^[^\n]*a\n') then owed = owed - redis.call('LREM', KEYS[3], 1, lane[i]) end
  end
end
left = left - owed - 1
owe(c, now, KEYS[3], ARGV[5], {notice = 'answer', mark = 'a', agent = ARGV[2], entry = c.e, body = ARGV[8]})
tell(KEYS[5], now, ARGV[11], {d = 'a', a = ARGV[2], w = ARGV[9], k = ARGV[10]})
answered(c, KEYS[6], ARGV[3])
put(c, 'mi', '') put(c, 'lp', whole(math.max(now, tonumber(c.lp) or 0)))
local refresh = '0'
if now - (tonumber(c.sa) or 0) > idle / 20 then refresh = '1' put(c, 'sa', ARGV[1]) end
save(c, now, math.max(now + idle, now + (tonumber(c.es) or 0), till), tonumber(ARGV[7]))
redis.call('SET', KEYS[1], left .. ' ' .. c.mu, 'PX', ARGV[4])
return {0, left, c.mu, refresh, c.v}
