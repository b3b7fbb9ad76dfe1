package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kefud/kefu"
)

const shipped = "../config.yaml"

// shop is the least that is needed, on one line.
const shop = "apps: [{name: shop, token: t, default_entry: cs1, entries: [{tag: cs1}]}]\n"

func environment(values map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := values[name]
		return value, ok
	}
}

func mustParse(t *testing.T, text string, env map[string]string) *Config {
	t.Helper()
	c, err := Parse("f.yaml", []byte(text), environment(env))
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return c
}

func TestShippedFileIsDefault(t *testing.T) {
	t.Parallel()
	got, err := Load(shipped, nil)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	if diff := cmp.Diff(Default(), got); diff != "" {
		t.Errorf("the shipped file differs from Default (-default +file):\n%s", diff)
	}
}

// The shipped file is the manual: every key stands in it, and where it stands
// first it has a comment above it.
func TestShippedFileExplainsEveryKey(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(shipped)
	if err != nil {
		t.Fatal(err)
	}
	r := newReport()
	body, ok := parseYAML(data, r)
	if !ok {
		t.Fatal(r.err(shipped))
	}
	d := decoder{report: r, env: environment(nil), left: maxValues, anchors: map[string]node{}}
	d.root(body, base())
	lines := strings.Split(string(data), "\n")
	var visit func(path string, typ reflect.Type)
	visit = func(path string, typ reflect.Type) {
		if typ.Kind() == reflect.Slice && typ.Elem().Kind() == reflect.Struct {
			visit(item(path, 0), typ.Elem())
			return
		}
		if typ.Kind() != reflect.Struct || typ == reflect.TypeFor[time.Time]() {
			return
		}
		for field := range typ.Fields() {
			key := within(path, field.Tag.Get("yaml"))
			if key == "apps[0].entries[0].steps[0].group" {
				key = "apps[0].entries[0].steps[1].group" // a step has one of the two
			}
			if key == "apps[0].texts" {
				continue // the example of a switchboard has them
			}
			at, ok := d.at[key]
			if !ok {
				t.Errorf("%s does not stand in the shipped file", key)
				continue
			}
			above := strings.TrimSpace(lines[at.line-2])
			container := strings.HasSuffix(above, ":") // redis:, then a comment above its first key
			if !strings.HasPrefix(above, "#") && !container {
				t.Errorf("%s, line %d, has no comment above it", key, at.line)
			}
			visit(key, field.Type)
		}
	}
	visit("", reflect.TypeFor[Config]())
}

// withSwitchboard is the shipped file with its example of a switchboard
// uncommented, and with Wang's chat in it.
func withSwitchboard(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(shipped)
	if err != nil {
		t.Fatal(err)
	}
	const begin = "\n  # - name: switchboard"
	before, example, ok := strings.Cut(string(data), begin)
	if !ok {
		t.Fatal("the shipped file has no example of a switchboard")
	}
	before = strings.Replace(before, `app: ""`, "app: switchboard", 1)
	return before + strings.ReplaceAll(begin+example, "\n  # ", "\n  ")
}

// What the shipped file shows in comments is read too: a switchboard, and all
// that it says.
func TestShippedSwitchboard(t *testing.T) {
	t.Parallel()
	c := mustParse(t, withSwitchboard(t), map[string]string{
		"SWITCHBOARD_TOKEN": "t", "SWITCHBOARD_AES_KEY": strings.Repeat("k", 43),
	})
	if len(c.Apps) != 2 || c.Apps[1].Role != RoleSwitchboard {
		t.Fatalf("got %d apps, want a second one, the switchboard", len(c.Apps))
	}
	if diff := cmp.Diff(Texts(kefu.DefaultTexts()), c.Apps[1].Texts); diff != "" {
		t.Errorf("the texts shown are not the defaults (-default +file):\n%s", diff)
	}
	table, err := c.Table()
	if err != nil {
		t.Fatal(err)
	}
	if !table.App("switchboard").Switchboard || table.Agent("wang").Relay.App != "switchboard" {
		t.Error("want a switchboard, and Wang in it")
	}
}

func TestDefaultIsFreshEachTime(t *testing.T) {
	t.Parallel()
	a := Default()
	a.Agents[0].Name, a.Apps[0].Entries[0].Tag, a.Groups[0].Agents[0] = "x", "x", "x"
	*a.Apps[0].Entries[0].Sticky = 0
	if b := Default(); b.Agents[0].Name == "x" || b.Apps[0].Entries[0].Tag == "x" ||
		b.Groups[0].Agents[0] == "x" || *b.Apps[0].Entries[0].Sticky == 0 {
		t.Error("a change to one Default shows in another")
	}
}

