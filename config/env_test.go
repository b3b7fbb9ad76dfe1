package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestEnvironment(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"WORD": "word", "EMPTY": "", "NUMBER": "7", "YES": "true", "LONG": "1h", "ADDRS": "a:1, b:2",
		"YAML": "x}, db: 9 # \"'\n  tls: true", "NESTED": "${WORD}", "HASH": "a #b", "NULL": "null",
	}
	username := func(c *Config) any { return c.Redis.Username }
	for _, tt := range []struct {
		name, text string
		get        func(*Config) any
		want       any
	}{
		{"plain", "redis: {username: ${WORD}}\n", username, "word"},
		{"in the midst", "redis:\n  username: a-${WORD}-${NUMBER}.b\n", username, "a-word-7.b"},
		{"in single quotes", "redis: {username: '${WORD}'}\n", username, "word"},
		{"in double quotes", "redis: {username: \"${WORD}\\t\"}\n", username, "word\t"},
		{"in a block", "redis:\n  username: |-\n    ${WORD}\n    ${NUMBER}\n", username, "word\n7"},
		{"set to nothing", "redis: {username: '${EMPTY}'}\n", username, ""},
		{"default", "redis: {username: ${NONE:-x}}\n", username, "x"},
		{"default of what is empty", "redis: {username: ${EMPTY:-x}}\n", username, "x"},
		{"default not used", "redis: {username: ${WORD:-x}}\n", username, "word"},
		{"empty default", "redis: {username: ${NONE:-}}\n", username, ""},
		{"default full of structure", "redis: {username: ${NONE:-a: [b, {c #\"'\\}}\n", username, "a: [b, {c #\"'\\"},
		{"default with a colon", "redis: {username: ${NONE:-:8080}}\n", username, ":8080"},
		{"structure in the environment", "redis: {username: ${YAML}}\n", username, env["YAML"]},
		{"structure does not leak", "redis: {username: ${YAML}}\n", func(c *Config) any { return c.Redis.DB }, 0},
		{"a sign of comments", "redis: {username: ${HASH}}\n", username, "a #b"},
		{"null stays a word", "redis: {username: ${NULL}}\n", username, "null"},
		{"not replaced twice", "redis: {username: ${NESTED}}\n", username, "${WORD}"},
		{"escaped", "redis: {username: $${WORD}}\n", username, "${WORD}"},
		{"escaped beside one", "redis:\n  username: '$${A}${WORD}$$${B'\n", username, "${A}word$${B"},
		{"a dollar alone", "redis: {username: '$WORD $5 $'}\n", username, "$WORD $5 $"},
		{"number", "redis: {db: ${NUMBER}}\n", func(c *Config) any { return c.Redis.DB }, 7},
		{"number by default", "redis: {db: ${NONE:-3}}\n", func(c *Config) any { return c.Redis.DB }, 3},
		{"truth", "redis: {tls: ${YES}}\n", func(c *Config) any { return c.Redis.TLS }, true},
		{"duration", "push_max_age: ${LONG}\n", func(c *Config) any { return c.PushMaxAge }, time.Hour},
		{"addresses", "redis: {addrs: ${ADDRS}}\n", func(c *Config) any { return c.Redis.Addrs }, Addresses{"a:1", "b:2"}},
		{"no addresses", "redis: {addrs: ${NONE:-}}\n", func(c *Config) any { return c.Redis.Addrs }, Addresses(nil)},
		{"one of the addresses", "redis: {addrs: ['${NONE:-a:1}', 'c:3']}\n", func(c *Config) any { return c.Redis.Addrs }, Addresses{"a:1", "c:3"}},
		{"secret", "redis: {password: ${WORD}}\n", func(c *Config) any { return c.Redis.Password.Reveal() }, "word"},
		{"missing in a comment", "# ${NONE} ${\nredis: {db: 2} # ${NONE}\n", func(c *Config) any { return c.Redis.DB }, 2},
		{"notice", "agents: [{id: a, name: '${WORD} {{.Agent}}'}]\n", func(c *Config) any { return c.Agents[0].Name }, "word {{.Agent}}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, tt.get(mustParse(t, tt.text+shop, env))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestEnvironmentProblems(t *testing.T) {
	t.Parallel()
	const form = "; write ${NAME} or ${NAME:-default}; $${ stands for ${ itself"
	for _, tt := range []struct{ name, text, want string }{
		{"missing", "log: {}\nredis: {db: ${NONE}}\n", "f.yaml:2:9: redis.db: the environment variable NONE is not set; set it, or write ${NONE:-default}"},
		{"missing within a list", "trusted_proxies:\n  - 1.1.1.1\n  - ${NONE}\n", "f.yaml:3:5: trusted_proxies[1]: the environment variable NONE is not set; set it, or write ${NONE:-default}"},
		{"no name", "redis: {username: ${}}\n", "f.yaml:1:9: redis.username: has a ${} that names no variable" + form},
		{"no such operator", "redis: {username: ${WORD:=x}}\n", "f.yaml:1:9: redis.username: has a ${} that names no variable" + form},
		{"not closed", "redis:\n  username: ${WORD\n", "f.yaml:2:3: redis.username: has a ${ that is not closed on its line" + form},
		{"refused value is not shown", "log: {level: ${WORD}}\n", "f.yaml:1:7: log.level: the value of ${WORD} is unknown; write one of debug, info, warn, error"},
		{"empty where a number belongs", "redis: {db: ${NONE:-}}\n", "f.yaml:1:9: redis.db: is no whole number; write one such as 5"},
	} {
		_, err := Parse("f.yaml", []byte(tt.text+shop), environment(map[string]string{"WORD": "word"}))
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s:\n got %v\nwant %s", tt.name, err, tt.want)
		}
	}
}

func TestDuration(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"0": 0, "00": 0, "0s": 0, "0d": 0, "1d": day, "30d": 30 * day, "1d12h": 36 * time.Hour, "1.5d": 36 * time.Hour,
		"1d1m1s": day + time.Minute + time.Second, "250ms": 250 * time.Millisecond, "1h30m": 90 * time.Minute,
	} {
		if got, wrong := parseDuration(text); wrong != nil || got != want {
			t.Errorf("%q: got %v, %v; want %v", text, got, wrong, want)
		}
	}
	for text, want := range map[string]string{
		"": "has no value", "5": "without a unit", "1.5": "without a unit", "-1s": "negative", "-0": "negative",
		"d": "no duration", "1h2d": "no duration", "1d2d": "no duration", "1d-1h": "no duration", "1dd": "no duration",
		"1 d": "no duration", "1w": "no duration", "1D": "no duration", "200000d": "too long", "99999999999999d": "no duration",
		"106751d24h": "too long", ".": "no duration", "1d5": "no duration",
	} {
		if got, wrong := parseDuration(text); wrong == nil || !strings.Contains(wrong.wrong, want) {
			t.Errorf("%q: got %v, %v; want %q", text, got, wrong, want)
		}
	}
}
