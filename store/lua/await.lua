-- Fragment: a customer who waits for his agent's answer. Needs customer.lua.

-- await says that the customer (member) waits since now, unless he waits
-- already and not anew; how.within is for how long (ms; '' and 0 = nobody
-- counts), how.ttl the TTL (ms) of timers.
local function await(c, timers, now, member, how)
  if c.aw ~= '' and not how.anew then return end
  put(c, 'aw', now)
  local within = tonumber(how.within) or 0
  if within <= 0 then
    redis.call('ZREM', timers, member)
    return
  end
  redis.call('ZADD', timers, now + within, member)
  redis.call('PEXPIRE', timers, math.max(within, tonumber(how.ttl)))
end

-- answered says that he does not wait any more.
local function answered(c, timers, member)
  put(c, 'aw', '')
  redis.call('ZREM', timers, member)
end
