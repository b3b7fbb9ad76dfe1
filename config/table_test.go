package config

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"kefud/kefu"
)

const routed = `
agents:
  - {id: wang, name: 王小姐, capacity: 3, desk: {app: shop, account: a@gh, openid: o, kf_id: k}, relay: {app: board, openid: r}}
  - {id: li, presence: online}
  - {id: zhao, presence: paused}
  - {id: sun, presence: away, away_until: 2026-11-22T10:00:00Z}
groups:
  - {name: presale, agents: [wang, li]}
apps:
  - name: shop
    app_secret: s
    token: t
    sticky: 1h
    conversation_idle: 5m
    allowance: {after_message: 4, after_message_window: 3h, after_enter: 1, after_enter_window: 2m}
    notices: {greeting: hello, waiting: "", reassigned: "", closed: ""}
    transcript: {keep: 5h, key: "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="}
    default_entry: cs1
    entries:
      - {tag: cs1, name: Sales, link: /p, answer_timeout: 3m, steps: [{agent: zhao, wait: 10s}, {group: presale}]}
      - {tag: "order:*", sticky: 0}
  - {name: board, kind: official_account, role: switchboard, token: t, texts: {left: "${LEFT:-noch} {{.Left}}", "more": &m 'x', image: *m}}
`

func TestTable(t *testing.T) {
	t.Parallel()
	table, err := mustParse(t, routed, nil).Table()
	if err != nil {
		t.Fatal(err)
	}
	agents := []kefu.Agent{
		{
			ID: "wang", Name: "王小姐", Capacity: 3,
			Desk:  kefu.Desk{App: "shop", Account: "a@gh", User: "o", ID: "k"},
			Relay: kefu.Relay{App: "board", User: "r"},
		},
		{ID: "li", Name: "li", Capacity: 5, Manual: kefu.Manual{State: kefu.ManualOnline}},
		{ID: "zhao", Name: "zhao", Capacity: 5, Manual: kefu.Manual{State: kefu.ManualPaused}},
		{ID: "sun", Name: "sun", Capacity: 5, Manual: kefu.Manual{
			State: kefu.ManualAway, Until: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC),
		}},
	}
	if diff := cmp.Diff(agents, table.Agents); diff != "" {
		t.Errorf("agents (-want +got):\n%s", diff)
	}
	want := kefu.App{
		ID: "shop", Idle: 5 * time.Minute, Default: "cs1", Transcript: 5 * time.Hour,
		Allowance: kefu.Allowance{
			AfterMessage: 4, AfterMessageWindow: 3 * time.Hour, AfterEnter: 1, AfterEnterWindow: 2 * time.Minute,
		},
		Entries: []kefu.Entry{
			{
				Tag: "cs1", Name: "Sales", Sticky: time.Hour, AnswerTimeout: 3 * time.Minute, Link: "/p",
				Steps: []kefu.Step{
					{Agents: []kefu.AgentID{"zhao"}, Wait: 10 * time.Second},
					{Group: "presale", Agents: []kefu.AgentID{"wang", "li"}},
				},
			},
			{Tag: "order:*", AnswerTimeout: 2 * time.Minute, Steps: []kefu.Step{}},
		},
	}
	got := *table.App("shop")
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(kefu.App{}), cmpopts.IgnoreFields(kefu.App{}, "Notices", "Texts")); diff != "" {
		t.Errorf("app (-want +got):\n%s", diff)
	}
	if !got.Notices.Has(kefu.NoticeGreeting) || got.Notices.Has(kefu.NoticeWaiting) {
		t.Error("want a greeting and no waiting notice")
	}
	board := table.App("board")
	if !board.Switchboard || board.Transcript != 0 {
		t.Errorf("board: got %+v, want a switchboard, and nothing kept without a key", board)
	}
	for kind, want := range map[kefu.TextKind]string{
		kefu.TextLeft: "noch 2", kefu.TextMore: "x", kefu.TextImage: "x", kefu.TextDoubt: "（可能重复）",
	} {
		if got := board.Texts.Render(kind, kefu.TextData{Left: 2}); got != want {
			t.Errorf("text %s: got %q, want %q", kind, got, want)
		}
	}
}

func TestNamesAgents(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind, transfer string
		want           bool
	}{
		{KindMiniProgram, TransferAuto, false},
		{KindMiniProgram, TransferAlways, true},
		{KindMiniProgram, TransferNever, false},
		{KindOfficialAccount, TransferAuto, true},
		{KindOfficialAccount, TransferAlways, true},
		{KindOfficialAccount, TransferNever, false},
	} {
		c := Default()
		c.Apps[0].Kind, c.Apps[0].TransferToAgent = tt.kind, tt.transfer
		table, err := c.Table()
		if err != nil {
			t.Fatal(err)
		}
		if got := table.App("shop").NamesAgents; got != tt.want {
			t.Errorf("%s, %s: got %t, want %t", tt.kind, tt.transfer, got, tt.want)
		}
	}
}

func TestTableOfUncheckedConfig(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*Config){
		"no such group": func(c *Config) { c.Groups = nil },
		"no such agent": func(c *Config) { c.Agents = nil },
		"no such text":  func(c *Config) { c.Apps[0].Texts = Texts{"nonsense": "x"} },
		"no template":   func(c *Config) { c.Apps[0].Notices.Closed = "{{" },
	} {
		c := Default()
		spoil(c)
		if _, err := c.Table(); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}
