-- Fragment: lengthening a key's TTL without ever shortening it.

local function outlive(key, ttl)
  if redis.call('PTTL', key) < tonumber(ttl) then redis.call('PEXPIRE', key, ttl) end
end
