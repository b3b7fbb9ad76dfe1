-- receive records a push, brings the customer's hash up to it, and answers it
-- at once if the conversation stays with its agent. Needs constants, reach.lua, kept.lua,
-- customer.lua with what it needs, move.lua, owe.lua, await.lua, tell.lua.
--
-- What few pushes need is given only with them: each argument costs as much as a line of this.
--
-- KEYS  1 push record, 2 customer, 3 bucket, 4 lanes; an enter event: 5 lane; words: 5 transcript, 6 timers
-- ARGV  1 now ms, 2 idle ms, 3 reach, 4 messages allowed by this push, 5 until ms, 6 default entry, its sticky ms, member of 3, 4
--       and 6, each on a line;
--       an enter event: 7 'e', 8 asked entry ('' = no tag), 9 sticky ms of 8, 10 asked agent, 11 asked group,
--                       12 greeting's notice ('' = none), 13 '1' = once, 14 its entry ('' = the one found), 15 its body;
--       words of the customer, if a relay may bring them: 7 'w', 8 words ('' = none), 9 what they are known by,
--                       10 keep transcripts for ms (0 = as short as may be)
-- Returns '=' and the record for a push seen before, else, each on a line, answer ('' = not kept),
--         '1' = refresh the seat, deliveries written, and the view; one text, as with the view itself; or what kept.lua returns
local now, idle, enter = ARGV[1] + 0, ARGV[2] + 0, ARGV[7] == 'e'
local common, lasting, member = string.match(ARGV[6], '^([^\n]*)\n([^\n]*)\n(.*)$')
local asked, agent, group = '', '', ''
if enter then asked, agent, group = ARGV[8], ARGV[10], ARGV[11] end
local c = open(KEYS[2], KEYS[3], member, fresh)
local gap = c.lp == '' and math.huge or now - c.lp
local over, holds, was = gap > idle, c.sv, c.e

local entry, sticky, tagged = was, c.es, c.et
if asked ~= '' then
  entry, sticky, tagged = asked, ARGV[9], '1'
elseif (over or enter) and (tagged ~= '1' or sticky == '0' or gap > tonumber(sticky)) then
  entry, sticky, tagged = common, lasting, ''
end

local answer, way = '', nil
if not over and holds ~= '' and c.se == entry and (agent == '' or agent == holds) and (group == '' or group == c.g) then
  local account
  way, account = reached(ARGV[3], holds)
  if way then answer = enter and 'S' .. holds .. ' ' or way .. holds .. ' ' .. account end
end
-- The first write: a push seen before changes nothing.
if not redis.call('SET', KEYS[1], answer == '' and ARGV[1] or ARGV[1] .. ' ' .. answer, 'PX', PUSH_TTL, 'NX') then
  return '=' .. (redis.call('GET', KEYS[1]) or ARGV[1])
end

move(c, now, gap, entry, sticky)
if over and was ~= '' then for _, name in ipairs({'sv', 'se', 'st', 'n', 'mi', 'aw'}) do put(c, name, '') end end
if over or entry ~= was then put(c, 'ei', ARGV[1]) end
if asked ~= '' then put(c, 'a', agent) put(c, 'g', group) elseif tagged ~= '1' then put(c, 'a', '') put(c, 'g', '') end
put(c, 'et', tagged) put(c, 'il', ARGV[2]) if gap > 0 then put(c, 'lp', ARGV[1]) end
put(c, enter and 'en' or 'mn', ARGV[4]) put(c, enter and 'eu' or 'mu', ARGV[5]) put(c, 'rc', whole((tonumber(c.rc) or 0) + 1))
if c.hl == '1' then put(c, 'hl', '') redis.call('ZADD', KEYS[4], 'XX', now, member) end

local refresh, owed = '0', 0
if way then
  if now - (tonumber(c.sa) or 0) > idle / 20 then refresh = '1' put(c, 'sa', ARGV[1]) end
  if way == 'R' and not enter then
    await(c, KEYS[6], now, member, {within = c.at, ttl = LANE_TTL})
    if ARGV[8] ~= '' then tell(KEYS[5], now, ARGV[10], {d = 'c', a = holds, w = ARGV[8], k = ARGV[9]}) end
  end
  if enter and ARGV[12] ~= '' then
    owed = owe(c, now, KEYS[5], LANE_TTL, {notice = ARGV[12], once = ARGV[13], body = ARGV[15],
      agent = (way == 'R' or way == 'N') and holds or '', entry = ARGV[14] ~= '' and ARGV[14] or entry})
  end
end
save(c, now, math.max(now + idle, now + tonumber(sticky), tonumber(c.mu) or 0, tonumber(c.eu) or 0), SLACK)
return answer .. '\n' .. refresh .. '\n' .. owed .. '\n' .. view(c, now, idle, holds)
