package router

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"kefud/kefu"
)

// shop is an app whose entries cover every form a tag can pick.
func shop(t testing.TB) (*kefu.App, *kefu.Table) {
	t.Helper()
	single := func(id kefu.AgentID) kefu.Step { return kefu.Step{Agents: []kefu.AgentID{id}} }
	presale := kefu.Step{Group: "presale", Agents: []kefu.AgentID{"wang", "li"}}
	app := kefu.App{
		ID: "shop", Default: "cs1", NamesAgents: true,
		Entries: []kefu.Entry{
			{Tag: "cs1", Name: "售前", Steps: []kefu.Step{single("wang"), presale}},
			{Tag: "cs2", Name: "售后", Steps: []kefu.Step{single("zhao"), {Group: "aftersale", Agents: []kefu.AgentID{"zhao", "qian"}}}},
			{Tag: "order:*", Name: "订单", Steps: []kefu.Step{single("qian")}},
			{Tag: "order:vip:*", Name: "贵宾订单", Steps: []kefu.Step{single("sun")}},
		},
	}
	agents := []kefu.Agent{{ID: "wang"}, {ID: "li"}, {ID: "zhao"}, {ID: "qian"}, {ID: "sun"}}
	table, err := kefu.NewTable([]kefu.App{app}, agents)
	if err != nil {
		t.Fatal(err)
	}
	return table.App("shop"), table
}

func TestResolveTag(t *testing.T) {
	t.Parallel()
	app, _ := shop(t)
	long := strings.Repeat("x", tagLimit)
	tests := []struct {
		name, tag string
		want      kefu.Ask
	}{
		{"absent", "", kefu.Ask{}},
		{"blank", "  \n", kefu.Ask{}},
		{"client default", "wxapp", kefu.Ask{}},
		{"unknown", "nobody-knows", kefu.Ask{}},
		{"exact", "cs2", kefu.Ask{Entry: "cs2"}},
		{"exact with spaces around", " cs2 ", kefu.Ask{Entry: "cs2"}},
		{"case matters", "CS2", kefu.Ask{}},
		{"prefix", "order:12345", kefu.Ask{Entry: "order:*"}},
		{"the longest prefix", "order:vip:1", kefu.Ask{Entry: "order:vip:*"}},
		{"prefix before what looks like a query", "order:1&agent=li", kefu.Ask{Entry: "order:*"}},
		{"prefix alone", "order:", kefu.Ask{Entry: "order:*"}},
		{"prefix entry by its own tag", "order:*", kefu.Ask{Entry: "order:*"}},
		{"percent-encoded", "order%3A12345", kefu.Ask{Entry: "order:*"}},
		{"percent-encoded object", "%7B%22tag%22%3A%22cs2%22%7D", kefu.Ask{Entry: "cs2"}},
		{"broken percent", "cs2%ZZ", kefu.Ask{}},

		{"query tag", "tag=cs2", kefu.Ask{Entry: "cs2"}},
		{"query with question mark", "?a=b&tag=cs2", kefu.Ask{Entry: "cs2"}},
		{"query prefix tag", "tag=order%3A9", kefu.Ask{Entry: "order:*"}},
		{"query tag and agent", "tag=cs1&agent=li", kefu.Ask{Entry: "cs1", Agent: "li"}},
		{"query agent not on that ladder", "tag=cs1&agent=zhao", kefu.Ask{Entry: "cs1"}},
		{"query agent alone, default entry first", "agent=wang", kefu.Ask{Entry: "cs1", Agent: "wang"}},
		{"query agent alone, another entry", "agent=sun", kefu.Ask{Entry: "order:vip:*", Agent: "sun"}},
		{"query agent nobody names", "agent=boss", kefu.Ask{}},
		{"query group", "group=aftersale", kefu.Ask{Entry: "cs2", Group: "aftersale"}},
		{"query unknown group", "group=all", kefu.Ask{}},
		{"query kefu is a tag", "kefu=cs2", kefu.Ask{Entry: "cs2"}},
		{"query kefu is an agent", "kefu=qian", kefu.Ask{Entry: "cs2", Agent: "qian"}},
		{"query kefu is an agent of the tag", "tag=cs1&kefu=li", kefu.Ask{Entry: "cs1", Agent: "li"}},
		{"query unknown tag and known agent", "tag=nope&agent=li", kefu.Ask{Entry: "cs1", Agent: "li"}},
		{"query other keys", "from=menu&page=3", kefu.Ask{}},

		{"object tag", `{"tag":"cs2"}`, kefu.Ask{Entry: "cs2"}},
		{"object with more", `{"user":{"id":7,"tag":"cs1"},"tag":"cs2","n":[1,2]}`, kefu.Ask{Entry: "cs2"}},
		{"object agent", `{"agent":"li"}`, kefu.Ask{Entry: "cs1", Agent: "li"}},
		{"object cut behind the tag", `{"tag":"cs2","nick":"小明`, kefu.Ask{Entry: "cs2"}},
		{"object cut in the tag", `{"tag":"cs2`, kefu.Ask{}},
		{"object cut in a key", `{"tag":"cs2","ag`, kefu.Ask{Entry: "cs2"}},
		{"object, tag of another type", `{"tag":["cs2"],"agent":"li"}`, kefu.Ask{Entry: "cs1", Agent: "li"}},
		{"object null", `{"tag":null}`, kefu.Ask{}},
		{"not an object", `["cs2"]`, kefu.Ask{}},
		{"brace alone", `{`, kefu.Ask{}},

		{"cut query, tag whole", "tag=cs2&note=" + long[:tagLimit-13], kefu.Ask{Entry: "cs2"}},
		{"cut query, tag last and perhaps cut", "note=" + long[:tagLimit-13] + "&tag=cs2", kefu.Ask{}},
		{"cut prefix", "order:" + long[:tagLimit-6], kefu.Ask{Entry: "order:*"}},
		{"cut inside a character", "order:" + strings.Repeat("x", 5) + "中"[:2], kefu.Ask{Entry: "order:*"}},
		{"no text at all", "\xff\xfe\xfd\xfc", kefu.Ask{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, ResolveTag(app, tt.tag)); diff != "" {
				t.Errorf("ResolveTag(%.60q) (-want +got):\n%s", tt.tag, diff)
			}
		})
	}
}

