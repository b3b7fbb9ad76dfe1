package presence

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"kefud/kefu"
)

func TestLeaderPollsForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, ts := newFakeStore(), newTables(t, deskAgent("wang", "shop"))
		first := &fakeLister{agents: map[kefu.AppID][]kefu.Listed{"shop": on("wang")}}
		second := &fakeLister{}
		leader := New(Options{Table: ts.Load, Store: store, Lister: first, Holder: "one"})
		follower := New(Options{Table: ts.Load, Store: store, Lister: second, Holder: "two"})
		start := time.Now()
		stop := run(t, leader)
		if got := presenceOf(leader, "shop", "wang"); got != "online" || time.Since(start) != 0 {
			t.Errorf("%s %v after the start, want online at once", got, time.Since(start))
		}
		if store.duration != 30*time.Second {
			t.Errorf("leads for %v, want three times the refresh", store.duration)
		}
		stopFollower := run(t, follower)
		defer stopFollower()
		if got := presenceOf(follower, "shop", "wang"); got != "online" {
			t.Errorf("%s at the other replica, want online", got)
		}
		first.set(func() { first.agents = nil })
		after(12 * time.Second) // refresh and jitter, and reading it
		if got := presenceOf(follower, "shop", "wang"); got != "offline" {
			t.Errorf("%s at the other replica after an empty list, want offline", got)
		}
		after(50 * time.Second)
		if n := first.count("shop"); n < 6 || n > 8 || second.count("shop") != 0 {
			t.Errorf("%d polls by the leader, %d by the follower in 62 s; want about 7 and none", n, second.count("shop"))
		}
		stop()
		after(42 * time.Second)
		if got := presenceOf(follower, "shop", "wang"); second.count("shop") == 0 || got != "offline" {
			t.Errorf("the leader is gone: %d polls by the other, %s; want some, and no gap", second.count("shop"), got)
		}
	})
}

func TestStoreDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, ts := newFakeStore(), newTables(t, deskAgent("wang", "shop"))
		online := map[kefu.AppID][]kefu.Listed{"shop": on("wang")}
		lister, idle := &fakeLister{agents: online}, &fakeLister{agents: online}
		leader := New(Options{Table: ts.Load, Store: store, Lister: lister, Holder: "one"})
		follower := New(Options{Table: ts.Load, Store: store, Lister: idle, Holder: "two"})
		defer run(t, leader)()
		defer run(t, follower)()
		after(time.Second)
		store.set(func() { store.down = errDown })
		after(3 * time.Minute)
		if got := presenceOf(leader, "shop", "wang"); got != "online" {
			t.Errorf("%s at the replica that led, want online", got)
		}
		if got := presenceOf(follower, "shop", "wang"); got != "unknown" || idle.count("shop") != 0 {
			t.Errorf("%s at the other after %d polls of its own, want unknown and none", got, idle.count("shop"))
		}
		for name, b := range map[string]*Board{"leader": leader, "follower": follower} {
			if s := b.State()["shop"]; !errors.Is(s.Err, errDown) || s.Fresh != (b == leader) {
				t.Errorf("%s's state is %+v", name, s)
			}
		}
		store.set(func() { store.down = nil })
		after(2200 * time.Millisecond) // the leader looks and tells, the follower looks; its next question may be 11 s off
		if got := presenceOf(follower, "shop", "wang"); got != "online" {
			t.Errorf("%s at the other after the outage, want online", got)
		}
		after(12 * time.Second)
		for name, b := range map[string]*Board{"leader": leader, "follower": follower} {
			if s := b.State()["shop"]; s.Err != nil || !s.Fresh {
				t.Errorf("%s's state is %+v after the outage", name, s)
			}
		}
	})
}

func TestWhoLostTheLeadAsksNoMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, ts, lister := newFakeStore(), newTables(t, deskAgent("wang", "shop")), &fakeLister{}
		b := New(Options{Table: ts.Load, Store: store, Lister: lister, Holder: "one"})
		defer run(t, b)()
		store.set(func() {
			store.leads["presence:shop"] = fakeLead{holder: "two", until: time.Now().Add(time.Hour)}
		})
		after(30 * time.Second)
		store.set(func() { store.down = errDown })
		after(time.Minute)
		if n := lister.count("shop"); n != 1 {
			t.Errorf("%d polls, want the one before another took the lead", n)
		}
	})
}

type refusedError string

func (r refusedError) Error() string  { return "wechat refused" }
func (r refusedError) Reason() string { return string(r) }

func TestFailedPollsLeaveTheListToAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, ts, reg := newFakeStore(), newTables(t, deskAgent("wang", "shop")), prometheus.NewRegistry()
		lister := &fakeLister{agents: map[kefu.AppID][]kefu.Listed{"shop": on("wang", "stranger")}}
		var lines bytes.Buffer
		b := New(Options{
			Table: ts.Load, Store: store, Lister: lister, Holder: "one", Logger: zerolog.New(&lines), Registerer: reg,
			Settings: func(kefu.AppID) Settings {
				return Settings{Refresh: 2 * time.Second, StaleAfter: 20 * time.Second}
			},
		})
		if got := value(t, reg, "kefud_presence_age_seconds", "app", "shop"); !math.IsInf(got, 1) {
			t.Errorf("age without a list = %v, want +Inf", got)
		}
		defer run(t, b)()
		start := time.Now()
		lister.set(func() { lister.fault = refusedError("unauthorized") })
		after(19 * time.Second)
		want := State{At: start, Age: 19 * time.Second, Fresh: true, Listed: 2, Err: refusedError("unauthorized")}
		got := b.State()["shop"]
		if !got.At.Equal(want.At) || got.Age != want.Age || !got.Fresh || got.Listed != 2 || !errors.Is(got.Err, want.Err) {
			t.Errorf("State() = %+v, want %+v", got, want)
		}
		if got := presenceOf(b, "shop", "wang"); got != "online" {
			t.Errorf("%s while the list is fresh, want online", got)
		}
		for name, want := range map[string]float64{"kefud_presence_age_seconds": 19, "kefud_presence_online": 1} {
			if got := value(t, reg, name, "app", "shop"); got != want {
				t.Errorf("%s = %v, want %v", name, got, want)
			}
		}
		after(time.Second)
		if got := presenceOf(b, "shop", "wang"); got != "unknown" || b.State()["shop"].Fresh {
			t.Errorf("%s when the list is old, want unknown", got)
		}
		if n := strings.Count(lines.String(), "presence poll failed"); n < 1 || n > 2 {
			t.Errorf("%d warnings in 20 s, want one each 10 s:\n%s", n, lines.String())
		}
		refused := value(t, reg, "kefud_presence_polls_total", "app", "shop", "outcome", "unauthorized")
		if ok := value(t, reg, "kefud_presence_polls_total", "app", "shop", "outcome", "ok"); ok != 1 || refused < 9 || refused > 11 {
			t.Errorf("polls counted: %v ok, %v refused; want 1 and about 10", ok, refused)
		}
		lister.set(func() { lister.fault = nil })
		after(3 * time.Second)
		if got := presenceOf(b, "shop", "wang"); got != "online" || b.State()["shop"].Err != nil {
			t.Errorf("%s, %v after WeChat came back, want online", got, b.State()["shop"].Err)
		}
		if !strings.Contains(lines.String(), "presence poll works again") {
			t.Error("no line says that WeChat came back")
		}
	})
}

func TestAnUnnamedFailureIsCountedAsError(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{"ok": nil, "error": errDown, "quota": fmt.Errorf("x: %w", refusedError("quota"))} {
		if got := outcome(err); got != want {
			t.Errorf("outcome(%v) = %q, want %q", err, got, want)
		}
	}
}

func TestReloadChangesWhichDesksArePolled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, ts := newFakeStore(), newTables(t, deskAgent("wang", "shop"), kefu.Agent{ID: "deskless"})
		lister := &fakeLister{agents: map[kefu.AppID][]kefu.Listed{"shop": on("wang"), "mall": on("wang")}}
		b := New(Options{Table: ts.Load, Store: store, Lister: lister, Holder: "one"})
		defer run(t, b)()
		after(15 * time.Second)
		if n := lister.count("mall"); n != 0 {
			t.Errorf("%d polls of an app without a desk", n)
		}
		ts.reload(t, deskAgent("wang", "mall"))
		after(1500 * time.Millisecond)
		shop := lister.count("shop")
		after(time.Minute)
		if lister.count("shop") != shop || lister.count("mall") < 6 {
			t.Errorf("%d polls of the old desk, %d of the new one in a minute; want none and about 6", lister.count("shop")-shop, lister.count("mall"))
		}
		if s, m := presenceOf(b, "shop", "wang"), presenceOf(b, "mall", "wang"); s != "unknown" || m != "online" {
			t.Errorf("%s at the old desk, %s at the new one", s, m)
		}
		if diff := cmp.Diff([]kefu.AppID{"mall"}, deskApps(ts.Load())); diff != "" || len(b.State()) != 1 {
			t.Errorf("State() = %+v, want the new desk alone", b.State())
		}
		if len(b.desks) != 1 {
			t.Errorf("%d desks remembered, want 1", len(b.desks))
		}
	})
}

// Without a credential there is nobody to ask.
func TestMuteAppsAreNotAsked(t *testing.T) {
	t.Parallel()
	table, err := kefu.NewTable([]kefu.App{{ID: "shop"}, {ID: "mall", Mute: true}}, []kefu.Agent{deskAgent("wang", "shop"), deskAgent("li", "mall")})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]kefu.AppID{"shop"}, deskApps(table)); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
}

func TestStoreIsReadEachSecondOrRefresh(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ refresh, every time.Duration }{
		"slow refresh": {10 * time.Second, time.Second},
		"fast refresh": {200 * time.Millisecond, 200 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := newFakeStore()
				ts := newTables(t, deskAgent("wang", "shop"), deskAgent("li", "mall"))
				b := New(Options{
					Table: ts.Load, Store: store, Lister: &fakeLister{}, Holder: "one",
					Settings: func(app kefu.AppID) Settings {
						if app == "mall" {
							return Settings{Refresh: tt.refresh}
						}
						return Settings{}
					},
				})
				stop := run(t, b)
				after(30 * time.Second)
				stop()
				want := float64(30 * time.Second / tt.every)
				if got := float64(store.reads); got < want*.9 || got > want*1.1+1 {
					t.Errorf("%v reads for two apps in 30 s, want about %v", got, want)
				}
			})
		})
	}
}
