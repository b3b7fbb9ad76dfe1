package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kefud/config"
	"kefud/handler"
	"kefud/kefu"
)

// debts are books with something in them.
func debts() *books {
	later := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	return &books{
		owed: map[kefu.OwedState][]kefu.Owed{
			kefu.OwedBuried: {
				{ID: "1.ab.30-1a", To: theCustomer, Kind: "answer", Agent: "wang", State: kefu.OwedBuried, Reason: "unauthorized", Code: 48001, Attempts: 1, At: noon, Buried: noon, Until: later},
				{ID: "1.ab.20-11a", To: theCustomer, Kind: "answer", State: kefu.OwedBuried, Reason: "unauthorized", At: noon, Until: later},
				{ID: "1.ab.20-9a", To: theCustomer, Kind: "answer", State: kefu.OwedBuried, Reason: "unauthorized", At: noon, Until: later},
				{ID: "2.ab.5-1", To: theCustomer, Kind: "greeting", State: kefu.OwedBuried, Reason: "text", At: noon, Until: noon},
				{ID: "2.cd.6-1", To: kefu.CustomerID{App: "board", User: agentOpenid}, Kind: "line", State: kefu.OwedBuried, Reason: "bad_openid", Code: 40003, At: noon, Until: later},
			},
			kefu.OwedWaiting: {{ID: "3.ab.7-1", To: theCustomer, Kind: "waiting", State: kefu.OwedWaiting, At: noon}},
		},
		revivals: map[string]kefu.Revival{
			"1.ab.30-1a": {Until: noon}, "1.ab.20-11a": {Until: noon}, "1.ab.20-9a": {Outcome: kefu.RevivedBefore},
			"2.ab.5-1": {Outcome: kefu.RevivalOver, Until: noon},
		},
	}
}

func TestOutboxListCommand(t *testing.T) {
	t.Parallel()
	b := debts()
	flags := askable(t, b)
	got := kefud(t.Context(), append(flags, "outbox", "list")...)
	if got.code != exitDone || got.stderr != "" {
		t.Fatalf("exit code %d: %s", got.code, got.stderr)
	}
	for _, line := range [][]string{
		{"id", "state", "app", "customer", "kind", "attempts", "since", "until", "reason"},
		{"1.ab.30-1a", "buried", "shop", "oABC…hijk", "answer", "1", stamp(noon)},
		{"unauthorized (errcode 48001): the app has no permission for this API"},
		{"2.cd.6-1", "buried", "board", "oWAN…hijk", "line", "bad_openid (errcode 40003)"},
		{"3.ab.7-1", "waiting", "shop", "oABC…hijk", "waiting", "0", stamp(noon), "-"},
	} {
		if !hasLine(got.stdout, line) {
			t.Errorf("no line with %q in:\n%s", line, got.stdout)
		}
	}
	if strings.Contains(got.stdout, customerOpenid) || strings.Contains(got.stdout, agentOpenid) {
		t.Errorf("a whole openid stands in:\n%s", got.stdout)
	}

	got = kefud(t.Context(), append(flags, "outbox", "list", "--waiting", "--json")...)
	var d handler.Owed
	if err := json.Unmarshal([]byte(got.stdout), &d); err != nil || d.ID != "3.ab.7-1" || got.code != exitDone {
		t.Errorf("exit code %d, %v, %s", got.code, err, got.stdout)
	}
	got = kefud(t.Context(), append(flags, "outbox", "list", "--buried", "--app", "shop", "--limit", "2")...)
	if n := strings.Count(got.stdout, " buried "); got.code != exitDone || n != 2 || !strings.Contains(got.stdout, "there may be more than 2") {
		t.Errorf("exit code %d, %d deliveries:\n%s", got.code, n, got.stdout)
	}
	if q := b.asked[len(b.asked)-1]; q.App != "shop" || q.State != kefu.OwedBuried || q.Limit != 1 {
		t.Errorf("asked %+v at last", q)
	}
}

