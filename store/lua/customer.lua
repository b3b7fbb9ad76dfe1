-- Fragment: reading and writing a customer's hash. keys.go says what each field
-- holds. A field that is not there reads as ''.

local NAMES = {'e', 'et', 'es', 'ei', 'a', 'g', 'ow', 'bo', 'sv', 'se', 'st', 'v',
  'lp', 'il', 'mn', 'mu', 'en', 'eu', 'n', 'sa', 'ku', 'dn', 'rc', 'mi', 'aw', 'at', 'hl'}

local function open(key)
  local c = {key = key, writes = {}}
  local values = redis.call('HMGET', key, unpack(NAMES))
  for i, name in ipairs(NAMES) do c[name] = values[i] or '' end
  return c
end

-- put sets a field; save writes it, if that changes anything.
local function put(c, name, value)
  value = tostring(value)
  if c[name] == value then return end
  c[name] = value
  c.writes[#c.writes + 1] = name
  c.writes[#c.writes + 1] = value
end

-- save writes what was put and sees to it that the key outlives the instant
-- keep. Slack (ms) is added, so that not every write has to move the TTL.
local function save(c, now, keep, slack)
  local short = keep > (tonumber(c.ku) or 0)
  if short then put(c, 'ku', keep + slack) end
  if #c.writes > 0 then redis.call('HSET', c.key, unpack(c.writes)) end
  if short then redis.call('PEXPIRE', c.key, keep + slack - now) end
end

-- view lists the conversation as conversation.go reads it: entry, asked agent,
-- asked group, owner, borrowed, serving, standing, live, holds, entered (ms),
-- version, held (ms), missed, turn; all of them strings, yes and no as '1' and '0'.
local function view(c, now, idle, holds)
  local gap = c.lp == '' and math.huge or now - c.lp
  local sticky = tonumber(c.es) or 0
  local owner, borrowed = '', '0'
  if sticky > 0 and gap <= sticky and c.ow ~= '' then owner, borrowed = c.ow, c.bo end
  local live = gap <= idle and c.e ~= '' and c.se == c.e
  local standing = live and c.st == '1'
  return {c.e, c.a, c.g, owner, borrowed, c.sv, standing and '1' or '0', live and '1' or '0',
    holds, c.ei, c.v, holds ~= '' and c.sa or '', live and c.mi or '', c.rc}
end
