-- Fragment: giving a conversation its label. Needs labels.lua.

-- free gives the number after the last one given, that no conversation has or
-- only one that is over. Small numbers come round again after 99.
local function free(chat, labels, w)
  local n = tonumber(redis.call('HGET', chat, 'nl') or 0)
  for most = 99, 999, 900 do
    for _ = 1, most do
      n = n % most + 1
      local r = record(labels, tostring(n))
      if not r or w.now - tonumber(r.last) > 48 * w.idle then
        if r then redis.call('HDEL', labels, '=' .. r.member) end
        redis.call('HSET', chat, 'nl', n)
        return tostring(n)
      end
    end
  end
  return '1000'
end

-- place writes the conversation w down under its label, and selects it if no
-- other is open. A message never moves a selection that stands.
local function place(chat, labels, label, w)
  label = label or free(chat, labels, w)
  local r = record(labels, label) or {label = label, member = w.member, entry = w.entry, waiting = '', line = ''}
  if not w.note then
    r.last, r.entry, r.line = tostring(w.now), w.entry, w.line
    if w.waits and r.waiting == '' then r.waiting = r.last end
  end
  write(labels, r)
  redis.call('HSET', labels, '=' .. w.member, label)
  local at = redis.call('HMGET', chat, 'sel', 'tomb')
  local selected = (at[1] or '') ~= '' and record(labels, at[1])
  if selected and w.now - tonumber(selected.last) <= w.idle then return label end
  if (at[2] or '') == '' and only(records(labels), w.now, w.idle, '') == label then redis.call('HSET', chat, 'sel', label) end
  return label
end
