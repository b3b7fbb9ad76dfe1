-- Fragment: numbers as texts.

local TAIL = 47 -- where what is of no fixed length begins in q of state.lua

-- whole writes down a number without a fraction, in less time than tostring. Lua's %d is
-- C's long, which is 32 bits on some machines.
local function whole(number) return string.format(number < 2147483648 and '%d' or '%.0f', number) end
