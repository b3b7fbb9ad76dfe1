-- receive records a push, brings the customer's hash up to it, and answers it
-- at once if the conversation stays with its agent. Needs constants, reach.lua, kept.lua, state.lua, rested.lua, unpack.lua, customer.lua, move.lua, owe.lua, await.lua, tell.lua.
--
-- What few pushes need is given only with them: each argument costs as much as a line of this.
--
-- KEYS  1 push record, 2 customer, 3 lane, 4 lanes, 5 bucket; with words: 6 transcript, 7 timers
-- ARGV  1 now ms, 2 idle ms, 3 default entry, 4 sticky ms of 3, 5 reach, 6 messages allowed by this push, 7 until ms, 8 member of 4, 5 and 7;
--       an enter event: 9 'e', 10 asked entry ('' = no tag), 11 sticky ms of 10, 12 asked agent, 13 asked group,
--                       14 greeting's notice ('' = none), 15 '1' = once, 16 its entry ('' = the one found), 17 its body;
--       words of the customer, if a relay may bring them: 9 'w', 10 words ('' = none), 11 what they are known by,
--                       12 keep transcripts for ms (0 = as short as may be)
-- Returns '=' and the record for a push seen before, else, each on a line, answer ('' = not kept),
--         '1' = refresh the seat, deliveries written, and the view; one text, as with the view itself; or what kept.lua returns
local now, idle, enter = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[9] == 'e'
local asked, agent, group = '', '', ''
if enter then asked, agent, group = ARGV[10], ARGV[12], ARGV[13] end
local c = open(KEYS[2], KEYS[5], ARGV[8])
local gap = c.lp == '' and math.huge or now - c.lp
local over, holds, was = gap > idle, c.sv, c.e

local entry, sticky, tagged = was, c.es, c.et
if asked ~= '' then
  entry, sticky, tagged = asked, ARGV[11], '1'
elseif (over or enter) and (tagged ~= '1' or sticky == '0' or gap > tonumber(sticky)) then
  entry, sticky, tagged = ARGV[3], ARGV[4], ''
end

local answer, way = '', nil
if not over and holds ~= '' and c.se == entry and (agent == '' or agent == holds) and (group == '' or group == c.g) then
  local account
  way, account = reached(ARGV[5], holds)
  if way then answer = enter and 'S' .. holds .. ' ' or way .. holds .. ' ' .. account end
end
-- The first write: a push seen before changes nothing.
if not redis.call('SET', KEYS[1], answer == '' and ARGV[1] or ARGV[1] .. ' ' .. answer, 'PX', PUSH_TTL, 'NX') then
  return '=' .. (redis.call('GET', KEYS[1]) or ARGV[1])
end

move(c, now, gap, entry, sticky)
if over then for _, name in ipairs({'sv', 'se', 'st', 'n', 'mi', 'aw'}) do put(c, name, '') end end
if over or entry ~= was then put(c, 'ei', ARGV[1]) end
if asked ~= '' then put(c, 'a', agent) put(c, 'g', group) elseif tagged ~= '1' then put(c, 'a', '') put(c, 'g', '') end
put(c, 'et', tagged) put(c, 'il', ARGV[2]) if gap > 0 then put(c, 'lp', ARGV[1]) end
put(c, enter and 'en' or 'mn', ARGV[6]) put(c, enter and 'eu' or 'mu', ARGV[7]) put(c, 'rc', (tonumber(c.rc) or 0) + 1)
if c.hl == '1' then put(c, 'hl', '') redis.call('ZADD', KEYS[4], 'XX', now, ARGV[8]) end

local refresh, owed = '0', 0
if way then
  if now - (tonumber(c.sa) or 0) > idle / 20 then refresh = '1' put(c, 'sa', ARGV[1]) end
  if way == 'R' and not enter then
    await(c, KEYS[7], now, ARGV[8], {within = c.at, ttl = LANE_TTL})
    if ARGV[10] ~= '' then tell(KEYS[6], now, ARGV[12], {d = 'c', a = holds, w = ARGV[10], k = ARGV[11]}) end
  end
  if enter and ARGV[14] ~= '' then
    owed = owe(c, now, LANE_TTL, ARGV[8], {notice = ARGV[14], once = ARGV[15], body = ARGV[17],
      agent = (way == 'R' or way == 'N') and holds or '', entry = ARGV[16] ~= '' and ARGV[16] or entry})
  end
end
save(c, now, math.max(now + idle, now + tonumber(sticky), tonumber(c.mu) or 0, tonumber(c.eu) or 0), SLACK)
return answer .. '\n' .. refresh .. '\n' .. owed .. '\n' .. view(c, now, idle, holds)
