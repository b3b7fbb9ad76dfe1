package router

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kefud/kefu"
)

var update = flag.Bool("update", false, "write the golden files anew")

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// person is an agent as a decision sees him.
type person struct {
	presence kefu.Presence
	seats    int
	capacity int
	lastNew  time.Duration // before noon; 0 = never
	desk     kefu.AppID
	left     bool
	paused   bool
}

// scene builds a Situation around people.
func scene(people map[kefu.AgentID]person, steps []kefu.Step, c kefu.Conversation) Situation {
	app := &kefu.App{ID: "shop", NamesAgents: true}
	return Situation{
		App: app, Entry: &kefu.Entry{Tag: "cs1", Steps: steps}, Conversation: c,
		Agent: func(id kefu.AgentID) *kefu.Agent {
			p, ok := people[id]
			if !ok || p.left {
				return nil
			}
			return &kefu.Agent{ID: id, Capacity: p.capacity, Desk: kefu.Desk{App: p.desk}}
		},
		Standing: func(id kefu.AgentID) kefu.Standing {
			return kefu.Standing{Presence: people[id].presence, Paused: people[id].paused, Account: string(id) + "@gh"}
		},
		Load: func(id kefu.AgentID) kefu.Load {
			l := kefu.Load{Agent: id, Seats: people[id].seats}
			if d := people[id].lastNew; d != 0 {
				l.LastNew = noon.Add(-d)
			}
			return l
		},
	}
}

// grant does what the store does with a seat request.
func grant(s Situation, p Plan) kefu.Seat {
	var seat kefu.Seat
	for _, c := range p.Seats() {
		load := s.Load(c.Agent)
		seat.Loads = append(seat.Loads, load)
		if c.Capacity == 0 || load.Seats < c.Capacity {
			seat.Agent = c.Agent
			return seat
		}
	}
	return seat
}

func single(id kefu.AgentID) kefu.Step { return kefu.Step{Agents: []kefu.AgentID{id}} }

func group(name string, ids ...kefu.AgentID) kefu.Step { return kefu.Step{Group: name, Agents: ids} }

func show(p Plan, o Outcome, taken *Try) string {
	who := "desk"
	if taken != nil {
		who = string(taken.Agent)
	}
	var tries []string
	for _, t := range p.Tries {
		tries = append(tries, fmt.Sprintf("%s:%s:%s", t.Agent, t.Via, t.Reason))
	}
	return fmt.Sprintf("%-4s %-13s owner=%-4s borrowed=%d  [%s]", who, o.Reason, o.Owner, o.Borrowed, strings.Join(tries, " "))
}

// TestEveryCombination runs every combination of what a decision depends on,
// compares the outcome with the reviewed table in testdata, and holds each row
// against what must be true of all.
func TestEveryCombination(t *testing.T) {
	t.Parallel()
	asks := []struct {
		name string
		ask  kefu.Ask
	}{{"none", kefu.Ask{}}, {"entry", kefu.Ask{Entry: "cs1"}}, {"agent=a", kefu.Ask{Entry: "cs1", Agent: "a"}}, {"group=g", kefu.Ask{Entry: "cs1", Group: "g"}}}
	owners := []struct {
		name     string
		owner    kefu.AgentID
		borrowed int
	}{{"none", "", 0}, {"a", "a", 0}, {"a, lent twice", "a", 2}, {"c", "c", 0}, {"gone", "gone", 0}}
	presences := []kefu.Presence{kefu.PresenceOnline, kefu.PresenceUnknown, kefu.PresenceOffline}
	ladders := []struct {
		name  string
		steps []kefu.Step
	}{{"a", []kefu.Step{single("a")}}, {"a|g(b,c)", []kefu.Step{single("a"), group("g", "b", "c")}}, {"g(b,c)", []kefu.Step{group("g", "b", "c")}}, {"nobody", nil}}

	var rows strings.Builder
	for _, ask := range asks {
		for _, owner := range owners {
			for _, presence := range presences {
				for _, full := range []bool{false, true} {
					for _, ladder := range ladders {
						a := person{presence: presence, capacity: 2}
						if full {
							a.seats = 2
						}
						people := map[kefu.AgentID]person{
							"a": a, "gone": {presence: kefu.PresenceOnline, left: true},
							"b": {presence: kefu.PresenceOnline, seats: 1, capacity: 4, lastNew: time.Minute},
							"c": {presence: kefu.PresenceOnline, seats: 1, capacity: 4, lastNew: time.Hour},
						}
						s := scene(people, ladder.steps, kefu.Conversation{Ask: ask.ask, Owner: owner.owner, Borrowed: owner.borrowed})
						plan := Decide(s)
						taken := plan.Take(grant(s, plan))
						o := Conclude(s, taken)
						if wrong := wrongWith(s, people, taken, o); wrong != "" {
							t.Errorf("%s: %s", wrong, show(plan, o, taken))
						}
						fmt.Fprintf(&rows, "tag %-8s owner %-13s a is %-7s %-5s ladder %-9s => %s\n",
							ask.name, owner.name, presence, map[bool]string{true: "full", false: "free"}[full], ladder.name, show(plan, o, taken))
					}
				}
			}
		}
	}
	golden(t, "decisions.txt", rows.String())
}

