-- Fragment: looking an agent up in a kefu.Reach.

-- reached gives the letter of the way to an agent, and his account; nil if he cannot
-- be reached.
local function reached(reach, agent)
  local _, from = string.find(reach, ' ' .. agent .. '=', 1, true)
  if from then return string.match(reach, '(.)(%S*)', from + 1) end
end
