package store

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"kefud/internal/redistest"
)

// A script gives on the embedded store what it gives on a server.
func TestScriptsRunAsOnAServer(t *testing.T) {
	t.Parallel()
	server, _ := connect(withDefaults(Options{Addrs: []string{redistest.Start(t).Addr}}))
	inside, end := connect(withDefaults(Options{}))
	t.Cleanup(func() {
		if err := errors.Join(server.Close(), inside.Close()); err != nil {
			t.Error(err)
		}
		end()
	})
	for _, script := range []string{
		"return 1", "return 2.9", "return -2.9", "return 'a'", "return true", "return false", "return nil", "return",
		"return {1, 'a', true, {2}}", "return {1, nil, 3}", "return {ok = 'fine'}", "return {err = 'ERR wrong'}",
		"return {KEYS[1], KEYS[2] or 'none', ARGV[1], #ARGV}",
		"return redis.call('SET', KEYS[1], ARGV[1])", "return redis.call('GET', KEYS[1])", "return redis.call('GET', KEYS[1] .. 'x') == false",
		"return redis.call('SET', KEYS[1], 3)", "return redis.call('INCRBY', KEYS[1], 4)", "return {redis.call('MGET', KEYS[1], 'none')}",
		"return redis.call('SET', KEYS[1], 'a').ok", "return redis.pcall('LPUSH', KEYS[1], 1).err ~= nil",
		"return redis.call('SET', KEYS[1], 1700000000123)", "return redis.call('GET', KEYS[1])",
		"return redis.call('GET', {})", "return redis.call()", "return redis.call('LPUSH', KEYS[1], 1)", "return redis.call('NOSUCH')",
		"there = 1", "return there", "return tostring(KEYS) == nil", "this is none",
		"return string.format('%03d %s', 7, tostring(nil))", "return table.concat({1, 2}, ',')", "return math.max(1, 3)",
		"error('own')", "return pcall(error, 'own')", "local ok = pcall(function() there = 1 end) return ok",
		"return select('#', unpack({1, 2, 3}))", "return redis.sha1hex(ARGV[1])", "return tonumber('0x10')",
	} {
		want, wantErr := server.Eval(t.Context(), script, []string{"key"}, "first", 2).Result()
		for range 2 { // what one leaves behind is not the next one's
			got, gotErr := inside.Eval(t.Context(), script, []string{"key"}, "first", 2).Result()
			if diff := cmp.Diff(want, got); diff != "" || errors.Is(wantErr, redis.Nil) != errors.Is(gotErr, redis.Nil) || (wantErr == nil) != (gotErr == nil) {
				t.Errorf("%s (-server +embedded): %s\nerrors: %v, %v", script, diff, wantErr, gotErr)
			}
			if gotErr != nil || script == "return redis.call('INCRBY', KEYS[1], 4)" {
				break
			}
		}
	}
	one := redis.NewScript("return ARGV[1]")
	for range 2 { // by its text, then by its name
		if got, err := one.Run(t.Context(), inside, nil, "a").Result(); got != "a" || err != nil {
			t.Errorf("a script: %v, %v", got, err)
		}
	}
	if err := inside.ScriptFlush(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if err := one.EvalSha(t.Context(), inside, nil, "a").Err(); !redis.HasErrorPrefix(err, "NOSCRIPT") {
		t.Errorf("a script that was forgotten: %v", err)
	}
}
