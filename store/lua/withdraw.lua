-- withdraw takes the lines of one posting out of a chat's lane, unless the agent
-- has the one that counts. Lines on their way are taken out if they do not arrive.
--
-- KEYS  1 lanes, 2 lane, 3 chat, 4 record of the push
-- ARGV  1 member of 1, 2 now ms, 3 member of the customer, 4 turn, 5 id of the line that counts, 6 TTL ms of 4
-- Returns 0 if the agent has it, 1 if it was taken out, 2 if it is on its way
local items = redis.call('LRANGE', KEYS[2], 0, -1)
local flying = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0) > tonumber(ARGV[2])
  and tonumber(redis.call('HGET', KEYS[3], 'fl') or 0) or 0
local mine, counts = {}, false
for i, item in ipairs(items) do
  local id, whose, turn = string.match(item, '^([^\n]*)\n%d+\n[^\n]*\n([^\n]*)\n%d+\n(%d+)\n')
  if whose == ARGV[3] and turn == ARGV[4] then
    mine[#mine + 1] = i
    counts = counts or id == ARGV[5]
  end
end
if not counts then return 0 end
local result = 1
for n = #mine, 1, -1 do
  local item = items[mine[n]]
  if mine[n] <= flying then
    local id, tries, rest = string.match(item, '^([^\n]*)\n(%d+)\n(.*)$')
    redis.call('LSET', KEYS[2], mine[n] - 1, table.concat({id, tries, 'w' .. rest}, '\n'))
    result = 2
  else
    redis.call('LREM', KEYS[2], 1, item)
  end
end
redis.call('SET', KEYS[4], 'x', 'PX', ARGV[6])
return result
