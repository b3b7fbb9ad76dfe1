-- Fragment: bringing a customer to an entry, with whoever owns him there. Needs
-- customer.lua.

-- move makes entry the present one. An owner lasts for sticky (ms, a string) from the
-- customer's last push at the entry, silence (ms) being the time since his last
-- push anywhere. The owner at the present entry stands in ow and bo, those at
-- the others in fields of their own.
local function move(c, now, silence, entry, sticky)
  local owner, borrowed = c.ow, c.bo
  if entry ~= c.e then
    local agent, times, last = string.match(c['o:' .. entry], '^(%S+) (%d+) (%d+)$')
    if c.ow ~= '' then put(c, 'o:' .. c.e, c.ow .. ' ' .. (c.bo == '' and '0' or c.bo) .. ' ' .. c.lp) end
    if agent then put(c, 'o:' .. entry, '') end
    owner, borrowed, silence = agent or '', times ~= '0' and times or '', last and now - last or math.huge
  end
  if sticky == '0' or silence > tonumber(sticky) then owner, borrowed = '', '' end
  put(c, 'e', entry)
  put(c, 'es', sticky)
  put(c, 'ow', owner)
  put(c, 'bo', borrowed)
end
