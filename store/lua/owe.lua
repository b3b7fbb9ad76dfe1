-- Fragment: writing a delivery down. Needs whole.lua, customer.lua, and of the script
-- that KEYS[4] is the partition's lanes.

-- owe appends the delivery d (notice, once, agent, entry, body, mark) to the customer's
-- lane; returns 1, or 0 if it goes out once a conversation and has. The lane
-- is due now, unless it waits or is leased already. TTL (ms) of both keys.
local function owe(c, now, lane, ttl, d)
  if d.once == '1' then
    if string.find(c.n, ' ' .. d.notice .. ' ', 1, true) then return 0 end
    put(c, 'n', (c.n == '' and ' ' or c.n) .. d.notice .. ' ')
  end
  put(c, 'dn', whole((tonumber(c.dn) or 0) + 1))
  local id = now .. '-' .. c.dn .. (d.mark or '')
  redis.call('RPUSH', lane, table.concat({id, '0', d.agent, d.entry, d.body}, '\n'))
  redis.call('PEXPIRE', lane, ttl)
  redis.call('ZADD', KEYS[4], 'NX', now, c.member)
  redis.call('PEXPIRE', KEYS[4], ttl)
  return 1
end
