-- post writes lines of a conversation down for an agent's chat, and gives the
-- conversation a label if it has none. Needs labels.lua, label.lua, lines.lua.
--
-- KEYS  1 chat, 2 labels, 3 lane, 4 lanes, 5 record of the push
-- ARGV  1 now ms, 2 member of 4, 3 member of the customer ('' = no conversation), 4 entry, 5 idle ms,
--       6 'new' = only if the agent takes new ones, 'taken' = if he can be sent anything, 'note' = in any case,
--       7 turn (0 = at the end), 8 '1' = the customer waits, 9 his last words, 10 TTL ms of 1 and 2, 11 TTL ms of 3 and 4,
--       12 TTL ms of 5 (0 = not kept), from 13 the lines: kind (T, P, I, N), bytes, body
-- Returns {0, id of the line to wait for, label} if written, now or before, {1} if withdrawn, {2} if refused
local now, customer, label = tonumber(ARGV[1]), ARGV[3], '0'
local known = ARGV[12] ~= '0' and redis.call('GET', KEYS[5])
if known == 'x' then return {1} end
if known then return {0, string.match(known, '^(%S+) (%d+)')} end
local chat = redis.call('HMGET', KEYS[1], 'st', 'mu', 'fl')
local shut = chat[1] == 'gone' or (tonumber(chat[2] or '') or 0) <= now
if ARGV[6] ~= 'note' and shut then return {2} end
if ARGV[6] == 'new' and chat[1] ~= 'online' then return {2} end
if chat[1] == 'gone' then return {2} end
local fresh = false
if customer ~= '' then
  label = redis.call('HGET', KEYS[2], '=' .. customer)
  if not label and ARGV[6] == 'note' then return {2} end
  fresh = not label
  label = place(KEYS[1], KEYS[2], label, {now = now, member = customer, entry = ARGV[4], idle = tonumber(ARGV[5]),
    waits = ARGV[8] == '1', line = ARGV[9], note = ARGV[6] == 'note'})
end

-- A line goes before those of later turns of the same customer that are not on their way.
local before, turn, length = nil, tonumber(ARGV[7]), redis.call('LLEN', KEYS[3])
if length == 0 then redis.call('HSET', KEYS[1], 'fl', 0) end
local from = math.max(tonumber(chat[3] or '') or 0, length - 32)
local waiting = turn > 0 and redis.call('LRANGE', KEYS[3], from, -1) or {}
for i = #waiting, 1, -1 do
  local l = line(waiting[i])
  if l.whose == customer and l.turn > 0 and l.turn <= turn then break end
  if l.whose == customer and l.turn > turn then before = waiting[i] end
end
local wait = ''
for i = 13, #ARGV, 3 do
  local id = now .. '-' .. redis.call('HINCRBY', KEYS[1], 'dn', 1)
  if ARGV[i] ~= 'I' or wait == '' then wait = id end
  local item = table.concat({id, '0', '', customer, label, turn, ARGV[i], ARGV[i + 1], ARGV[4], ARGV[i + 2]}, '\n')
  if before then redis.call('LINSERT', KEYS[3], 'BEFORE', before, item) else redis.call('RPUSH', KEYS[3], item) end
end
redis.call('ZADD', KEYS[4], 'NX', now, ARGV[2])
for key, ttl in pairs({[KEYS[1]] = ARGV[10], [KEYS[2]] = ARGV[10], [KEYS[3]] = ARGV[11], [KEYS[4]] = ARGV[11]}) do redis.call('PEXPIRE', key, ttl) end
if ARGV[12] ~= '0' then redis.call('SET', KEYS[5], wait .. ' ' .. label .. (fresh and ' new ' .. (#ARGV - 12) / 3 or ''), 'PX', ARGV[12]) end
return {0, wait, label}
