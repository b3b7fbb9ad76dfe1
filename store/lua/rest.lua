-- rest lets a customer rest who does not talk: what must be remembered of him goes
-- into his bucket, and his hash away. Needs whole.lua, layout.lua,
-- outlive.lua, rested.lua, state.lua, pack.lua.
--
-- KEYS  1 customer, 2 bucket, 3 lane, 4 timers
-- ARGV  1 member of 2 and 4, 2 now ms
-- Returns 1 if he rests from now on, 0 if not
local c, there, now, name = {}, 0, tonumber(ARGV[2]), field(ARGV[1])
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do c[all[i]] = all[i + 1] end
if c.s then
  split(c)
  c.s, c.t, c.q = nil, nil, nil
end
for _, value in pairs(c) do if value ~= '' then there = there + 1 end end
if #all == 0 and redis.call('HGET', KEYS[2], name) == ' ' .. ARGV[1] then redis.call('HDEL', KEYS[2], name) end
-- One whose time is over is about to be forgotten.
if (c.lp or '') == '' or (c.il or '') == '' or (c.ku or '') == '' or now <= c.lp + c.il or now >= tonumber(c.ku) then return 0 end
if (c.aw or '') ~= '' or redis.call('EXISTS', KEYS[3]) == 1 then return 0 end
local text = pack(c, there, now)
if not text then return 0 end
redis.call('ZREM', KEYS[4], ARGV[1]) -- a timer of one who does not wait means nothing
redis.call('HSET', KEYS[2], name, text)
outlive(KEYS[2], c.ku - now + 3600000) -- an hour later at most
redis.call('DEL', KEYS[1])
return 1
