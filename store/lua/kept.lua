-- Fragment: the quick way of receive.lua, for most pushes: a message in a conversation
-- that stays with its agent, whom WeChat reaches, at the entry where the customer is.
-- It does what receive.lua would, with a fraction of the work: what seldom changes is
-- handed on as it stands, unread. Needs constants, whole.lua, reach.lua.

-- kept returns '=' and the record for a push seen before, else, each on a line, the
-- answer, '1' = refresh the seat, 'q', who holds the seat, since when, the turn, and
-- the lines of s and t; nil, with nothing changed, if this push is for receive.lua
-- itself, and then true if there is no hash of the customer.
local function kept()
  if ARGV[7] == 'e' then return end
  local h = redis.call('HMGET', KEYS[2], 'q', 'lp', 'sv', 'rc', 'sa', 'hl', 's', 't')
  local calm, since, holds = h[1], h[2], h[3]
  -- Compared as texts: to make numbers of them takes longer. Instants begin with as
  -- many digits as are in calm, and are later if that is all the difference. joined of
  -- state.lua says what is in it.
  if not calm then return nil, not (since or holds or h[4] or h[7]) end
  if ARGV[1] > calm or string.sub(calm, 11, 20) < ARGV[5] or string.sub(calm, 21) ~= ARGV[2] then return end
  if not since or not holds or h[6] == '1' then return end
  local now, idle = ARGV[1] + 0, ARGV[2] + 0 -- tonumber reads a text twice
  local gap = now - since
  if gap > idle then return end

  local way, account = reached(ARGV[3], holds)
  if not way or way == 'R' then return end
  local answer = way .. holds .. ' ' .. account
  if not redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. answer, 'PX', PUSH_TTL, 'NX') then
    return '=' .. (redis.call('GET', KEYS[1]) or ARGV[1])
  end
  local turn, held, refresh = whole((h[4] or 0) + 1), h[5] or '', '\n0\nq\n'
  redis.call('HSET', KEYS[2], 'lp', gap > 0 and ARGV[1] or since, 'mn', ARGV[4], 'mu', ARGV[5], 'rc', turn)
  if held == '' or now - held > idle / 20 then
    held, refresh = ARGV[1], '\n1\nq\n'
    redis.call('HSET', KEYS[2], 'sa', held)
  end
  return answer .. refresh .. holds .. '\n' .. held .. '\n' .. turn .. '\n' .. h[7] .. '\n' .. h[8]
end

local quick, fresh = kept()
if quick then return quick end
