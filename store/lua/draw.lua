-- draw gives what a chat is owed to one worker: the lines that go out in one
-- message, one message of the agent's allowance being reserved for it. The last
-- one there is goes for word that more waits; then all is held until he writes.
-- Needs lines.lua.
--
-- KEYS  1 lanes, 2 lane, 3 chat, 4 lines taken out
-- ARGV  1 member of 1, 2 now ms, 3 end of the lease ms, 4 line asked for ('' = none), 5 bytes that fit into one
--       message, 6 ms from one message to the next, 7 ms to hold, 8 lines that fit
-- Returns {'empty'}, {'done'}, {'gone'} (the line asked for was taken out), {'held'}, {'wait', due ms, '1' = the last try
--         failed, and due is the next}, {'mine', '1' = word that more waits, selected label, lines …}
local now, asked = tonumber(ARGV[2]), ARGV[4]
local function word(other)
  if asked == '' then return other end
  for _, item in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do
    if line(item).id == asked then return other end
  end
  return redis.call('ZSCORE', KEYS[4], asked) and 'gone' or 'done'
end
local chat = redis.call('HMGET', KEYS[3], 'mn', 'mu', 'tw', 'ls', 'st', 'hd', 'fl', 'sel', 'al', 'po')
local function number(i) return tonumber(chat[i] or '') or 0 end
local due = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0)
if due <= now and number(7) > 0 then -- a lease that nobody ended: its lines may have arrived
  local items = redis.call('LRANGE', KEYS[2], 0, number(7) - 1)
  for i, item in ipairs(items) do redis.call('LSET', KEYS[2], i - 1, mark(line(item), 'd', 0)) end
  take(KEYS[2], KEYS[4], now, 0, false, function(l) return l.withdrawn end)
  redis.call('HSET', KEYS[3], 'fl', 0)
end
if redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('ZREM', KEYS[1], ARGV[1])
  return {word('empty')}
end
if due > now then return {word(chat[6] == '1' and 'held' or 'wait'), due, due == number(10) and '1' or ''} end
local left = number(1)
if chat[5] == 'gone' or number(2) <= now then left = 0 end
local last = left == 1 and number(9) ~= 1 -- who is allowed a single one gets his lines by it
if left == 0 or (last and chat[3] == '1') then
  redis.call('ZADD', KEYS[1], now + ARGV[7], ARGV[1])
  redis.call('HSET', KEYS[3], 'hd', '1')
  return {word('held')}
end
local after = number(4) + ARGV[6]
if after > now and after - now <= tonumber(ARGV[6]) then
  redis.call('ZADD', KEYS[1], after, ARGV[1])
  return {word('wait'), after}
end

local out, bytes = {'mine', last and '1' or '0', chat[8] or ''}, 0
for i, item in ipairs(not last and redis.call('LRANGE', KEYS[2], 0, ARGV[8] - 1) or {}) do
  local l = line(item)
  local alone = l.kind == 'I' or l.kind == 'P'
  bytes = bytes + l.bytes
  if i > 1 and (alone or bytes > tonumber(ARGV[5])) then break end
  out[#out + 1] = item
  if alone then break end
end
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
redis.call('HSET', KEYS[3], 'mn', left - 1, 'rm', chat[2], 'fl', #out - 3, 'hd', '', 'tw', last and '1' or chat[3] or '')
return out