func TestOutboxRetryCommand(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		args    []string
		code    int
		retried []string // the oldest first, whatever the order they are named in
		lines   [][]string
	}{
		{"one", []string{"1.ab.30-1a"}, exitDone, []string{"1.ab.30-1a"}, [][]string{{"1.ab.30-1a", "put back", stamp(noon)}}},
		{
			"several",
			[]string{"1.ab.30-1a", "1.ab.20-11a", "1.ab.20-9a"},
			exitDone,
			[]string{"1.ab.20-9a", "1.ab.20-11a", "1.ab.30-1a"},
			[][]string{{"1.ab.20-9a", "was put back before"}, {"1.ab.20-11a", "put back; it may be sent until"}},
		},
		{"too late", []string{"2.ab.5-1"}, exitFailed, []string{"2.ab.5-1"}, [][]string{{"2.ab.5-1", "not put back", "ended at 2026-11-22T12:00:00Z"}}},
		{"unknown", []string{"x y?z"}, exitFailed, []string{"x y?z"}, [][]string{{"x y?z", "not put back", "no such delivery is buried"}}},
		{
			"all",
			[]string{"--all", "--app", "shop"},
			exitDone,
			[]string{"1.ab.20-9a", "1.ab.20-11a", "1.ab.30-1a"},
			[][]string{{"3 put back, 2 cannot be sent any more"}},
		},
		{"nothing", nil, exitUsage, nil, nil},
		{"both", []string{"--all", "x"}, exitUsage, nil, nil},
		{"an app of one", []string{"--app", "shop", "x"}, exitUsage, nil, nil},
		{"no such app", []string{"--all", "--app", "none"}, exitUsage, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := debts()
			got := kefud(t.Context(), append(append(askable(t, b), "outbox", "retry"), tt.args...)...)
			if got.code != tt.code || (tt.code == exitDone) != (got.stderr == "") {
				t.Errorf("exit code %d, want %d: %s", got.code, tt.code, got.stderr)
			}
			if diff := cmp.Diff(tt.retried, b.retried); diff != "" {
				t.Errorf("retried (-want +got):\n%s", diff)
			}
			for _, line := range tt.lines {
				if !hasLine(got.stdout, line) {
					t.Errorf("no line with %q in:\n%s", line, got.stdout)
				}
			}
		})
	}
}

func TestOutboxCommandsAreRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, want string
		err        error
		code       int
		args       []string
	}{
		{"store down", "the store does not answer", errors.New("dial: refused"), exitFailed, []string{"list"}},
		{"store down at a retry", "the store does not answer", errors.New("dial: refused"), exitFailed, []string{"retry", "1.ab.30-1a"}},
		{"store down at all", "the store does not answer", errors.New("dial: refused"), exitFailed, []string{"retry", "--all"}},
		{"no such app", `no app "none"`, nil, exitUsage, []string{"list", "--app", "none"}},
		{"limit", "--limit is 0", nil, exitUsage, []string{"list", "--limit", "0"}},
		{"both states", "--buried and --waiting", nil, exitUsage, []string{"list", "--buried", "--waiting"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := debts()
			b.err = tt.err
			got := kefud(t.Context(), append(append(askable(t, b), "outbox"), tt.args...)...)
			if got.code != tt.code || got.stdout != "" || !strings.Contains(got.stderr, tt.want) {
				t.Errorf("exit code %d, stdout %q, stderr %q; want %d, %q", got.code, got.stdout, got.stderr, tt.code, tt.want)
			}
		})
	}
}

// Without a server the same is done on the store.
func TestOutboxOnTheStore(t *testing.T) {
	t.Parallel()
	c, err := config.Parse("test.yaml", []byte(switchboardConfig), lookup(nil))
	must(t, err)
	table, err := c.Table()
	must(t, err)
	a := storeAdministration{debts(), table}
	page, err := a.owed(t.Context(), kefu.OwedQuery{State: kefu.OwedBuried})
	if err != nil || len(page.Deliveries) != 1 || page.Deliveries[0].Customer != "oABC…hijk" || page.Next != "x" {
		t.Errorf("owed: %+v, %v", page, err)
	}
	if done, err := a.retry(t.Context(), "1.ab.30-1a"); err != nil || done.State != kefu.OwedWaiting {
		t.Errorf("retry: %+v, %v", done, err)
	}
	var why *refusal
	if _, err := a.retry(t.Context(), "2.ab.5-1"); !errors.As(err, &why) || why.status != 409 {
		t.Errorf("retry of what is too late: %v", err)
	}
}
