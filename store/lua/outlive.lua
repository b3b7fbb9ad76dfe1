-- Fragment: lengthening a key's TTL without ever shortening it. Needs whole.lua.

-- outlive gives a key a TTL of ttl (ms, a number or its text) at least, and an eighth
-- more if it has to be lengthened, so that not everybody who comes has to do that.
local function outlive(key, ttl)
  ttl = ttl + 0
  if redis.call('PTTL', key) < ttl then redis.call('PEXPIRE', key, whole(math.ceil(ttl * 1.125))) end
end
