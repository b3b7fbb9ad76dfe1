-- settle ends the work on a push: assigns the conversation unless another push
-- has, keeps the answer for repeats and writes down what is owed; all or nothing.
-- Needs rested.lua, unpack.lua, state.lua, customer.lua, owe.lua, await.lua, tell.lua.
--
-- KEYS  1 push record (any key, if no push asks), 2 customer, 3 lane, 4 lanes, 5 records, 6 transcript, 7 timers,
--       8 bucket
-- ARGV  1 now ms, 2 idle ms, 3 TTL ms of 1, 4 slack ms of 2's TTL, 5 TTL ms of 3 and 4,
--       6 member of 4, 7 and 8, 7 version, 8 entry, 9 its sticky ms, 10 agent ('' = nobody),
--       11 owner ('' = nobody), 12 borrowed ('' = never), 13 answer ('' = no push asks), 14 '1' = replace a decided answer,
--       15 record for explain ('' = none), 16 records of 5, 17 TTL ms of 5,
--       18 ms for an answer ('' = any time), 19 missed, 20 words ('' = none), 21 what they are known by,
--       22 keep transcripts for ms, 23 ms since when the customer has to wait (0 = in any case), from 24 the deliveries: notice, '1' = once, agent, entry, body
-- Returns {0, answer} if the push was decided before, {1, view} if the
--         conversation has changed since version, {2, deliveries written} if applied,
--         {3, view} if the customer does not wait
local now, idle = tonumber(ARGV[1]), tonumber(ARGV[2])
local asked = ARGV[13] ~= ''
local known = asked and redis.call('GET', KEYS[1]) or ARGV[1]
local first, decided = string.match(known, '^(%d+) ?(.*)$')
if decided ~= '' and ARGV[14] ~= '1' then return {0, decided} end
local c = open(KEYS[2], KEYS[8], ARGV[6])
local version = tonumber(c.v) or 0
if version ~= tonumber(ARGV[7]) then return {1, view(c, now, idle, c.sv)} end
if ARGV[23] ~= '0' and c.aw ~= ARGV[23] then return {3, view(c, now, idle, c.sv)} end

local entry, sticky, agent, owner, borrowed = ARGV[8], ARGV[9], ARGV[10], ARGV[11], ARGV[12]
if c.lp == '' then put(c, 'e', entry) put(c, 'ei', now) put(c, 'lp', now) put(c, 'il', idle) end
-- Nobody serving leaves it as it was: a stand-in after him is the same borrowing.
local standing = c.se == entry and c.st or ''
if agent ~= '' then standing = (owner ~= '' and owner ~= agent) and '1' or '' end
put(c, 'sv', agent) put(c, 'se', entry) put(c, 'st', standing) put(c, 'mi', ARGV[19])
if entry == c.e then
  put(c, 'ow', owner) put(c, 'bo', borrowed)
else
  put(c, 'o:' .. entry, owner ~= '' and owner .. ' ' .. (borrowed == '' and '0' or borrowed) .. ' ' .. now or '')
end
-- To go where the conversation is already changes nothing that others rely on.
if c.changed then put(c, 'v', version + 1) end
if entry == c.e then put(c, 'es', sticky) end
put(c, 'sa', now)
local relayed = agent ~= '' and (not asked or string.sub(ARGV[13], 1, 1) == 'R')
if relayed then await(c, KEYS[7], now, ARGV[6], {within = ARGV[18], ttl = ARGV[5], anew = true}) else answered(c, KEYS[7], ARGV[6]) end
if agent ~= '' then put(c, 'at', ARGV[18]) end
if relayed and ARGV[20] ~= '' then tell(KEYS[6], now, ARGV[22], {d = 'c', a = agent, w = ARGV[20], k = ARGV[21]}) end

local owed = 0
for i = 24, #ARGV, 5 do
  owed = owed + owe(c, now, ARGV[5], ARGV[6],
    {notice = ARGV[i], once = ARGV[i + 1], agent = ARGV[i + 2], entry = ARGV[i + 3], body = ARGV[i + 4]})
end
save(c, now, math.max(now + idle, now + tonumber(sticky)), tonumber(ARGV[4]))
if asked then redis.call('SET', KEYS[1], first .. ' ' .. ARGV[13], 'PX', ARGV[3]) end
if ARGV[15] ~= '' then
  redis.call('LPUSH', KEYS[5], field(ARGV[6]) .. ARGV[15])
  redis.call('LTRIM', KEYS[5], 0, ARGV[16] - 1)
  for _ = 1, 100 do -- those who are over go when another comes
    local last = redis.call('LINDEX', KEYS[5], -1)
    if not last or now - number(last, 9) <= tonumber(ARGV[17]) then break end
    redis.call('LTRIM', KEYS[5], 0, -2)
  end
  redis.call('PEXPIRE', KEYS[5], ARGV[17])
end
return {2, owed}
