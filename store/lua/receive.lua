-- receive records a push, brings the customer's hash up to it, and answers it
-- at once if the conversation stays with its agent. Needs customer.lua, move.lua, owe.lua, await.lua, tell.lua.
--
-- KEYS  1 push record, 2 customer, 3 lane, 4 lanes, 5 transcript, 6 timers
-- ARGV  1 now ms, 2 idle ms, 3 '1' = enter event, 4 asked entry ('' = no tag), 5 asked agent,
--       6 asked group, 7 sticky ms of 4, 8 default entry, 9 sticky ms of 8, 10 reach,
--       11 messages allowed by this push, 12 until ms, 13 TTL ms of 1, 14 slack ms of 2's TTL,
--       15 TTL ms of 3 and 4, 16 member of 4, 17 greeting's notice ('' = none), 18 '1' = once,
--       19 its entry ('' = the one found), 20 its body, 21 words ('' = none), 22 what they are known by,
--       23 keep transcripts for ms (0 = as short as may be)
-- Returns {0, record} for a push seen before, else
--         {1, answer ('' = not kept), '1' = refresh the seat, deliveries written, view}
local known = redis.call('GET', KEYS[1])
if known then return {0, known} end
local now, idle, enter, asked = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == '1', ARGV[4] ~= ''
local c = open(KEYS[2])
local gap = c.lp == '' and math.huge or now - c.lp
local over, holds, group, was = gap > idle, c.sv, c.g, c.e

local entry, sticky, tagged = c.e, c.es, c.et
if asked then
  entry, sticky, tagged = ARGV[4], ARGV[7], '1'
elseif (over or enter) and (tagged ~= '1' or sticky == '0' or gap > tonumber(sticky)) then
  entry, sticky, tagged = ARGV[8], ARGV[9], '0'
end
move(c, now, gap, entry, sticky)
if over then for name, blank in pairs({sv = '', se = '', st = '0', n = '', mi = '', aw = ''}) do put(c, name, blank) end end
if over or entry ~= was then put(c, 'ei', ARGV[1]) end
if asked then put(c, 'a', ARGV[5]) put(c, 'g', ARGV[6]) end
if tagged == '0' then put(c, 'a', '') put(c, 'g', '') end
put(c, 'et', tagged) put(c, 'il', ARGV[2]) if gap > 0 then put(c, 'lp', ARGV[1]) end
put(c, enter and 'en' or 'mn', ARGV[11]) put(c, enter and 'eu' or 'mu', ARGV[12]) put(c, 'rc', (tonumber(c.rc) or 0) + 1)
if c.hl == '1' then put(c, 'hl', '') redis.call('ZADD', KEYS[4], 'XX', now, ARGV[16]) end

local answer, refresh, owed = '', '0', 0
local stays = c.sv ~= '' and c.se == entry and (ARGV[5] == '' or ARGV[5] == c.sv) and (ARGV[6] == '' or ARGV[6] == group)
local _, from = string.find(ARGV[10], ' ' .. c.sv .. '=', 1, true)
if stays and from then
  local way, account = string.match(ARGV[10], '(.)(%S*)', from + 1)
  answer = enter and 'S' .. c.sv .. ' ' or way .. c.sv .. ' ' .. account
  if now - (tonumber(c.sa) or 0) > idle / 20 then refresh = '1' put(c, 'sa', ARGV[1]) end
  if way == 'R' and not enter then
    await(c, KEYS[6], now, ARGV[16], {within = c.at, ttl = ARGV[15]})
    if ARGV[21] ~= '' then tell(KEYS[5], now, ARGV[23], {d = 'c', a = c.sv, w = ARGV[21], k = ARGV[22]}) end
  end
  if enter and ARGV[17] ~= '' then
    owed = owe(c, now, ARGV[15], ARGV[16], {notice = ARGV[17], once = ARGV[18], body = ARGV[20],
      agent = (way == 'R' or way == 'N') and c.sv or '', entry = ARGV[19] ~= '' and ARGV[19] or entry})
  end
end
save(c, now, math.max(now + idle, now + tonumber(sticky), tonumber(c.mu) or 0, tonumber(c.eu) or 0), tonumber(ARGV[14]))
redis.call('SET', KEYS[1], answer == '' and ARGV[1] or ARGV[1] .. ' ' .. answer, 'PX', ARGV[13])
return {1, answer, refresh, owed, view(c, now, idle, holds)}
