-- Fragment: the quick way of receive.lua, for most pushes: a message in a conversation
-- that stays with its agent, whom WeChat reaches, at the entry where the customer is.
-- It does what receive.lua would, with a fraction of the work: what seldom changes is
-- handed on as it stands, unread. Needs constants, whole.lua, layout.lua, reach.lua.

-- kept returns '=' and the record for a push seen before, else, each on a line, the
-- answer, '1' = refresh the seat, 'q', who holds the seat, since when, the turn, and
-- the lines of s and t; nil, with nothing changed, if this push is for receive.lua
-- itself, and then true if there is no hash of the customer.
local function kept()
  if ARGV[7] == 'e' then return end
  local h = redis.call('HMGET', KEYS[2], 'q', 'sv', 's', 't')
  local q, holds = h[1], h[2]
  if not q then return nil, not (holds or h[3]) end
  -- Compared as texts: to make numbers of them takes longer. Instants begin with as
  -- many digits as are in calm and ku, and are later if that is all the difference.
  if ARGV[1] > q or string.sub(q, 11, 20) < ARGV[5] or not holds then return end
  local idle, turn = string.match(q, '^(%d*) (%d+)$', TAIL)
  if idle ~= ARGV[2] then return end
  local now, since, held = ARGV[1] + 0, string.sub(q, 21, 33), string.sub(q, 34, 46)
  idle = idle + 0 -- tonumber reads a text twice
  local gap = now - since
  if gap > idle then return end

  local way, account = reached(ARGV[3], holds)
  if not way or way == 'R' then return end
  local answer = way .. holds .. ' ' .. account
  if not redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. answer, 'PX', PUSH_TTL, 'NX') then
    return '=' .. (redis.call('GET', KEYS[1]) or ARGV[1])
  end
  local refresh = '\n0\nq\n'
  turn = whole(turn + 1)
  if now - held > idle / 20 then held, refresh = ARGV[1], '\n1\nq\n' end
  redis.call('HSET', KEYS[2], 'mn', ARGV[4], 'mu', ARGV[5], 'q',
    string.sub(q, 1, 20) .. (gap > 0 and ARGV[1] or since) .. held .. ARGV[2] .. ' ' .. turn)
  return answer .. refresh .. holds .. '\n' .. held .. '\n' .. turn .. '\n' .. h[3] .. '\n' .. h[4]
end

local quick, fresh = kept()
if quick then return quick end
