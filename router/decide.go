package router

import (
	"cmp"
	"slices"
	"time"

	"kefud/kefu"
)

// maxBorrowed is how many conversations in a row stand-ins may have before the
// last of them becomes the owner.
const maxBorrowed = 3

// A Situation is everything a decision depends on. Nothing else is looked at.
type Situation struct {
	App          *kefu.App
	Entry        *kefu.Entry
	Conversation kefu.Conversation

	// MayWait says that nothing is lost if nobody is chosen now, as at an enter
	// event. A message that WeChat's desk must take now waits for no step.
	MayWait bool
	Waited  time.Duration // since the customer entered

	Agent    func(kefu.AgentID) *kefu.Agent // nil for whoever has left
	Standing func(kefu.AgentID) kefu.Standing
	Load     func(kefu.AgentID) kefu.Load
}

// Decide makes the plan for a conversation that needs an agent: first whom the
// tag asks for (of a group, the owner first if he is in it), then the owner, then the entry's steps in order, and within a
// step the least load relative to capacity, then who has waited longest for a
// new customer, then the order of the config.
//
// A load known here only orders a step. Whether a seat is really free is
// settled when it is taken, so an agent who seems full is tried all the same,
// after those who do not.
func Decide(s Situation) Plan {
	p := newPlanner(s)
	p.asked()
	p.owner()
	p.ladder()
	return Plan{Tries: p.tries}
}

// fewTries is up to how many tries looking through them costs less than a map.
const fewTries = 16

type planner struct {
	s     Situation
	tries []Try
	seen  map[kefu.AgentID]bool // who is in tries; nil while they are few
	order []busy                // of one step at a time
	ranks []rank
}

// newPlanner makes room for everybody at once: with thousands of candidates,
// growing step by step costs more than deciding.
func newPlanner(s Situation) *planner {
	all, largest := 0, 0
	for _, step := range s.Entry.Steps {
		all += len(step.Agents)
		largest = max(largest, len(step.Agents))
	}
	if s.Conversation.Owner != "" {
		all++
	}
	p := planner{s: s}
	if all > 0 {
		p.tries = make([]Try, 0, all)
	}
	if all > fewTries {
		p.seen = make(map[kefu.AgentID]bool, all)
	}
	if largest > 1 {
		p.order, p.ranks = make([]busy, 0, largest), make([]rank, 0, largest)
	}
	return &p
}

func (p *planner) asked() {
	ask := p.s.Conversation.Ask
	if ask.Agent != "" && p.s.Entry.Allows(ask.Agent) {
		p.add(p.look(ask.Agent), kefu.ReasonAsked, kefu.Candidate{})
	}
	if ask.Group == "" {
		return
	}
	for _, step := range p.s.Entry.Steps {
		if step.Group != ask.Group {
			continue
		}
		if slices.Contains(step.Agents, p.s.Conversation.Owner) {
			p.owner()
		}
		p.addStep(step, kefu.ReasonAsked, kefu.Candidate{Group: step.Group})
	}
}

func (p *planner) owner() {
	owner := p.s.Conversation.Owner
	if owner == "" {
		return
	}
	c := kefu.Candidate{}
	if hasLeft(p.s, owner) {
		c.Reason = kefu.ReasonLeft
	}
	p.add(p.look(owner), kefu.ReasonOwner, c)
}

func (p *planner) ladder() {
	opens := time.Duration(0)
	for i, step := range p.s.Entry.Steps {
		c := kefu.Candidate{Step: i + 1, Group: step.Group}
		if p.s.MayWait && p.s.Waited < opens {
			c.Reason = kefu.ReasonWaits
		}
		p.addStep(step, kefu.ReasonStep, c)
		opens += step.Wait
	}
}

func (p *planner) addStep(step kefu.Step, via kefu.Reason, c kefu.Candidate) {
	if len(step.Agents) == 1 {
		p.add(p.look(step.Agents[0]), via, c)
		return
	}
	p.order, p.ranks = p.order[:0], p.ranks[:0]
	limited := 0
	for i, id := range step.Agents {
		b := p.look(id)
		p.order = append(p.order, b)
		p.ranks = append(p.ranks, rank{b.load.Seats, b.capacity(), i})
		if b.capacity() != 0 {
			limited++
		}
	}
	p.sort(limited == 0 || limited == len(step.Agents))
	for _, r := range p.ranks {
		p.add(p.order[r.at], via, c)
	}
}

// busy is an agent with what a plan asks about him, looked up once.
type busy struct {
	id    kefu.AgentID
	agent *kefu.Agent // nil if he has left
	load  kefu.Load
}

func (p *planner) look(id kefu.AgentID) busy { return busy{id, p.s.Agent(id), p.s.Load(id)} }

