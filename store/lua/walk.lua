-- walk forgets who rests in a bucket and whose time is over, and tells who is
-- awake. Needs rested.lua.
--
-- KEYS  1 bucket
-- ARGV  1 now ms
-- Returns {how many were forgotten, members who are awake …}
local over, out, all = {}, {0}, redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local text = all[i + 1]
  if string.byte(text) == AWAKE then
    out[#out + 1] = string.sub(text, 2)
  else
    local last, at = number(text, 1)
    if last + number(text, at) * 3600000 <= tonumber(ARGV[1]) then over[#over + 1] = all[i] end
  end
end
if #over > 0 then out[1] = redis.call('HDEL', KEYS[1], unpack(over)) end
return out
