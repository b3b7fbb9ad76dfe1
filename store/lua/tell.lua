-- Fragment: writing a transcript.

-- tell adds fields to a transcript, which is kept for keep ms after now; with
-- keep 0 only the last of it, for as long as a handover may need it.
local function tell(key, now, keep, fields)
  local last = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
  local ms, n = string.match(last and last[1] or '0-0', '^(%d+)-(%d+)$')
  if now > tonumber(ms) then ms, n = now, -1 end
  local args = {'XADD', key, ms .. '-' .. (n + 1), 't', now}
  for name, value in pairs(fields) do
    args[#args + 1] = name
    args[#args + 1] = value
  end
  redis.call(unpack(args))
  keep = tonumber(keep)
  if keep > 0 then
    redis.call('XTRIM', key, 'MINID', now - keep)
    redis.call('PEXPIRE', key, keep)
  else
    redis.call('XTRIM', key, 'MAXLEN', 20)
    redis.call('PEXPIRE', key, 172800000)
  end
end