func TestLeastFileHasTheDefaults(t *testing.T) {
	t.Parallel()
	got := mustParse(t, shop+"agents: [{id: wang}]\n", nil)
	want := Default()
	want.Groups = nil
	want.Agents = []Agent{{ID: "wang", Capacity: 5, Presence: "auto"}}
	app := want.Apps[0]
	app.Token, app.AppID, app.OriginalID = "t", "", ""
	app.Entries = []Entry{{Tag: "cs1", AnswerTimeout: 2 * time.Minute}}
	want.Apps = []App{app}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		get        func(*Config) any
		want       any
	}{
		{"addresses as a list", "redis: {addrs: ['a:1', 'b:2']}\n", func(c *Config) any { return c.Redis.Addrs }, Addresses{"a:1", "b:2"}},
		{"addresses as a text", "redis: {addrs: 'a:1, b:2,'}\n", func(c *Config) any { return c.Redis.Addrs }, Addresses{"a:1", "b:2"}},
		{"addresses as one", "redis: {addrs: a:1}\n", func(c *Config) any { return c.Redis.Addrs }, Addresses{"a:1"}},
		{"addresses empty", "redis: {addrs: ''}\n", func(c *Config) any { return c.Redis.Addrs }, Addresses(nil)},
		{"addresses null", "redis: {addrs: }\n", func(c *Config) any { return c.Redis.Addrs }, Addresses(nil)},
		{"proxies", "trusted_proxies: [10.0.0.0/8, '::1']\n", func(c *Config) any { return c.TrustedProxies }, Addresses{"10.0.0.0/8", "::1"}},
		{"number as a text", "redis: {username: 0123, db: '3'}\n", func(c *Config) any { return c.Redis.Username }, "0123"},
		{"text as a number", "redis: {username: 0123, db: '3'}\n", func(c *Config) any { return c.Redis.DB }, 3},
		{"true", "redis: {tls: true}\n", func(c *Config) any { return c.Redis.TLS }, true},
		{"days", "push_max_age: 1d12h\n", func(c *Config) any { return c.PushMaxAge }, 36 * time.Hour},
		{"zero without unit", "push_max_age: 0\n", func(c *Config) any { return c.PushMaxAge }, time.Duration(0)},
		{"all keys commented out", "redis:\n  # db: 1\n", func(c *Config) any { return c.Redis.Partitions }, 16},
		{
			"away until, in UTC", "agents: [{id: a, presence: away, away_until: 2026-11-22T18:00:00+08:00}]\n",
			func(c *Config) any { return c.Agents[0].AwayUntil }, time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC),
		},
		{"no texts", "agents: []\n", func(c *Config) any { return c.Apps[0].Texts }, Texts(nil)},
		{"alias", "agents:\n  - {id: a, desk: &d {app: shop, kf_id: '1'}}\n  - {id: b, desk: *d}\n", func(c *Config) any { return c.Agents[1].Desk }, Desk{App: "shop", KfID: "1"}},
		{"several lines", "redis:\n  username: |-\n    a\n    b\n", func(c *Config) any { return c.Redis.Username }, "a\nb"},
		{"byte order mark and CRLF", "\ufefflog:\r\n  level: warn\r\n", func(c *Config) any { return c.Log.Level }, "warn"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, tt.get(mustParse(t, tt.text+shop, nil))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestNotices(t *testing.T) {
	t.Parallel()
	c := Default()
	silent, err := c.Table()
	if err != nil || !silent.App("shop").Mute || silent.App("shop").Notices.Has(kefu.NoticeGreeting) {
		t.Fatalf("without an app_secret nothing can be sent, and nothing is owed: %v", err)
	}
	c.Apps[0].AppSecret = "secret"
	table, err := c.Table()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		kind kefu.NoticeKind
		data kefu.NoticeData
		want string
	}{
		{kefu.NoticeGreeting, kefu.NoticeData{Agent: "王小姐", Entry: "售前客服"}, "您好，王小姐为您服务，请问有什么可以帮您？"},
		{kefu.NoticeGreeting, kefu.NoticeData{Entry: "售前客服"}, "您好，售前客服为您服务，请问有什么可以帮您？"},
		{kefu.NoticeGreeting, kefu.NoticeData{}, "您好，客服为您服务，请问有什么可以帮您？"},
		{kefu.NoticeWaiting, kefu.NoticeData{Entry: "售前客服", Position: 3}, "售前客服正忙，已为您排队，您目前排在第 3 位，请稍候。"},
		{kefu.NoticeWaiting, kefu.NoticeData{}, "客服正忙，已为您排队，请稍候。"},
		{kefu.NoticeReassigned, kefu.NoticeData{Agent: "李先生"}, "接下来由李先生为您服务，请稍候。"},
		{kefu.NoticeReassigned, kefu.NoticeData{}, "已为您转接其他客服，请稍候。"},
		{kefu.NoticeClosed, kefu.NoticeData{}, "本次服务已结束，感谢您的咨询。如需帮助，欢迎随时再联系我们。"},
	} {
		got, err := table.App("shop").Notices.Render(tt.kind, tt.data)
		if err != nil || got != tt.want {
			t.Errorf("%s: got %q, %v; want %q", tt.kind, got, err, tt.want)
		}
	}
}

func TestLoadUnreadable(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "none.yaml")
	_, err := Load(path, nil)
	var bad *Error
	if !errors.As(err, &bad) || bad.File != path || len(bad.Problems) != 1 {
		t.Fatalf("got %#v, want an *Error about %s", err, path)
	}
	if got, want := err.Error(), path+": cannot be read: "; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want it to begin %q", got, want)
	}
}

func TestLoadTooLarge(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "large.yaml")
	if err := os.WriteFile(path, []byte(shop+strings.Repeat("#", maxSize)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path, nil); err == nil || !strings.Contains(err.Error(), "is larger than 2 MiB") {
		t.Errorf("got %v, want a refusal of the size", err)
	}
}
