-- mark adds to a transcript what became of one of its sayings. Needs tell.lua.
--
-- KEYS  1 transcript
-- ARGV  1 now ms, 2 what the saying is known by, 3 state, 4 reason, 5 keep transcripts for ms
-- Returns 1, or 0 if there is no transcript
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
tell(KEYS[1], tonumber(ARGV[1]), ARGV[5], {r = ARGV[2], s = ARGV[3], y = ARGV[4]})
return 1
