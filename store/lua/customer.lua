-- Fragment: reading and writing a customer's hash. keys.go says what each field
-- holds. A field that is not there reads as ''. Needs whole.lua, layout.lua, outlive.lua,
-- rested.lua, unpack.lua, state.lua.

local BLANK = {__index = function() return '' end}

-- What is part of s and t (true) or of q (false). All else is a field of the hash by itself.
local PART = {
  e = true, es = true, et = true, a = true, g = true, ow = true, bo = true, se = true, st = true,
  v = true, ei = true, mi = true, n = true, dn = true, at = true, ku = false, il = false, lp = false, sa = false, rc = false,
}

-- named gives the field of c in his bucket, reckoned once.
local function named(c)
  if c.name == '' then c.name = field(c.member) end
  return c.name
end

-- open reads a customer (member). One who rests is in his bucket instead; save
-- brings him back. fresh says that it is known already that he has no hash.
local function open(key, bucket, member, fresh)
  -- Made at its full size at once: to let it grow, and to ask BLANK, takes longer.
  local c = setmetatable({
    e = '', es = '', et = '', ei = '', a = '', g = '', ow = '', bo = '', sv = '', se = '', st = '', v = '', sa = '', lp = '', il = '',
    mn = '', mu = '', en = '', eu = '', n = '', dn = '', ku = '', rc = '', hl = '', aw = '', at = '', mi = '',
    s = '', t = '', q = '', key = key, bucket = bucket, member = member, writes = {}, changed = false, restated = false, before = '', absent = false, name = '',
  }, BLANK)
  local all = fresh and {} or redis.call('HGETALL', key)
  for i = 1, #all, 2 do c[all[i]] = all[i + 1] end
  if c.s ~= '' then split(c) end
  if #all > 0 then return c end
  c.absent = true
  local text = redis.call('HGET', bucket, named(c))
  if text and string.byte(text) ~= AWAKE then
    c.before = unpacked(text)
    for name, value in pairs(c.before) do c[name] = value end
  end
  return c
end

-- put sets a field, to a text; save writes it, if that changes anything.
local function put(c, name, value)
  if c[name] == value then return end
  c[name], c.changed = value, true
  if PART[name] ~= nil then
    c.restated = c.restated or PART[name]
    return
  end
  local n = #c.writes
  c.writes[n + 1], c.writes[n + 2] = name, value
end

-- write has the hash hold what was put, and all else of one who rested. Call expire
-- after it for him.
local function write(c)
  local all, n = c.writes, #c.writes
  for name in pairs(c.before ~= '' and c.before or {}) do
    if PART[name] == nil then all[n + 1], all[n + 2], n = name, c[name], n + 2 end
  end
  if c.restated or c.q == '' then -- '' = he had no hash
    local s, t = joined(c)
    all[n + 1], all[n + 2], all[n + 3], all[n + 4], n = 's', s, 't', t, n + 4
  end
  all[n + 1], all[n + 2] = 'q', paced(c)
  redis.call('HSET', c.key, unpack(all))
end

-- expire gives the key its TTL, and has the bucket say that somebody is to look
-- whether the customer may rest, if there is room.
local function expire(c, now)
  local ttl, name = whole(c.ku - now), named(c)
  redis.call('PEXPIRE', c.key, ttl)
  if #c.member >= VALUE or (redis.call('HLEN', c.bucket) >= FIELDS and redis.call('HEXISTS', c.bucket, name) == 0) then return end
  redis.call('HSET', c.bucket, name, ' ' .. c.member)
  outlive(c.bucket, ttl)
end

-- save writes what was put and sees to it that the key outlives the instant
-- keep. Slack (ms) is added, so that not every write has to move the TTL.
local function save(c, now, keep, slack)
  local due = keep > (tonumber(c.ku) or 0)
  if due then put(c, 'ku', whole(keep + slack)) end
  if not c.changed then return end
  write(c)
  if due or c.absent then expire(c, now) end
end

-- view lists the conversation as view.go reads it: entry, asked agent,
-- asked group, owner, borrowed, serving, standing, live, holds, entered (ms),
-- version, held (ms), missed, turn, each on a line; yes and no are '1' and '0'.
local function view(c, now, idle, holds)
  local gap = c.lp == '' and math.huge or now - c.lp
  local sticky = tonumber(c.es) or 0
  local owner, borrowed = '', ''
  if sticky > 0 and gap <= sticky and c.ow ~= '' then owner, borrowed = c.ow, c.bo end
  local live = gap <= idle and c.e ~= '' and c.se == c.e
  local standing = live and c.st == '1'
  return table.concat({c.e, c.a, c.g, owner, borrowed, c.sv, standing and '1' or '0', live and '1' or '0',
    holds, c.ei, c.v, holds ~= '' and c.sa or '', live and c.mi or '', c.rc}, '\n')
end
