-- Fragment: numbers as texts.

-- whole writes down a number without a fraction, in less time than tostring.
local function whole(number) return string.format('%d', number) end
