-- Fragment: the quick way of receive.lua, for most pushes: a message in a conversation
-- that stays with its agent, whom WeChat reaches, at the entry where the customer is.
-- It does what receive.lua would, with a fraction of the work. Needs constants, state.lua,
-- reach.lua.

-- kept returns what receive.lua returns; nil, with nothing changed, if this push is
-- for receive.lua itself.
local function kept()
  if ARGV[9] == 'e' then return end
  local h = redis.call('HMGET', KEYS[2], 's', 't', 'lp', 'sv', 'rc', 'sa', 'hl')
  local since, holds = h[3], h[4]
  if not h[1] or not h[2] or not since or not holds or h[7] == '1' then return end
  local e, es, _, a, g, ow, bo, se, st = place(h[1])
  local v, il, ku, ei, mi = terms(h[2])
  local now, idle, sticky = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(es) or 0
  local gap, keep = now - since, tonumber(ku) or 0
  if il ~= ARGV[2] or gap > idle or se ~= ' ' and se ~= e then return end
  if ow == '' and bo ~= '' or ow ~= '' and (sticky <= 0 or gap > sticky) then return end
  if keep < now + idle or keep < now + sticky or keep < tonumber(ARGV[7]) then return end

  local way, account = reached(ARGV[5], holds)
  if not way or way == 'R' then return end
  local answer = way .. holds .. ' ' .. account
  if not redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. answer, 'PX', PUSH_TTL, 'NX') then
    return '=' .. (redis.call('GET', KEYS[1]) or ARGV[1])
  end
  local last, turn, held, refresh = gap > 0 and ARGV[1] or since, (tonumber(h[5]) or 0) + 1, h[6] or '', '0'
  redis.call('HSET', KEYS[2], 'lp', last, 'mn', ARGV[6], 'mu', ARGV[7], 'rc', turn)
  if now - (tonumber(held) or 0) > idle / 20 then
    held, refresh = ARGV[1], '1'
    redis.call('HSET', KEYS[2], 'sa', held)
  end
  -- What follows the first three is what view of customer.lua would give.
  return table.concat({answer, refresh, '0', e, a, g, ow, bo, holds, st == '1' and '1' or '0', '1', holds, ei, v, held, mi, turn}, '\n')
end

local quick = kept()
if quick then return quick end
