-- Fragment: the lines of a chat's lane. keys.go says what a line holds.

local function line(item)
  local id, tries, flags, rest = string.match(item, '^([^\n]*)\n(%d+)\n(%l*)\n(.*)$')
  local whose, label, turn, kind, bytes = string.match(rest, '^([^\n]*)\n(%d+)\n(%d+)\n(%u)\n(%d+)\n')
  return {item = item, id = id, tries = tonumber(tries), flags = flags, rest = rest, whose = whose, label = label,
    turn = tonumber(turn), kind = kind, bytes = tonumber(bytes), withdrawn = string.find(flags, 'w') ~= nil}
end

-- mark gives the element of a line with one more flag, and so many more tries.
local function mark(l, flag, tries)
  if string.find(l.flags, flag, 1, true) then flag = '' end
  return table.concat({l.id, l.tries + tries, l.flags .. flag, l.rest}, '\n')
end

-- drop takes a line out that the agent has not had, and notes that in gone for as
-- long as a push may wait for it, unless somebody else has been brought it.
local function drop(lane, gone, now, l)
  if not string.find(l.flags, 'b', 1, true) then
    redis.call('ZADD', gone, now, l.id)
    redis.call('ZREMRANGEBYSCORE', gone, '-inf', now - 60000)
    redis.call('PEXPIRE', gone, 60000)
  end
  return redis.call('LREM', lane, 1, l.item)
end

-- take drops the lines that which(line) names. The first flying ones are on their
-- way: they are marked, and dropped if they do not arrive. With brought somebody
-- else has them. Returns how many were dropped and how many marked.
local function take(lane, gone, now, flying, brought, which)
  local out, marked = 0, 0
  local items = redis.call('LRANGE', lane, 0, -1)
  for i = #items, 1, -1 do
    local l = line(items[i])
    if which(l) and i > flying then
      if brought then l.flags = l.flags .. 'b' end
      out = out + drop(lane, gone, now, l)
    elseif which(l) then
      redis.call('LSET', lane, i - 1, mark(l, brought and 'wb' or 'w', 0))
      marked = marked + 1
    end
  end
  return out, marked
end
