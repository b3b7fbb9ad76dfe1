-- settle ends the work on a push: assigns the conversation unless another push
-- has, keeps the answer for repeats and writes down what is owed; all or nothing.
-- Needs constants, customer.lua with what it needs, owe.lua, await.lua, tell.lua.
--
-- KEYS  1 push record (any key, if no push asks), 2 customer, 3 lane, 4 lanes, 5 records, 6 transcript, 7 timers,
--       8 bucket
-- ARGV  1 now ms, 2 idle ms, 3 member of 4, 7 and 8, 4 version, 5 entry, 6 its sticky ms, 7 agent ('' = nobody),
--       8 owner ('' = nobody), 9 borrowed ('' = never), 10 answer ('' = no push asks), 11 '1' = replace a decided answer,
--       12 record for explain ('' = none), 13 ms for an answer ('' = any time), 14 missed,
--       15 words ('' = none), 16 what they are known by, 17 keep transcripts for ms,
--       18 ms since when the customer has to wait (0 = in any case), from 19 the deliveries: notice, '1' = once, agent, entry, body
-- Returns {0, answer} if the push was decided before, {1, view} if the
--         conversation has changed since version, {2, deliveries written} if applied,
--         {3, view} if the customer does not wait
local now, idle = ARGV[1] + 0, ARGV[2] + 0
local asked = ARGV[10] ~= ''
local known = asked and redis.call('GET', KEYS[1]) or ARGV[1]
local first, decided = string.match(known, '^(%d+) ?(.*)$')
if decided ~= '' and ARGV[11] ~= '1' then return {0, decided} end
local c = open(KEYS[2], KEYS[8], ARGV[3])
local version = tonumber(c.v) or 0
if version ~= tonumber(ARGV[4]) then return {1, view(c, now, idle, c.sv)} end
if ARGV[18] ~= '0' and c.aw ~= ARGV[18] then return {3, view(c, now, idle, c.sv)} end

local entry, sticky, agent, owner, borrowed = ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9]
if c.lp == '' then put(c, 'e', entry) put(c, 'ei', ARGV[1]) put(c, 'lp', ARGV[1]) put(c, 'il', ARGV[2]) end
-- Nobody serving leaves it as it was: a stand-in after him is the same borrowing.
local standing = c.se == entry and c.st or ''
if agent ~= '' then standing = (owner ~= '' and owner ~= agent) and '1' or '' end
put(c, 'sv', agent) put(c, 'se', entry) put(c, 'st', standing) put(c, 'mi', ARGV[14])
if entry == c.e then
  put(c, 'ow', owner) put(c, 'bo', borrowed)
else
  put(c, 'o:' .. entry, owner ~= '' and owner .. ' ' .. (borrowed == '' and '0' or borrowed) .. ' ' .. ARGV[1] or '')
end
-- To go where the conversation is already changes nothing that others rely on.
if c.changed then put(c, 'v', whole(version + 1)) end
if entry == c.e then put(c, 'es', sticky) end
put(c, 'sa', ARGV[1])
local relayed = agent ~= '' and (not asked or string.sub(ARGV[10], 1, 1) == 'R')
if relayed then await(c, KEYS[7], now, ARGV[3], {within = ARGV[13], ttl = LANE_TTL, anew = true}) else answered(c, KEYS[7], ARGV[3]) end
if agent ~= '' then put(c, 'at', ARGV[13]) end
if relayed and ARGV[15] ~= '' then tell(KEYS[6], now, ARGV[17], {d = 'c', a = agent, w = ARGV[15], k = ARGV[16]}) end

local owed = 0
for i = 19, #ARGV, 5 do
  owed = owed + owe(c, now, KEYS[3], LANE_TTL,
    {notice = ARGV[i], once = ARGV[i + 1], agent = ARGV[i + 2], entry = ARGV[i + 3], body = ARGV[i + 4]})
end
save(c, now, math.max(now + idle, now + tonumber(sticky)), SLACK)
if asked then redis.call('SET', KEYS[1], first .. ' ' .. ARGV[10], 'PX', PUSH_TTL) end
if ARGV[12] ~= '' then
  local n = redis.call('LPUSH', KEYS[5], named(c) .. ARGV[12])
  if n > RECORDS_MOST then redis.call('LTRIM', KEYS[5], 0, RECORDS_MOST - 1) end
  for _ = 1, 100 do -- those who are over go when another comes
    local last = redis.call('LINDEX', KEYS[5], -1)
    if not last or now - number(last, 9) <= RECORD_TTL + 0 then break end
    redis.call('LTRIM', KEYS[5], 0, -2)
  end
  redis.call('PEXPIRE', KEYS[5], RECORD_TTL)
end
return {2, owed}
