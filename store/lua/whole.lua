-- Fragment: numbers as texts.

local TAIL = 47 -- where what is of no fixed length begins in q of state.lua

-- whole writes down a number without a fraction, in less time than tostring.
local function whole(number) return string.format('%d', number) end
