-- Fragment: the quick way of receive.lua, for most pushes: a message in a conversation
-- that stays with its agent, whom WeChat reaches, at the entry where the customer is.
-- It does what receive.lua would, with a fraction of the work: what seldom changes is
-- handed on as it stands, unread. Needs constants, whole.lua, layout.lua, reach.lua.

-- kept returns '=' and the record for a push seen before, else, each on a line, the
-- answer, '1' = refresh the seat, 'q', who holds the seat, since when, the turn, and
-- the lines of s and t; nil, with nothing changed, if this push is for receive.lua
-- itself, and then true if there is no hash of the customer.
local function kept()
  local given, call, sub = ARGV, redis.call, string.sub -- locals take less time
  if given[7] == 'e' then return end
  local h = call('HMGET', KEYS[2], 'q', 'sv', 's', 't')
  local q, holds, at, idle = h[1], h[2], given[1], given[2]
  if not q then return nil, not (holds or h[3]) end
  -- Compared as texts: to make numbers of them takes longer. Instants begin with as
  -- many digits as are in calm and ku, and are later if that is all the difference.
  if at > q or sub(q, 11, 20) < given[5] or not holds then return end
  local turn = TAIL + #idle + 1
  if sub(q, TAIL, turn - 1) ~= idle .. ' ' or #q < turn then return end
  local now, since, held = at + 0, sub(q, 21, 33), sub(q, 34, 46)
  local gap, most = now - since, idle + 0 -- tonumber reads a text twice
  if gap > most then return end

  local way, account = reached(given[3], holds)
  if not way or way == 'R' then return end
  local answer = way .. holds .. ' ' .. account
  if not call('SET', KEYS[1], at .. ' ' .. answer, 'PX', PUSH_TTL, 'NX') then
    return '=' .. (call('GET', KEYS[1]) or at)
  end
  local refresh = '\n0\nq\n'
  turn = whole(sub(q, turn) + 1)
  if now - held > most / 20 then held, refresh = at, '\n1\nq\n' end
  call('HSET', KEYS[2], 'mn', given[4], 'mu', given[5], 'q',
    sub(q, 1, 20) .. (gap > 0 and at or since) .. held .. idle .. ' ' .. turn)
  return answer .. refresh .. holds .. '\n' .. held .. '\n' .. turn .. '\n' .. h[3] .. '\n' .. h[4]
end

local quick, fresh = kept()
if quick then return quick end
