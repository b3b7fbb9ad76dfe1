-- Fragment: giving a conversation its label. Needs labels.lua.

-- free gives the number after the last one given that no conversation has, or
-- one that is long over and not the selected one. Small numbers come round again
-- after 99; if all 999 are in use, the next conversation loses its own.
local function free(chat, labels, w)
  local at = redis.call('HMGET', chat, 'nl', 'sel')
  local n, r = tonumber(at[1] or '') or 0, nil
  local function step(most, long)
    n = n % most + 1
    r = record(labels, tostring(n))
    return not r or (r.label ~= at[2] and w.now - tonumber(r.last) > long)
  end
  local function found()
    for _, most in ipairs({99, 999}) do
      for _ = 1, most do
        if step(most, 48 * w.idle) then return true end
      end
    end
    return step(999, -math.huge) or step(999, -math.huge)
  end
  found()
  if r then redis.call('HDEL', labels, '=' .. r.member) end
  redis.call('HSET', chat, 'nl', n)
  return tostring(n)
end

-- place writes the conversation w down under its label, and selects it if no
-- other is open. A message never moves a selection that stands.
local function place(chat, labels, label, w)
  label = label or free(chat, labels, w)
  local r = record(labels, label)
  if not r or r.member ~= w.member then r = {label = label, member = w.member, waiting = '', last = '0', line = ''} end
  if not w.note then
    r.last, r.entry, r.line = tostring(math.max(w.now, tonumber(r.last))), w.entry, w.line
    if w.waits and r.waiting == '' then r.waiting = tostring(w.now) end
    write(labels, r)
  end
  redis.call('HSET', labels, '=' .. w.member, label)
  local at = redis.call('HMGET', chat, 'sel', 'tomb')
  local selected = (at[1] or '') ~= '' and record(labels, at[1])
  if selected and w.now - tonumber(selected.last) <= w.idle then return label end
  local all = records(labels)
  if (at[2] or '') == '' and only(all, w.now, w.idle, '') == label then
    -- The first one that comes, and the only one, is meant by whatever he has written since he had another.
    redis.call('HSET', chat, 'sel', label)
    if (at[1] or '') ~= '' or #all > 1 then redis.call('HSET', chat, 'sw', w.now) end
  end
  return label
end
