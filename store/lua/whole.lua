-- Fragment: numbers as texts.

-- whole writes down a number without a fraction, in less time than tostring. Lua's %d is
-- C's long, which is 32 bits on some machines.
local function whole(number) return string.format(number < 2147483648 and '%d' or '%.0f', number) end
