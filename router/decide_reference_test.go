package router

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"kefud/kefu"
)

// plainly decides as Decide does, written for reading alone.
func plainly(s Situation) Plan {
	var plan Plan
	capacity := func(id kefu.AgentID) int {
		if a := s.Agent(id); a != nil {
			return a.Capacity
		}
		return 0
	}
	add := func(id kefu.AgentID, via kefu.Reason, c kefu.Candidate) {
		if slices.ContainsFunc(plan.Tries, func(t Try) bool { return t.Agent == id }) {
			return
		}
		c.Agent, c.Load, c.Limit = id, s.Load(id).Seats, capacity(id)
		t := Try{Candidate: c, Via: via}
		if t.Reason == "" {
			st := s.Standing(id)
			t.Answer, t.Reason = wayTo(s.App, s.Agent(id), st)
			switch {
			case st.Paused:
				t.Reason = kefu.ReasonPaused
			case st.Leaving:
				t.Reason = kefu.ReasonOffline
			case t.Reason == "" && slices.Contains(s.Conversation.Missed, id):
				t.Reason = kefu.ReasonMissed
			}
		}
		plan.Tries = append(plan.Tries, t)
	}
	addStep := func(step kefu.Step, via kefu.Reason, c kefu.Candidate) {
		order := slices.Clone(step.Agents)
		slices.SortStableFunc(order, func(a, b kefu.AgentID) int {
			return cmp.Or(byLoad(s.Load(a).Seats, capacity(a), s.Load(b).Seats, capacity(b)), s.Load(a).LastNew.Compare(s.Load(b).LastNew))
		})
		for _, id := range order {
			add(id, via, c)
		}
	}
	c := s.Conversation
	owner := func() {
		if c.Owner == "" {
			return
		}
		first := kefu.Candidate{}
		if s.Agent(c.Owner) == nil || !s.Entry.Allows(c.Owner) {
			first.Reason = kefu.ReasonLeft
		}
		add(c.Owner, kefu.ReasonOwner, first)
	}
	if c.Ask.Agent != "" && s.Entry.Allows(c.Ask.Agent) {
		add(c.Ask.Agent, kefu.ReasonAsked, kefu.Candidate{})
	}
	for _, step := range s.Entry.Steps {
		if c.Ask.Group == "" || step.Group != c.Ask.Group {
			continue
		}
		if slices.Contains(step.Agents, c.Owner) {
			owner()
		}
		addStep(step, kefu.ReasonAsked, kefu.Candidate{Group: step.Group})
	}
	owner()
	opens := time.Duration(0)
	for i, step := range s.Entry.Steps {
		c := kefu.Candidate{Step: i + 1, Group: step.Group}
		if s.MayWait && s.Waited < opens {
			c.Reason = kefu.ReasonWaits
		}
		addStep(step, kefu.ReasonStep, c)
		opens += step.Wait
	}
	return plan
}

// chance makes a situation of up to 60 agents, with everything that a decision
// looks at left to chance.
func chance(r *rand.Rand) Situation {
	presences := []kefu.Presence{kefu.PresenceOnline, kefu.PresenceOnline, kefu.PresenceOffline, kefu.PresenceAway, kefu.PresenceUnknown}
	n := 1 + r.IntN(60)
	people := make(map[kefu.AgentID]person, n)
	name := func() kefu.AgentID { return kefu.AgentID(fmt.Sprint("agent", r.IntN(n))) }
	maybe := func() kefu.AgentID {
		if r.IntN(2) == 0 {
			return ""
		}
		return name()
	}
	for i := range n {
		people[kefu.AgentID(fmt.Sprint("agent", i))] = person{
			presence: presences[r.IntN(len(presences))], seats: r.IntN(6), capacity: r.IntN(5),
			lastNew: time.Duration(r.IntN(4)) * time.Minute, left: r.IntN(9) == 0, paused: r.IntN(9) == 0,
			desk: []kefu.AppID{"", "shop", "bank"}[r.IntN(3)],
		}
	}
	steps := make([]kefu.Step, r.IntN(4))
	for i := range steps {
		for range r.IntN(n + 1) {
			steps[i].Agents = append(steps[i].Agents, name())
		}
		steps[i].Group, steps[i].Wait = []string{"", "g", "h"}[r.IntN(3)], time.Duration(r.IntN(3))*time.Second
	}
	s := scene(people, steps, kefu.Conversation{
		Owner: maybe(), Ask: kefu.Ask{Agent: maybe(), Group: []string{"", "g", "h"}[r.IntN(3)]},
		Missed: []kefu.AgentID{name(), name()},
	})
	s.MayWait, s.Waited = r.IntN(2) == 0, time.Duration(r.IntN(3))*time.Second
	return s
}

func TestDecideAsThePlainRules(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 3000 {
		s := chance(r)
		want, got := plainly(s), Decide(s)
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Fatalf("situation %d (-want +got):\n%s", i, diff)
		}
		seat := grant(s, got)
		if r.IntN(4) == 0 { // in another order than they were tried
			slices.Reverse(seat.Loads)
		}
		for j := range seat.Loads {
			seat.Loads[j].Seats += 100
		}
		got.Take(seat)
		for _, try := range got.Tries {
			at := slices.IndexFunc(seat.Loads, func(l kefu.Load) bool { return l.Agent == try.Agent })
			if at >= 0 && try.Load != seat.Loads[at].Seats {
				t.Fatalf("situation %d: the plan says %d of %s, the store %d", i, try.Load, try.Agent, seat.Loads[at].Seats)
			}
		}
	}
}
