-- Fragment: writing a delivery down. Needs customer.lua, and of the script that
-- KEYS[3] is the customer's lane and KEYS[4] the partition's lanes.

-- owe appends the delivery d (notice, once, agent, entry, body, mark) to the lane
-- of member; returns 1, or 0 if it goes out once a conversation and has. The lane
-- is due now, unless it waits or is leased already. TTL (ms) of both keys.
local function owe(c, now, ttl, member, d)
  if d.once == '1' then
    if string.find(c.n, ' ' .. d.notice .. ' ', 1, true) then return 0 end
    put(c, 'n', (c.n == '' and ' ' or c.n) .. d.notice .. ' ')
  end
  put(c, 'dn', (tonumber(c.dn) or 0) + 1)
  local id = now .. '-' .. c.dn .. (d.mark or '')
  redis.call('RPUSH', KEYS[3], table.concat({id, '0', d.agent, d.entry, d.body}, '\n'))
  redis.call('PEXPIRE', KEYS[3], ttl)
  redis.call('ZADD', KEYS[4], 'NX', now, member)
  redis.call('PEXPIRE', KEYS[4], ttl)
  return 1
end
