-- Fragment: the conversations of an agent's chat. keys.go says what a record holds.

-- record reads the conversation of a label; nil if there is none.
local function record(key, label)
  local text = redis.call('HGET', key, label)
  if not text then return nil end
  local member, entry, waiting, last, line = string.match(text, '^([^\n]*)\n([^\n]*)\n(%d*)\n(%d+)\n(.*)$')
  return {label = label, member = member, entry = entry, waiting = waiting, last = last, line = line}
end

local function write(key, r)
  redis.call('HSET', key, r.label, table.concat({r.member, r.entry, r.waiting, r.last, r.line}, '\n'))
end

-- records reads all conversations, by label.
local function records(key)
  local all = {}
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if string.find(field, '^%d') then all[#all + 1] = record(key, field) end
  end
  table.sort(all, function(a, b) return tonumber(a.label) < tonumber(b.label) end)
  return all
end

-- only gives the label of the only conversation that is not over, besides one; '' if there is none or more.
local function only(all, now, idle, besides)
  local found = ''
  for _, r in ipairs(all) do
    if r.label ~= besides and now - tonumber(r.last) <= idle then
      if found ~= '' then return '' end
      found = r.label
    end
  end
  return found
end
