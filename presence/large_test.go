package presence

import (
	"fmt"
	"testing"
	"time"

	"kefud/kefu"
)

// large is a table of 100 apps with desks for 100 agents each and, of each, the list.
func large(tb testing.TB) (*kefu.Table, map[kefu.AppID]kefu.OnlineList, time.Time) {
	tb.Helper()
	apps, agents := make([]kefu.App, 100), make([]kefu.Agent, 0, 10_000)
	lists := make(map[kefu.AppID]kefu.OnlineList, len(apps))
	at := time.Now()
	for i := range apps {
		id := kefu.AppID(fmt.Sprintf("app%02d", i))
		apps[i] = kefu.App{ID: id}
		list := kefu.OnlineList{At: at}
		for j := range 100 {
			a := kefu.Agent{ID: kefu.AgentID(fmt.Sprintf("a%05d", len(agents))), Desk: kefu.Desk{App: id, Account: fmt.Sprintf("kf%d@gh_1a2b3c4d5e6f", 2001+j)}}
			agents = append(agents, a)
			list.Agents = append(list.Agents, kefu.Listed{Account: a.Desk.Account, User: string(a.ID)})
		}
		lists[id] = list
	}
	table, err := kefu.NewTable(apps, agents)
	if err != nil {
		tb.Fatal(err)
	}
	return table, lists, at
}

func BenchmarkLargeRoster(b *testing.B) {
	table, lists, at := large(b)
	board := New(Options{Table: func() *kefu.Table { return table }})
	board.keepStored(lists)
	board.Roster(at)
	list := lists["app07"]
	for b.Loop() {
		list.At = list.At.Add(time.Millisecond)
		board.keepOwn("app07", list)
		board.Roster(at)
	}
}

// Whoever asks while something is being learned is told what was known before.
func TestNobodyWaitsForTheNextRoster(t *testing.T) {
	t.Parallel()
	table, lists, at := large(t)
	b := New(Options{Table: func() *kefu.Table { return table }})
	b.keepStored(lists)
	was := b.Roster(at)
	b.learn(func(time.Time) bool {
		if b.Roster(at) != was {
			t.Error("another roster before anything is learned")
		}
		b.desk("app07").own = sighting{list: kefu.OnlineList{At: at}, since: at, turn: b.turn + 1}
		b.desk("app07").stored = sighting{}
		return true
	})
	is := b.Roster(at)
	if got := is.Standing("app07", "a00700").Presence; got != kefu.PresenceOffline {
		t.Errorf("an agent of the list that changed: %s", got)
	}
	if got := is.Standing("app08", "a00800"); got != was.Standing("app08", "a00800") || got.Presence != kefu.PresenceOnline {
		t.Errorf("an agent of another list: %+v", got)
	}
}

// A reload costs whoever asks next no more than the change of a list does.
func TestATableIsPrepared(t *testing.T) {
	t.Parallel()
	table, lists, at := large(t)
	next, _, _ := large(t)
	current := table
	b := New(Options{Table: func() *kefu.Table { return current }})
	b.keepStored(lists)
	was := b.Roster(at)
	b.Prepare(next)
	if b.Roster(at) != was {
		t.Error("the table that is to come is used already")
	}
	prepared := b.prepared.Load()
	b.keepOwn("app07", kefu.OnlineList{At: at.Add(time.Millisecond)}) // meanwhile
	current = next
	got := b.Roster(at)
	if got.Version <= was.Version || got.Standing("app08", "a00800").Presence != kefu.PresenceOnline ||
		got.Standing("app07", "a00700").Presence != kefu.PresenceOffline {
		t.Errorf("version %d after %d, agents %+v and %+v", got.Version, was.Version,
			got.Standing("app08", "a00800"), got.Standing("app07", "a00700"))
	}
	if got.Online("app07") != 0 || got.Online("app08") != 100 {
		t.Errorf("%d and %d agents online", got.Online("app07"), got.Online("app08"))
	}
	for app, p := range b.current.Load().desks {
		if kept := p == prepared.desks[app]; kept != (app != "app07") {
			t.Errorf("the part of %s is the prepared one: %t", app, kept)
		}
	}
}

// A reload of everything, as far as it is made before the table is swapped.
func BenchmarkLargePrepare(b *testing.B) {
	table, lists, _ := large(b)
	board := New(Options{Table: func() *kefu.Table { return table }})
	board.keepStored(lists)
	for b.Loop() {
		board.Prepare(table)
	}
}
