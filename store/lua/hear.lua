-- hear records a message of an agent's chat, renews what may be sent to him, and
-- finds the conversation that he means. Heard again, it means the same one,
-- whatever he has selected since. Needs labels.lua, recall.lua, target.lua.
--
-- KEYS  1 record of the message, 2 chat, 3 labels, 4 lanes
-- ARGV  1 now ms, 2 member of 4, 3 label asked for (0 = the selected one), 4 '1' = a conversation is meant,
--       5 '1' = it is the selected one from now on, 6 '1' = he wrote nothing, 7 messages allowed by this one, 8 until ms,
--       9 idle ms, 10 TTL ms of 1, 11 TTL ms of 2 and 3, 12 ms after which it is heard again, 13 slack ms of what others know,
--       14 last ms in which he may have written it (0 = unknown)
-- Returns {0, first ms, '1' = done, reply} if it was heard before, else
--         {1, state, until ms, '1' = others must know, word (found, none, many, unknown, lost), label, label lost,
--          who has it, selected label, records …}; a record is label, member, entry, waiting, last, line
local now, idle = tonumber(ARGV[1]), tonumber(ARGV[9])
local known = redis.call('GET', KEYS[1])
if known then
  local first, reply = string.match(known, '^(%d+)\n(.*)$')
  if first then return {0, first, '1', reply} end
  first = string.match(known, '^%d+')
  if now - tonumber(first) <= tonumber(ARGV[12]) then return {0, first, '0', ''} end
end
local announce = '0'
if ARGV[6] ~= '1' and not known then
  local chat = redis.call('HMGET', KEYS[2], 'pu', 'hd')
  redis.call('HSET', KEYS[2], 'mn', ARGV[7], 'al', ARGV[7], 'mu', ARGV[8], 'tw', '', 'hd', '')
  if redis.call('HSETNX', KEYS[2], 'st', 'online') == 1 then announce = '1' end -- who writes for the first time is there
  if chat[2] == '1' then redis.call('ZADD', KEYS[4], 'XX', now, ARGV[2]) end
  if tonumber(ARGV[8]) - (tonumber(chat[1] or '') or 0) > tonumber(ARGV[13]) then
    announce = '1'
    redis.call('HSET', KEYS[2], 'pu', ARGV[8])
  end
end
local all = records(KEYS[3])
local found = {word = 'none', label = '', lost = '', to = ''}
if ARGV[4] == '1' then
  found = known and recall(known, all)
    or target(KEYS[2], all, {label = ARGV[3], select = ARGV[5] == '1', now = now, idle = idle, said = tonumber(ARGV[14])})
end
redis.call('SET', KEYS[1], now .. (ARGV[4] == '1' and remember(found, all) or ''), 'PX', ARGV[10])
for i = 2, 3 do redis.call('PEXPIRE', KEYS[i], ARGV[11]) end
local chat = redis.call('HMGET', KEYS[2], 'st', 'mu', 'sel')
local out = {1, chat[1] or '', chat[2] or '', announce, found.word, found.label, found.lost, found.to, chat[3] or ''}
for _, r in ipairs(all) do
  for _, v in ipairs({r.label, r.member, r.entry, r.waiting, r.last, r.line}) do out[#out + 1] = v end
end
return out
