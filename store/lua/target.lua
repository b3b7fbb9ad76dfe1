-- Fragment: which conversation an agent's message means. Needs labels.lua, recall.lua.

-- choose makes a conversation ('' = none) the selected one, as of an instant (ms)
-- unless it is already.
local function choose(chat, label, at)
  if redis.call('HGET', chat, 'sel') ~= label then redis.call('HSET', chat, 'sel', label, 'sw', at) end
  redis.call('HSET', chat, 'tomb', '')
end

local function found(word, label) return {word = word, label = label, lost = '', to = ''} end

-- target finds the conversation of want.label, or the selected one if that is 0.
-- Nothing is selected because time has passed, and no other is open any more. If
-- one that he may mean was taken from the agent, the first message after that
-- goes to nobody: he may not know yet. Nor does a message that he wrote before the
-- selection became what it is.
local function target(chat, all, want)
  if want.label ~= '0' then
    if not holder(all, want.label) then return found('unknown', want.label) end
    if want.select then choose(chat, want.label, want.said > 0 and want.said or want.now) end
    return found('found', want.label)
  end
  local at = redis.call('HMGET', chat, 'sel', 'tomb', 'sw')
  local selected, tomb = at[1] or '', at[2] or ''
  if selected ~= '' and holder(all, selected) then
    if want.said > 0 and want.said < (tonumber(at[3] or '') or 0) then return found('many', '') end
    return found('found', selected)
  end
  if tomb ~= '' then
    local lost, to = string.match(tomb, '^(%d+) (.*)$')
    local label = only(all, want.now, want.idle, '')
    redis.call('HSET', chat, 'sel', label, 'sw', want.now, 'tomb', '')
    return {word = 'lost', label = label, lost = lost, to = to}
  end
  return found(#all == 0 and 'none' or 'many', '')
end