func (b busy) capacity() int {
	if b.agent == nil {
		return 0
	}
	return b.agent.Capacity
}

// rank is what orders a step, small because sorting moves it about: the rest is
// in planner.order.
type rank struct{ seats, capacity, at int }

// sort orders a step. The stable sort is slower, and needed where some have a
// limit and some have none: who equals whom then depends on the pair, and
// another way to sort would give another order.
func (p *planner) sort(alike bool) {
	if !alike {
		slices.SortStableFunc(p.ranks, p.compare)
		return
	}
	slices.SortFunc(p.ranks, func(a, b rank) int {
		if c := p.compare(a, b); c != 0 {
			return c
		}
		return cmp.Compare(a.at, b.at)
	})
}

// compare puts the less busy first.
func (p *planner) compare(a, b rank) int {
	if c := byLoad(a.seats, a.capacity, b.seats, b.capacity); c != 0 {
		return c
	}
	return p.order[a.at].load.LastNew.Compare(p.order[b.at].load.LastNew)
}

// byLoad compares two loads relative to capacity. No limit is a load of
// nothing beside any limit; two of those compare by their conversations.
func byLoad(seatsA, capA, seatsB, capB int) int {
	switch {
	case capA == 0 && capB == 0:
		return cmp.Compare(seatsA, seatsB)
	case capA == 0:
		return cmp.Compare(0, seatsB)
	case capB == 0:
		return cmp.Compare(seatsA, 0)
	}
	return cmp.Compare(seatsA*capB, seatsB*capA)
}

// add puts an agent into the plan unless he stands there already. A reason
// given with c refuses him; else his standing may.
func (p *planner) add(b busy, via kefu.Reason, c kefu.Candidate) {
	if p.has(b.id) {
		return
	}
	c.Agent, c.Load, c.Limit = b.id, b.load.Seats, b.capacity()
	t := Try{Candidate: c, Via: via}
	if t.Reason == "" {
		standing := p.s.Standing(b.id)
		t.Answer, t.Reason = wayTo(p.s.App, b.agent, standing)
		switch {
		case standing.Paused:
			t.Reason = kefu.ReasonPaused
		case standing.Leaving:
			t.Reason = kefu.ReasonOffline
		case t.Reason == "" && slices.Contains(p.s.Conversation.Missed, b.id):
			t.Reason = kefu.ReasonMissed
		}
	}
	p.tries = append(p.tries, t)
}

// has reports whether an agent stands in the plan, and expects him to from now
// on.
func (p *planner) has(id kefu.AgentID) bool {
	if p.seen == nil {
		return slices.ContainsFunc(p.tries, func(t Try) bool { return t.Agent == id })
	}
	before := len(p.seen)
	p.seen[id] = true
	return len(p.seen) == before
}

// hasLeft reports whether an agent is gone from the config or from the entry's
// ladder: an owner who has left owns nobody.
func hasLeft(s Situation, id kefu.AgentID) bool {
	return s.Agent(id) == nil || !s.Entry.Allows(id)
}

// An Outcome is what a decision means for the customer's sticky assignment.
type Outcome struct {
	Owner    kefu.AgentID
	Borrowed int
	Reason   kefu.Reason
}

// Conclude tells who owns the customer after the conversation was given to
// taken, or to nobody if that is nil.
//
// The owner stays while a stand-in serves. He changes when he has left, when
// the tag asked for somebody else, and with the third conversation in a row
// that he could not take.
func Conclude(s Situation, taken *Try) Outcome {
	c := s.Conversation
	left := c.Owner != "" && hasLeft(s, c.Owner)
	switch {
	case taken == nil && left:
		return Outcome{Reason: nobody(s)}
	case taken == nil:
		return Outcome{Owner: c.Owner, Borrowed: c.Borrowed, Reason: nobody(s)}
	case taken.Agent == c.Owner:
		return Outcome{Owner: c.Owner, Reason: kefu.ReasonOwner}
	case taken.Via == kefu.ReasonAsked:
		return Outcome{Owner: taken.Agent, Reason: kefu.ReasonAsked}
	case c.Owner == "":
		return Outcome{Owner: taken.Agent, Reason: kefu.ReasonStep}
	case left:
		return Outcome{Owner: taken.Agent, Reason: kefu.ReasonOwnerChanged}
	}
	borrowed := c.Borrowed
	if !c.Live || !c.Standing {
		borrowed++
	}
	if borrowed >= maxBorrowed {
		return Outcome{Owner: taken.Agent, Reason: kefu.ReasonOwnerChanged}
	}
	return Outcome{Owner: c.Owner, Borrowed: borrowed, Reason: kefu.ReasonStandIn}
}

func nobody(s Situation) kefu.Reason {
	if s.MayWait {
		return kefu.ReasonNobodyHeld
	}
	return kefu.ReasonPool
}
