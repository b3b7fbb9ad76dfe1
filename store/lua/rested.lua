-- Fragment: the buckets in which customers are. A customer's field is the first 8
-- bytes of SHA-1 of his member. While he is awake it holds a space and the member;
-- what it holds while he rests is written by pack.lua.

-- Within what Redis keeps in one piece by default: bytes of a value, and fields, of
-- which it takes 512.
local VALUE, FIELDS, AWAKE = 64, 480, 32

local function field(member)
  local hex = redis.sha1hex(member)
  local a, b = tonumber(string.sub(hex, 1, 8), 16), tonumber(string.sub(hex, 9, 16), 16)
  local a3, b3 = a % 16777216, b % 16777216
  local a2, b2 = a % 65536, b % 65536
  local a1, b1 = a % 256, b % 256
  return string.char((a - a3) / 16777216, (a3 - a2) / 65536, (a2 - a1) / 256, a1, (b - b3) / 16777216, (b3 - b2) / 65536, (b2 - b1) / 256, b1)
end

-- What a text may have besides what each has, in the order of the bits that say so. What
-- many have comes first: then the bits are one byte.
local FLAGS = 'et ow mu ei sa taken elsewhere another st bo en a g at n mi others'

-- number reads what stands at a place, 7 bits a byte, the lowest first, and tells
-- where the next is.
local function number(text, at)
  local n, weight, byte = 0, 1, 128
  while byte > 127 do
    byte = string.byte(text, at)
    n, weight, at = n + byte % 128 * weight, weight * 128, at + 1
  end
  return n, at
end
