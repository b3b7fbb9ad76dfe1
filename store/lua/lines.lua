-- Fragment: the lines of a chat's lane. keys.go says what a line holds.

local function line(item)
  local id, tries, flags, rest = string.match(item, '^([^\n]*)\n(%d+)\n(%l*)\n(.*)$')
  local whose, label, turn, kind, bytes = string.match(rest, '^([^\n]*)\n(%d+)\n(%d+)\n(%u)\n(%d+)\n')
  return {id = id, tries = tonumber(tries), flags = flags, rest = rest, whose = whose, label = label,
    turn = tonumber(turn), kind = kind, bytes = tonumber(bytes), withdrawn = string.find(flags, 'w') ~= nil}
end

-- mark gives the element of a line with one more flag, and so many more tries.
local function mark(l, flag, tries)
  if string.find(l.flags, flag, 1, true) then flag = '' end
  return table.concat({l.id, l.tries + tries, l.flags .. flag, l.rest}, '\n')
end

-- take takes out the lines that which(line) names. The first flying ones are on
-- their way: they are marked, and taken out if they do not arrive. Returns how
-- many were taken out and how many marked.
local function take(lane, flying, which)
  local out, marked = 0, 0
  local items = redis.call('LRANGE', lane, 0, -1)
  for i = #items, 1, -1 do
    local l = line(items[i])
    if which(l) and i > flying then
      out = out + redis.call('LREM', lane, 1, items[i])
    elseif which(l) then
      redis.call('LSET', lane, i - 1, mark(l, 'w', 0))
      marked = marked + 1
    end
  end
  return out, marked
end
