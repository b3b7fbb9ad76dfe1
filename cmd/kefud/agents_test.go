package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"kefud/config"
	"kefud/handler"
	"kefud/kefu"
	"kefud/relay"
	"kefud/wechat"
)

const (
	customerOpenid = "oABCD1234567890abcdefghijk"
	agentOpenid    = "oWANG1234567890abcdefghijk"
)

var (
	switchboardConfig = strings.NewReplacer(
		"{id: wang,", "{id: wang, name: 王小姐, relay: {app: board},",
		"{id: li,", "{id: li, relay: {app: board, openid: oLIxx1234567890abcdefghijk},",
	).Replace(smallConfig) + "  - {name: board, kind: official_account, role: switchboard, token: t}\n"
	theCustomer = kefu.CustomerID{App: "shop", User: customerOpenid}
	noon        = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
)

// books are an office that remembers what it was asked.
type books struct {
	invited   []kefu.Invitation
	forgotten []kefu.CustomerID
	unbound   []kefu.AgentID
	owed      map[kefu.OwedState][]kefu.Owed
	revivals  map[string]kefu.Revival // RevivalUnknown for the others
	retried   []string
	asked     []kefu.OwedQuery
	err       error
}

func (b *books) Invite(_ context.Context, i kefu.Invitation) error {
	b.invited = append(b.invited, i)
	return b.err
}

func (b *books) Chats(context.Context) ([]kefu.Chat, error) {
	return []kefu.Chat{
		{Agent: "gone", ID: kefu.CustomerID{App: "board", User: "oGONE1234567890abcdefghijk"}, State: kefu.ChatGone},
		{Agent: "wang", ID: kefu.CustomerID{App: "board", User: agentOpenid}, State: kefu.ChatOnline, Until: noon},
	}, b.err
}

func (b *books) Unbind(_ context.Context, agent kefu.AgentID) (bool, error) {
	b.unbound = append(b.unbound, agent)
	return agent == "wang" || agent == "gone", b.err
}

func (b *books) Transcript(_ context.Context, c kefu.CustomerID) ([]kefu.Saying, error) {
	if c != theCustomer {
		return nil, b.err
	}
	return []kefu.Saying{
		{ID: "1", At: noon, Direction: kefu.FromCustomer, Agent: "wang", Text: "有货吗 <1>", State: "accepted"},
		{ID: "2", At: noon.Add(time.Second), Direction: kefu.FromAgent, Agent: "wang", Text: "有\n有", State: "sent"},
	}, b.err
}

func (b *books) Forget(_ context.Context, c kefu.CustomerID) error {
	b.forgotten = append(b.forgotten, c)
	return b.err
}

// Owed gives a delivery a page.
func (b *books) Owed(_ context.Context, q kefu.OwedQuery) (kefu.OwedPage, error) {
	b.asked = append(b.asked, q)
	at := len(q.Cursor)
	all := b.owed[q.State]
	if at >= len(all) {
		return kefu.OwedPage{}, b.err
	}
	return kefu.OwedPage{Deliveries: all[at : at+1], Next: strings.Repeat("x", at+1)}, b.err
}

func (b *books) Retry(_ context.Context, id string) (kefu.Revival, error) {
	b.retried = append(b.retried, id)
	r, ok := b.revivals[id]
	if !ok {
		r.Outcome = kefu.RevivalUnknown
	}
	return r, b.err
}

// askable is a server's administration in front of books, and a configuration
// to ask it with. It gives the flags that lead there.
func askable(t *testing.T, b *books) []string {
	t.Helper()
	c, err := config.Parse("test.yaml", []byte(switchboardConfig), lookup(nil))
	must(t, err)
	r, err := newRouting(c, time.Now)
	must(t, err)
	reg := prometheus.NewRegistry()
	h, err := handler.New(handler.Options{
		Codec: func(app kefu.AppID) *wechat.Codec { return r.codecs[app] },
		Token: func() string { return adminToken }, Table: func() *kefu.Table { return r.table },
		Office: b, Archive: b, Outbox: b, NewCode: relay.NewCode, Logger: zerolog.Nop(), Registerer: reg, Gatherer: reg,
	})
	must(t, err)
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return []string{"--config", file(t, "config.yaml", switchboardConfig), "--server", s.URL + "/"}
}

func TestAgentsList(t *testing.T) {
	t.Parallel()
	got := kefud(t.Context(), append(askable(t, &books{}), "agents", "list")...)
	if got.code != exitDone || got.stderr != "" {
		t.Fatalf("exit code %d: %s", got.code, got.stderr)
	}
	for _, line := range [][]string{
		{"id", "name", "switchboard", "chat", "state", "until"},
		{"wang", "王小姐", "board", "oWAN…hijk", "online", stamp(noon)},
		{"li", "li", "board", "oLIx…hijk", "-", "-"},
		{"zhao", "zhao", "-", "-", "-", "-"},
		{"gone", "(not in the configuration)", "board", "oGON…hijk", "gone", "-"},
	} {
		if !hasLine(got.stdout, line) {
			t.Errorf("no line with %q in:\n%s", line, got.stdout)
		}
	}
}

func TestAgentsInvite(t *testing.T) {
	t.Parallel()
	b := &books{}
	got := kefud(t.Context(), append(askable(t, b), "agents", "invite", "wang")...)
	if got.code != exitDone || got.stderr != "" {
		t.Fatalf("exit code %d: %s", got.code, got.stderr)
	}
	if len(b.invited) != 1 || b.invited[0].Agent != "wang" || b.invited[0].App != "board" || b.invited[0].For != 10*time.Minute {
		t.Fatalf("invited %+v, want Wang, to board, for 10 minutes", b.invited)
	}
	code, rest, _ := strings.Cut(got.stdout, "\n")
	if code != b.invited[0].Code {
		t.Errorf("the first line is %q, want the code %q", code, b.invited[0].Code)
	}
	for _, part := range []string{"王小姐", "10 minutes", "10 分钟", "board", "公众号"} {
		if !strings.Contains(rest, part) {
			t.Errorf("no %q in:\n%s", part, rest)
		}
	}
}

