package presence

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kefud/kefu"
)

var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// still makes a board whose clock stands at noon unless the test moves it.
func still(ts *tables) (*Board, *time.Time) {
	now := noon
	return New(Options{Table: ts.Load, Store: newFakeStore(), Lister: &fakeLister{}, Now: func() time.Time { return now }}), &now
}

func TestStandings(t *testing.T) {
	t.Parallel()
	fresh, old := noon.Add(-44*time.Second), noon.Add(-45*time.Second)
	atShop := func(d kefu.Desk) kefu.Desk { d.App = "shop"; return d }
	here := kefu.Listed{Account: "kf1@gh", User: "o1", ID: "1001"}
	standing := func(p kefu.Presence, account string) kefu.Standing {
		return kefu.Standing{Presence: p, Account: account}
	}
	tests := map[string]struct {
		desk   kefu.Desk
		manual kefu.Manual
		at     time.Time // of the list; zero = there is none
		listed []kefu.Listed
		want   kefu.Standing
	}{
		"listed by account":           {atShop(kefu.Desk{Account: "kf1@gh"}), kefu.Manual{}, fresh, []kefu.Listed{here}, standing(kefu.PresenceOnline, "kf1@gh")},
		"listed by openid":            {atShop(kefu.Desk{User: "o1"}), kefu.Manual{}, fresh, []kefu.Listed{here}, standing(kefu.PresenceOnline, "kf1@gh")},
		"listed by kf_id":             {atShop(kefu.Desk{ID: "1001"}), kefu.Manual{}, fresh, []kefu.Listed{here}, standing(kefu.PresenceOnline, "kf1@gh")},
		"list has the openid alone":   {atShop(kefu.Desk{Account: "kf1@gh", User: "o1"}), kefu.Manual{}, fresh, []kefu.Listed{{User: "o1"}}, standing(kefu.PresenceOnline, "kf1@gh")},
		"no account anywhere":         {atShop(kefu.Desk{User: "o1"}), kefu.Manual{}, fresh, []kefu.Listed{{User: "o1"}}, standing(kefu.PresenceOnline, "")},
		"config's account wins":       {atShop(kefu.Desk{Account: "kf9@gh", User: "o1"}), kefu.Manual{}, fresh, []kefu.Listed{here}, standing(kefu.PresenceOnline, "kf9@gh")},
		"no id in common":             {atShop(kefu.Desk{Account: "kf1@gh"}), kefu.Manual{}, fresh, []kefu.Listed{{User: "o1"}}, standing(kefu.PresenceUnknown, "kf1@gh")},
		"same text as another id":     {atShop(kefu.Desk{User: "kf1@gh"}), kefu.Manual{}, fresh, []kefu.Listed{{Account: "kf1@gh"}}, standing(kefu.PresenceUnknown, "")},
		"empty does not match empty":  {atShop(kefu.Desk{}), kefu.Manual{}, fresh, []kefu.Listed{{}, here}, standing(kefu.PresenceUnknown, "")},
		"not listed":                  {atShop(kefu.Desk{User: "o2"}), kefu.Manual{}, fresh, []kefu.Listed{here}, standing(kefu.PresenceOffline, "")},
		"nobody is":                   {atShop(kefu.Desk{User: "o1"}), kefu.Manual{}, fresh, nil, standing(kefu.PresenceOffline, "")},
		"listed long ago":             {atShop(kefu.Desk{User: "o1"}), kefu.Manual{}, old, []kefu.Listed{here}, standing(kefu.PresenceUnknown, "kf1@gh")},
		"not listed long ago":         {atShop(kefu.Desk{User: "o2"}), kefu.Manual{}, old, []kefu.Listed{here}, standing(kefu.PresenceUnknown, "")},
		"no list":                     {atShop(kefu.Desk{Account: "kf1@gh"}), kefu.Manual{}, time.Time{}, nil, standing(kefu.PresenceUnknown, "kf1@gh")},
		"said online, not listed":     {atShop(kefu.Desk{User: "o2"}), kefu.Manual{State: kefu.ManualOnline}, fresh, []kefu.Listed{here}, standing(kefu.PresenceOnline, "")},
		"said online, no list":        {atShop(kefu.Desk{Account: "kf1@gh"}), kefu.Manual{State: kefu.ManualOnline}, time.Time{}, nil, standing(kefu.PresenceOnline, "kf1@gh")},
		"said online, old list":       {atShop(kefu.Desk{User: "o1"}), kefu.Manual{State: kefu.ManualOnline}, old, []kefu.Listed{here}, standing(kefu.PresenceOnline, "kf1@gh")},
		"paused, listed":              {atShop(kefu.Desk{User: "o1"}), kefu.Manual{State: kefu.ManualPaused}, fresh, []kefu.Listed{here}, kefu.Standing{Presence: kefu.PresenceOnline, Paused: true, Account: "kf1@gh"}},
		"paused, not listed":          {atShop(kefu.Desk{User: "o2"}), kefu.Manual{State: kefu.ManualPaused}, fresh, []kefu.Listed{here}, kefu.Standing{Presence: kefu.PresenceOffline, Paused: true}},
		"paused, no list":             {atShop(kefu.Desk{User: "o1"}), kefu.Manual{State: kefu.ManualPaused}, time.Time{}, nil, kefu.Standing{Paused: true}},
		"away until lifted, listed":   {atShop(kefu.Desk{User: "o1"}), kefu.Manual{State: kefu.ManualAway}, fresh, []kefu.Listed{here}, standing(kefu.PresenceAway, "kf1@gh")},
		"away for a while yet":        {atShop(kefu.Desk{User: "o1"}), kefu.Manual{State: kefu.ManualAway, Until: noon.Add(1)}, fresh, []kefu.Listed{here}, standing(kefu.PresenceAway, "kf1@gh")},
		"away until now":              {atShop(kefu.Desk{User: "o1"}), kefu.Manual{State: kefu.ManualAway, Until: noon}, fresh, []kefu.Listed{here}, standing(kefu.PresenceOnline, "kf1@gh")},
		"away until now, no list":     {atShop(kefu.Desk{User: "o1"}), kefu.Manual{State: kefu.ManualAway, Until: noon}, time.Time{}, nil, standing(kefu.PresenceUnknown, "")},
		"at another desk":             {kefu.Desk{App: "mall", User: "o1"}, kefu.Manual{}, fresh, []kefu.Listed{here}, kefu.Standing{}},
		"at another desk, online":     {kefu.Desk{App: "mall", User: "o1"}, kefu.Manual{State: kefu.ManualOnline}, fresh, []kefu.Listed{here}, kefu.Standing{}},
		"no desk, left to the list":   {kefu.Desk{}, kefu.Manual{}, fresh, []kefu.Listed{here}, kefu.Standing{}},
		"no desk, said online":        {kefu.Desk{}, kefu.Manual{State: kefu.ManualOnline}, fresh, []kefu.Listed{here}, standing(kefu.PresenceOnline, "")},
		"no desk, paused":             {kefu.Desk{}, kefu.Manual{State: kefu.ManualPaused}, fresh, nil, kefu.Standing{Presence: kefu.PresenceOnline, Paused: true}},
		"no desk, away":               {kefu.Desk{}, kefu.Manual{State: kefu.ManualAway}, fresh, nil, standing(kefu.PresenceAway, "")},
		"no desk, was away until now": {kefu.Desk{}, kefu.Manual{State: kefu.ManualAway, Until: noon}, fresh, nil, kefu.Standing{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _ := still(newTables(t, kefu.Agent{ID: "wang", Desk: tt.desk, Manual: tt.manual}))
			b.keepStored(map[kefu.AppID]kefu.OnlineList{"shop": {At: tt.at, Agents: tt.listed}})
			if diff := cmp.Diff(tt.want, b.Roster(noon).Standing("shop", "wang")); diff != "" {
				t.Errorf("standing (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAgentWithoutDeskStandsAtEveryCustomersApp(t *testing.T) {
	t.Parallel()
	b, _ := still(newTables(t, kefu.Agent{ID: "wang", Manual: kefu.Manual{State: kefu.ManualOnline}}))
	got := map[kefu.AppID]string{}
	for _, app := range []kefu.AppID{"shop", "mall", "switchboard"} {
		got[app] = b.Roster(noon).Standing(app, "wang").Presence.String()
	}
	want := map[kefu.AppID]string{"shop": "online", "mall": "online", "switchboard": "unknown"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("presence by app (-want +got):\n%s", diff)
	}
}

func TestRosterIsMadeAnewOnlyWhenItMust(t *testing.T) {
	t.Parallel()
	away := deskAgent("li", "shop")
	away.Manual = kefu.Manual{State: kefu.ManualAway, Until: noon.Add(20 * time.Second)}
	wang := deskAgent("wang", "shop")
	ts := newTables(t, wang, away)
	b, now := still(ts)
	put := func(at time.Time, agents ...string) {
		*now = at
		b.keepStored(map[kefu.AppID]kefu.OnlineList{"shop": {At: at, Agents: on(agents...)}})
	}
	second := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Second) }
	steps := []struct {
		name     string
		change   func()
		at       time.Time
		same     bool // as the roster before
		wang, li kefu.Presence
	}{
		{"at first", func() {}, noon, false, kefu.PresenceUnknown, kefu.PresenceAway},
		{"a list", func() { put(second(0), "wang", "li") }, noon, false, kefu.PresenceOnline, kefu.PresenceAway},
		{"nothing changed", func() {}, second(10), true, kefu.PresenceOnline, kefu.PresenceAway},
		{"the same list again", func() { put(second(10), "wang", "li") }, second(10), true, kefu.PresenceOnline, kefu.PresenceAway},
		{"the absence ended", func() {}, second(20), false, kefu.PresenceOnline, kefu.PresenceOnline},
		{"the first list would be old", func() {}, second(46), true, kefu.PresenceOnline, kefu.PresenceOnline},
		{"the list is old", func() {}, second(55), false, kefu.PresenceUnknown, kefu.PresenceUnknown},
		{"it stays old", func() {}, second(500), true, kefu.PresenceUnknown, kefu.PresenceUnknown},
		{"another list", func() { put(second(501), "li") }, second(501), false, kefu.PresenceOffline, kefu.PresenceOnline},
		{"the config is loaded again", func() { ts.reload(t, wang, away) }, second(501), false, kefu.PresenceOffline, kefu.PresenceOnline},
		{"an agent left", func() { ts.reload(t, wang) }, second(501), false, kefu.PresenceOffline, kefu.PresenceUnknown},
	}
	var last *kefu.Roster
	for _, s := range steps {
		s.change()
		got := b.Roster(s.at)
		if (got == last) != s.same {
			t.Errorf("%s: the same roster = %v, want %v", s.name, got == last, s.same)
		}
		if last != nil && got != last && got.Version <= last.Version {
			t.Errorf("%s: version %d after %d", s.name, got.Version, last.Version)
		}
		if w, l := got.Standing("shop", "wang").Presence, got.Standing("shop", "li").Presence; w != s.wang || l != s.li {
			t.Errorf("%s: wang %v, li %v, want %v, %v", s.name, w, l, s.wang, s.li)
		}
		last = got
	}
}

func TestListFromTheFuture(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		ahead time.Duration
		fresh time.Duration // for so long from when it was first seen
	}{
		"clocks that differ a little": {2 * time.Second, 47 * time.Second},
		"a clock that is wrong":       {time.Hour, 45 * time.Second},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, now := still(newTables(t, deskAgent("wang", "shop")))
			lists := map[kefu.AppID]kefu.OnlineList{"shop": {At: noon.Add(tt.ahead), Agents: on("wang")}}
			for at := time.Duration(0); at < 2*time.Minute; at += time.Second {
				*now = noon.Add(at)
				b.keepStored(lists) // the same one, again and again
				want := kefu.PresenceOnline
				if at >= tt.fresh {
					want = kefu.PresenceUnknown
				}
				if got := b.Roster(*now).Standing("shop", "wang").Presence; got != want {
					t.Fatalf("%v after %v, want %v", got, at, want)
				}
			}
			b.keepOwn("shop", kefu.OnlineList{At: *now}) // a true list, of an earlier time than the false one
			if got := b.Roster(*now).Standing("shop", "wang").Presence; got != kefu.PresenceOffline {
				t.Errorf("%v after a newer list without him, want offline", got)
			}
			*now = now.Add(time.Second)
			b.keepStored(lists)
			if got := b.Roster(*now).Standing("shop", "wang").Presence; got != kefu.PresenceOffline {
				t.Errorf("%v: the false list counts again, want offline", got)
			}
		})
	}
}

func BenchmarkRoster(b *testing.B) {
	table, err := kefu.NewTable([]kefu.App{{ID: "shop"}}, []kefu.Agent{deskAgent("wang", "shop")})
	if err != nil {
		b.Fatal(err)
	}
	board := New(Options{Table: func() *kefu.Table { return table }})
	b.ReportAllocs()
	for b.Loop() {
		board.Roster(noon)
	}
}