// A catch-all entry takes unknown tags, but not those that mean "no tag".
func TestResolveTagCatchAll(t *testing.T) {
	t.Parallel()
	table, err := kefu.NewTable([]kefu.App{{ID: "a", Default: "*", Entries: []kefu.Entry{{Tag: "*"}, {Tag: "cs1"}}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for tag, want := range map[string]kefu.EntryTag{"": "", "wxapp": "", "cs1": "cs1", "tag=cs1": "cs1", "whatever": "*"} {
		if got := ResolveTag(table.App("a"), tag).Entry; got != want {
			t.Errorf("ResolveTag(%q).Entry = %q, want %q", tag, got, want)
		}
	}
}

// Whatever a client sends, an Ask names only what the app's config allows.
func FuzzResolveTag(f *testing.F) {
	app, _ := shop(f)
	for _, s := range []string{
		"cs1", "tag=cs1&agent=li", `{"tag":"cs2","agent":"qian"}`, "order:%zz", "?kefu=wang", strings.Repeat("中", 340),
		// What is known to upset readers: depth, length, half escapes, names that mean something elsewhere.
		strings.Repeat("x", 4<<10), strings.Repeat("{\"tag\":", 125), strings.Repeat("[", 1000), `{"tag":` + strings.Repeat("[", 900),
		strings.Repeat("%25", 333), strings.Repeat("&", 999), "tag=" + strings.Repeat("%", 900), `{"tag":1e999999,"agent":` + strings.Repeat("9", 900) + "}",
		"tag=cs1&tag=cs2&tag=*", "tag=*", "*", `{"tag":"*"}`, "kefu=../../etc/passwd", "{{.Agent}}", "${jndi:ldap://127.0.0.1/}", "cs1\x00", "\x00", "cs1\u202e",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, tag string) {
		ask := ResolveTag(app, tag)
		if ask == (kefu.Ask{}) {
			return
		}
		e := app.Entry(ask.Entry)
		if e == nil {
			t.Fatalf("ResolveTag(%q) names entry %q, which does not exist", tag, ask.Entry)
		}
		if ask.Agent != "" && !e.Allows(ask.Agent) {
			t.Fatalf("ResolveTag(%q) picks agent %q, whom entry %q does not allow", tag, ask.Agent, e.Tag)
		}
		if ask.Group != "" && !e.AllowsGroup(ask.Group) {
			t.Fatalf("ResolveTag(%q) picks group %q, which entry %q does not allow", tag, ask.Group, e.Tag)
		}
		if !utf8.ValidString(string(ask.Entry)) {
			t.Fatalf("ResolveTag(%q) gives an entry that is no text", tag)
		}
	})
}