func TestAgentsUnbind(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		agent          string
		code           int
		stdout, stderr string
	}{
		{"wang", exitDone, "the chat of wang is unbound", ""},
		{"gone", exitDone, "the chat of gone is unbound", ""},
		{"zhao", exitFailed, "", "no chat is bound to him"},
		{"li", exitFailed, "", "relay.openid"},
		{"nosuch", exitUsage, "", `no agent "nosuch"`},
		{"no/such", exitUsage, "", `no agent "no/such"`},
	} {
		got := kefud(t.Context(), append(askable(t, &books{}), "agents", "unbind", tt.agent)...)
		if got.code != tt.code || !strings.Contains(got.stdout, tt.stdout) || !strings.Contains(got.stderr, tt.stderr) {
			t.Errorf("%s: exit code %d, %s%s; want %d, %s%s", tt.agent, got.code, got.stdout, got.stderr, tt.code, tt.stdout, tt.stderr)
		}
	}
}

func TestExport(t *testing.T) {
	t.Parallel()
	flags := append(askable(t, &books{}), "export", "--app", "shop", "--openid")
	got := kefud(t.Context(), append(flags, customerOpenid)...)
	if got.code != exitDone || got.stderr != "" {
		t.Fatalf("exit code %d: %s", got.code, got.stderr)
	}
	var said []kefu.Saying
	for line := range strings.Lines(got.stdout) {
		var s kefu.Saying
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		said = append(said, s)
	}
	want, _ := (&books{}).Transcript(t.Context(), theCustomer)
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !strings.Contains(got.stdout, "有货吗 <1>") {
		t.Errorf("the text does not stand as it was written in:\n%s", got.stdout)
	}

	got = kefud(t.Context(), append(flags, "oNobodyKnowsThisOne000000000")...)
	if got.code != exitFailed || got.stdout != "" || !strings.Contains(got.stderr, "no message of this customer is kept") || strings.Contains(got.stderr, "oNobodyKnows") {
		t.Errorf("of a stranger: exit code %d, stdout %q, stderr %q", got.code, got.stdout, got.stderr)
	}
}

func TestForget(t *testing.T) {
	t.Parallel()
	b := &books{}
	flags := append(askable(t, b), "forget", "--app", "shop", "--openid", customerOpenid)
	if got := kefud(t.Context(), flags...); got.code != exitUsage || len(b.forgotten) > 0 || !strings.Contains(got.stderr, "shop/oABC…hijk") {
		t.Errorf("without --yes: exit code %d, %d forgotten, %s", got.code, len(b.forgotten), got.stderr)
	}
	got := kefud(t.Context(), append(flags, "--yes")...)
	if got.code != exitDone || got.stderr != "" || strings.Contains(got.stdout, customerOpenid) {
		t.Errorf("exit code %d: %s%s", got.code, got.stdout, got.stderr)
	}
	if diff := cmp.Diff([]kefu.CustomerID{theCustomer}, b.forgotten); diff != "" {
		t.Errorf("forgotten (-want +got):\n%s", diff)
	}
}

func TestAgentsExportAndForgetFailWithTheStore(t *testing.T) {
	t.Parallel()
	flags := askable(t, &books{err: errors.New("dial: refused")})
	for _, args := range [][]string{
		{"agents", "list"},
		{"agents", "invite", "wang"},
		{"agents", "unbind", "wang"},
		{"export", "--app", "shop", "--openid", customerOpenid},
		{"forget", "--app", "shop", "--openid", customerOpenid, "--yes"},
	} {
		got := kefud(t.Context(), append(args, flags...)...)
		if got.code != exitFailed || got.stdout != "" || !strings.Contains(got.stderr, "the store does not answer") || strings.Contains(got.stderr, customerOpenid) {
			t.Errorf("%v: exit code %d, stdout %q, stderr %q", args, got.code, got.stdout, got.stderr)
		}
	}
}

// Without a server the same is done on the store.
func TestAgentsExportAndForgetOnTheStore(t *testing.T) {
	t.Parallel()
	c, err := config.Parse("test.yaml", []byte(switchboardConfig), lookup(nil))
	must(t, err)
	table, err := c.Table()
	must(t, err)
	b := &books{}
	a := storeAdministration{b, table}
	all, err := a.agents(t.Context())
	if err != nil || len(all) != 4 || all[0].Bound != "oWAN…hijk" {
		t.Errorf("agents: %+v, %v", all, err)
	}
	before := time.Now()
	i, err := a.invite(t.Context(), table.Agent("wang"))
	if err != nil || len(b.invited) != 1 || b.invited[0].Code != i.Code || i.Switchboard != "board" || i.Expires.Before(before.Add(10*time.Minute)) {
		t.Errorf("invitation: %+v, %v; the office has %+v", i, err, b.invited)
	}
	if _, ok := relay.NormalizeCode(i.Code); !ok {
		t.Errorf("%q is no code", i.Code)
	}
	if bound, err := a.unbind(t.Context(), "zhao"); bound || err != nil {
		t.Errorf("unbind: %t, %v", bound, err)
	}
	if said, err := a.transcript(t.Context(), theCustomer); len(said) != 2 || err != nil {
		t.Errorf("transcript: %v, %v", said, err)
	}
	if err := a.forget(t.Context(), theCustomer); err != nil || len(b.forgotten) != 1 {
		t.Errorf("forget: %v, %v", b.forgotten, err)
	}
}