// wrongWith holds a decision against what is true of all decisions.
func wrongWith(s Situation, people map[kefu.AgentID]person, taken *Try, o Outcome) string {
	free := func(who person) bool { return who.capacity == 0 || who.seats < who.capacity }
	if o.Reason == "" {
		return "no reason"
	}
	if taken == nil {
		for id, who := range people {
			if s.Entry.Allows(id) && !who.left && who.presence == kefu.PresenceOnline && free(who) {
				return fmt.Sprintf("WeChat's desk got the customer though %s could", id)
			}
		}
		return ""
	}
	who := people[taken.Agent]
	switch {
	case who.presence != kefu.PresenceOnline:
		return "who is not known to be there got the customer"
	case !free(who):
		return "who is full got the customer"
	case !s.Entry.Allows(taken.Agent):
		return "who is not on the ladder got the customer"
	case o.Owner == "":
		return "the customer has an agent and no owner"
	}
	return ""
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s (-want +got; -update writes it anew):\n%s", path, diff)
	}
}

func TestWhyNot(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		who  person
		want kefu.Reason
	}{
		{"present", person{presence: kefu.PresenceOnline}, kefu.ReasonTaken},
		{"present at this desk", person{presence: kefu.PresenceOnline, desk: "shop"}, kefu.ReasonTaken},
		{"at another app's desk", person{presence: kefu.PresenceOnline, desk: "other"}, kefu.ReasonNoWay},
		{"never heard of", person{}, kefu.ReasonUnknown},
		{"offline", person{presence: kefu.PresenceOffline}, kefu.ReasonOffline},
		{"paused", person{presence: kefu.PresenceOnline, paused: true}, kefu.ReasonPaused},
		{"paused, and who knows where", person{paused: true}, kefu.ReasonPaused},
		{"away", person{presence: kefu.PresenceAway}, kefu.ReasonAway},
		{"full", person{presence: kefu.PresenceOnline, seats: 1, capacity: 1}, kefu.ReasonFull},
		{"over capacity after a reload", person{presence: kefu.PresenceOnline, seats: 3, capacity: 1}, kefu.ReasonFull},
		{"no limit", person{presence: kefu.PresenceOnline, seats: 900}, kefu.ReasonTaken},
		{"left", person{left: true}, kefu.ReasonLeft},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := scene(map[kefu.AgentID]person{"a": tt.who}, []kefu.Step{single("a")}, kefu.Conversation{})
			p := Decide(s)
			p.Take(grant(s, p))
			if got := p.Tries[0].Reason; got != tt.want {
				t.Errorf("reason = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestOrderWithinAStep(t *testing.T) {
	t.Parallel()
	on := func(seats, capacity int, lastNew time.Duration) person {
		return person{presence: kefu.PresenceOnline, seats: seats, capacity: capacity, lastNew: lastNew}
	}
	tests := []struct {
		name    string
		a, b, c person
		want    string
	}{
		{"nothing tells them apart: the config's order", on(0, 5, 0), on(0, 5, 0), on(0, 5, 0), "a b c"},
		{"least load", on(2, 5, 0), on(1, 5, 0), on(0, 5, 0), "c b a"},
		{"relative to capacity", on(2, 10, 0), on(1, 2, 0), on(1, 4, 0), "a c b"},
		{"then longest without a new customer", on(1, 2, time.Minute), on(2, 4, time.Hour), on(1, 2, time.Second), "b a c"},
		{"never had one comes first", on(0, 5, time.Hour), on(0, 5, 0), on(0, 5, time.Minute), "b a c"},
		{"no limit is no load beside a limit", on(1, 5, 0), on(50, 0, 0), on(0, 5, time.Hour), "b c a"},
		{"two without limit compare by conversations", on(7, 0, 0), on(3, 0, 0), on(1, 5, 0), "b a c"},
		{"who seems full is asked last", on(2, 2, 0), on(4, 5, 0), on(0, 1, 0), "c b a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := scene(map[kefu.AgentID]person{"a": tt.a, "b": tt.b, "c": tt.c}, []kefu.Step{group("g", "a", "b", "c")}, kefu.Conversation{})
			var order []string
			for _, c := range Decide(s).Seats() {
				order = append(order, string(c.Agent))
			}
			if got := strings.Join(order, " "); got != tt.want {
				t.Errorf("order = %s, want %s", got, tt.want)
			}
		})
	}
}

// Three conversations in a row with stand-ins make the third stand-in the owner;
// one with the owner starts the count anew.
func TestBorrowing(t *testing.T) {
	t.Parallel()
	c := kefu.Conversation{Owner: "a"}
	play := func(aThere bool) string {
		a := person{presence: kefu.PresenceOffline}
		if aThere {
			a.presence = kefu.PresenceOnline
		}
		s := scene(map[kefu.AgentID]person{"a": a, "b": {presence: kefu.PresenceOnline}}, []kefu.Step{single("a"), single("b")}, c)
		p := Decide(s)
		taken := p.Take(grant(s, p))
		o := Conclude(s, taken)
		c = kefu.Conversation{Owner: o.Owner, Borrowed: o.Borrowed}
		return fmt.Sprintf("%s %s %s %d", taken.Agent, o.Reason, o.Owner, o.Borrowed)
	}
	var got []string
	for _, there := range []bool{false, false, true, false, false, false, true} {
		got = append(got, play(there))
	}
	want := []string{
		"b stand_in a 1", "b stand_in a 2", "a owner a 0",
		"b stand_in a 1", "b stand_in a 2", "b owner_changed b 0", "b owner b 0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A second stand-in in the same conversation is not another borrowing.
func TestBorrowingWithinAConversation(t *testing.T) {
	t.Parallel()
	people := map[kefu.AgentID]person{"a": {presence: kefu.PresenceOffline}, "b": {presence: kefu.PresenceOffline}, "c": {presence: kefu.PresenceOnline}}
	c := kefu.Conversation{Owner: "a", Borrowed: 2, Serving: "b", Standing: true, Live: true}
	s := scene(people, []kefu.Step{group("g", "a", "b", "c")}, c)
	p := Decide(s)
	got := Conclude(s, p.Take(grant(s, p)))
	if diff := cmp.Diff(Outcome{Owner: "a", Borrowed: 2, Reason: kefu.ReasonStandIn}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// At an enter event later steps stay closed while an earlier one is waited for;
// a message that has to go somewhere now waits for nothing.
func TestWait(t *testing.T) {
	t.Parallel()
	steps := []kefu.Step{
		{Agents: []kefu.AgentID{"a"}, Wait: 30 * time.Second},
		{Agents: []kefu.AgentID{"b"}, Wait: 10 * time.Second},
		{Agents: []kefu.AgentID{"c"}},
	}
	people := map[kefu.AgentID]person{"a": {presence: kefu.PresenceOffline}, "b": {presence: kefu.PresenceOnline}, "c": {presence: kefu.PresenceOnline}}
	tests := []struct {
		name    string
		mayWait bool
		waited  time.Duration
		want    string
	}{
		{"message", false, 0, "a:offline b: c:"},
		{"just entered", true, 0, "a:offline b:waits c:waits"},
		{"first wait over", true, 30 * time.Second, "a:offline b: c:waits"},
		{"both over", true, 40 * time.Second, "a:offline b: c:"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := scene(people, steps, kefu.Conversation{})
			s.MayWait, s.Waited = tt.mayWait, tt.waited
			var got []string
			for _, try := range Decide(s).Tries {
				got = append(got, fmt.Sprintf("%s:%s", try.Agent, try.Reason))
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWayTo(t *testing.T) {
	t.Parallel()
	online := kefu.Standing{Presence: kefu.PresenceOnline, Account: "a@gh"}
	names, silent := &kefu.App{ID: "shop", NamesAgents: true}, &kefu.App{ID: "shop"}
	atDesk := &kefu.Agent{ID: "a", Desk: kefu.Desk{App: "shop"}}
	tests := []struct {
		name string
		app  *kefu.App
		st   kefu.Standing
		want kefu.Answer
	}{
		{"named", names, online, kefu.Answer{Way: kefu.WayNamed, Agent: "a", Account: "a@gh"}},
		{"the app must not name", silent, online, kefu.Answer{Way: kefu.WayPlain, Agent: "a"}},
		{"no account known", names, kefu.Standing{Presence: kefu.PresenceOnline}, kefu.Answer{Way: kefu.WayPlain, Agent: "a"}},
		{"by relay", silent, kefu.Standing{Presence: kefu.PresenceOnline, Relayed: true, Account: "a@gh"}, kefu.Answer{Way: kefu.WayRelay, Agent: "a"}},
		{"not known present", names, kefu.Standing{Account: "a@gh"}, kefu.Answer{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, _ := wayTo(tt.app, atDesk, tt.st)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func BenchmarkDecide(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		s := crowd(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Decide(s)
			}
		})
		p := Decide(s)
		seat := kefu.Seat{}
		for _, c := range p.Seats() {
			seat.Loads = append(seat.Loads, kefu.Load{Agent: c.Agent, Seats: c.Capacity})
		}
		b.Run(fmt.Sprintf("%d/seats", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Seats()
			}
		})
		b.Run(fmt.Sprintf("%d/take", n), func(b *testing.B) {
			tries := make([]Try, len(p.Tries))
			b.ReportAllocs()
			for b.Loop() {
				copy(tries, p.Tries)
				Plan{Tries: tries}.Take(seat)
			}
		})
	}
}

// Nothing in a decision may cost an allocation per candidate.
func TestDecideAllocates(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts those of the whole process
	for n, most := range map[int]float64{1: 3, 100: 12, 10_000: 100} {
		s := crowd(n)
		if got := testing.AllocsPerRun(10, func() { Decide(s) }); got > most {
			t.Errorf("%d candidates: %v allocations, want ≤ %v", n, got, most)
		}
	}
}

// crowd is a situation of one step with n agents, looked up as in a table and a
// roster: in maps.
func crowd(n int) Situation {
	ids := make([]kefu.AgentID, n)
	agents := make(map[kefu.AgentID]*kefu.Agent, n)
	standings := make(map[kefu.AgentID]kefu.Standing, n)
	loads := make(map[kefu.AgentID]kefu.Load, n)
	for i := range ids {
		id := kefu.AgentID(fmt.Sprintf("agent%d", i))
		ids[i] = id
		agents[id] = &kefu.Agent{ID: id, Capacity: 10}
		standings[id] = kefu.Standing{Presence: kefu.PresenceOnline}
		loads[id] = kefu.Load{Agent: id, Seats: i * 7919 % 11, LastNew: noon.Add(time.Duration(i*7919%n) * time.Second)}
	}
	roster := kefu.NewRoster(1, map[kefu.AppID]map[kefu.AgentID]kefu.Standing{"shop": standings})
	return Situation{
		App: &kefu.App{ID: "shop"}, Entry: &kefu.Entry{Tag: "cs1", Steps: []kefu.Step{group("all", ids...)}},
		Agent:    func(id kefu.AgentID) *kefu.Agent { return agents[id] },
		Standing: func(id kefu.AgentID) kefu.Standing { return roster.Standing("shop", id) },
		Load:     func(id kefu.AgentID) kefu.Load { return loads[id] },
	}
}
