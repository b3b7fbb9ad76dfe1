-- Fragment: a customer who waits for his agent's answer. Needs whole.lua, customer.lua.

-- await says that the customer (member) waits since now, unless he waits
-- already and not anew; how.within is for how long (ms; '' and 0 = nobody
-- counts), how.ttl the TTL (ms) of timers.
local function await(c, timers, now, member, how)
  if c.aw ~= '' and not how.anew then return end
  put(c, 'aw', whole(now))
  local within = tonumber(how.within) or 0
  if within <= 0 then
    redis.call('ZREM', timers, member)
    return
  end
  redis.call('ZADD', timers, now + within, member)
  redis.call('PEXPIRE', timers, math.max(within, tonumber(how.ttl)))
end

-- answered says that he does not wait any more. A timer of one who does not wait is
-- overdue.lua's to take away.
local function answered(c, timers, member)
  if c.aw == '' then return end
  put(c, 'aw', '')
  redis.call('ZREM', timers, member)
end
