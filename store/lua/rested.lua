-- Fragment: the buckets in which customers are. A customer's field is the first 8
-- bytes of SHA-1 of his member. While he is awake it holds a space and the member;
-- what it holds while he rests is written by pack.lua.

-- Within what Redis keeps in one piece by default: bytes of a value, and fields, of
-- which it takes 512.
local VALUE, FIELDS, AWAKE = 64, 480, 32

local function field(member)
  local hex = redis.sha1hex(member)
  local function byte(i) return tonumber(string.sub(hex, i, i + 1), 16) end
  return string.char(byte(1), byte(3), byte(5), byte(7), byte(9), byte(11), byte(13), byte(15))
end

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
