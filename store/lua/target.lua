-- Fragment: which conversation an agent's message means. Needs labels.lua.

local function holds(all, label)
  for _, r in ipairs(all) do
    if r.label == label then return true end
  end
  return false
end

local function found(word, label) return {word = word, label = label, lost = '', to = ''} end

-- meant finds the conversation again that a message meant when it was first heard.
local function meant(all, label, member)
  for _, r in ipairs(all) do
    if r.label == label and r.member == member then return found('found', label) end
  end
  return {word = 'lost', label = '', lost = label, to = ''}
end

-- target finds the conversation of want.label, or the selected one if that is 0;
-- the only open one is selected by itself. If the selected one was taken from
-- the agent, the first message after that goes to nobody: he may not know yet.
local function target(chat, all, want)
  if want.label ~= '0' then
    if not holds(all, want.label) then return found('unknown', want.label) end
    if want.select then redis.call('HSET', chat, 'sel', want.label, 'tomb', '') end
    return found('found', want.label)
  end
  local at = redis.call('HMGET', chat, 'sel', 'tomb')
  local selected, tomb = at[1] or '', at[2] or ''
  if selected ~= '' and holds(all, selected) then return found('found', selected) end
  local label = only(all, want.now, want.idle, '')
  if tomb ~= '' then
    local lost, to = string.match(tomb, '^(%d+) (.*)$')
    redis.call('HSET', chat, 'sel', label, 'tomb', '')
    return {word = 'lost', label = label, lost = lost, to = to}
  end
  if label ~= '' then
    redis.call('HSET', chat, 'sel', label)
    return found('found', label)
  end
  return found(#all == 0 and 'none' or 'many', '')
end
