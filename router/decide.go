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

// A Try is one candidate of a Plan. Its Reason is set if he was refused at
// once, and empty while he can still be asked for a seat.
type Try struct {
	kefu.Candidate
	Via    kefu.Reason // ReasonAsked, ReasonOwner or ReasonStep: why he stands here
	Answer kefu.Answer // how a message would reach him
}

// A Plan is whom to try, in order; no agent stands in it twice.
type Plan struct {
	Tries []Try
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
	p := planner{s: s, seen: make(map[kefu.AgentID]bool)}
	p.asked()
	p.owner()
	p.ladder()
	return Plan{Tries: p.tries}
}

type planner struct {
	s     Situation
	seen  map[kefu.AgentID]bool
	tries []Try
}

func (p *planner) asked() {
	ask := p.s.Conversation.Ask
	if ask.Agent != "" && p.s.Entry.Allows(ask.Agent) {
		p.add(ask.Agent, kefu.ReasonAsked, kefu.Candidate{})
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
	p.add(owner, kefu.ReasonOwner, c)
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
	order := make([]busy, len(step.Agents))
	for i, id := range step.Agents {
		order[i] = busy{id, p.s.Load(id), p.capacity(id)}
	}
	slices.SortStableFunc(order, busy.compare)
	for _, b := range order {
		p.add(b.id, via, c)
	}
}

// busy is how an agent of a step is ordered: the less busy first.
type busy struct {
	id       kefu.AgentID
	load     kefu.Load
	capacity int
}

func (a busy) compare(b busy) int {
	return cmp.Or(byLoad(a.load.Seats, a.capacity, b.load.Seats, b.capacity), a.load.LastNew.Compare(b.load.LastNew))
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

func (p *planner) capacity(id kefu.AgentID) int {
	if a := p.s.Agent(id); a != nil {
		return a.Capacity
	}
	return 0
}

// add puts an agent into the plan unless he stands there already. A reason
// given with c refuses him; else his standing may.
func (p *planner) add(id kefu.AgentID, via kefu.Reason, c kefu.Candidate) {
	if p.seen[id] {
		return
	}
	p.seen[id] = true
	c.Agent, c.Load, c.Limit = id, p.s.Load(id).Seats, p.capacity(id)
	t := Try{Candidate: c, Via: via}
	if t.Reason == "" {
		standing := p.s.Standing(id)
		t.Answer, t.Reason = wayTo(p.s.App, p.s.Agent(id), standing)
		switch {
		case standing.Paused:
			t.Reason = kefu.ReasonPaused
		case standing.Leaving:
			t.Reason = kefu.ReasonOffline
		case t.Reason == "" && slices.Contains(p.s.Conversation.Missed, id):
			t.Reason = kefu.ReasonMissed
		}
	}
	p.tries = append(p.tries, t)
}

// hasLeft reports whether an agent is gone from the config or from the entry's
// ladder: an owner who has left owns nobody.
func hasLeft(s Situation, id kefu.AgentID) bool {
	return s.Agent(id) == nil || !s.Entry.Allows(id)
}

// Seats lists whom to ask for a seat, in order.
func (p Plan) Seats() []kefu.SeatCandidate {
	var out []kefu.SeatCandidate
	for _, t := range p.Tries {
		if t.Reason == "" {
			out = append(out, kefu.SeatCandidate{Agent: t.Agent, Capacity: t.Limit})
		}
	}
	return out
}

// Take writes into the plan what became of its candidates when a seat was
// asked for, and gives the one who has it; nil if nobody had room.
func (p Plan) Take(seat kefu.Seat) *Try {
	loads := make(map[kefu.AgentID]kefu.Load, len(seat.Loads))
	for _, l := range seat.Loads {
		loads[l.Agent] = l
	}
	var taken *Try
	for i := range p.Tries {
		t := &p.Tries[i]
		if t.Reason != "" {
			continue
		}
		if l, ok := loads[t.Agent]; ok {
			t.Load = l.Seats
		}
		switch {
		case seat.Agent != "" && t.Agent == seat.Agent:
			t.Reason, taken = kefu.ReasonTaken, t
		case taken != nil:
			t.Reason = kefu.ReasonNotNeeded
		default:
			t.Reason = kefu.ReasonFull
		}
	}
	return taken
}

// Reopen marks a taken candidate as refused, and those after him as possible
// again.
func (p Plan) Reopen(agent kefu.AgentID) {
	for i := range p.Tries {
		t := &p.Tries[i]
		if t.Agent == agent {
			t.Reason = kefu.ReasonRefused
		}
		if t.Reason == kefu.ReasonNotNeeded {
			t.Reason = ""
		}
	}
}

// Candidates gives the plan as explain shows it.
func (p Plan) Candidates() []kefu.Candidate {
	out := make([]kefu.Candidate, len(p.Tries))
	for i, t := range p.Tries {
		out[i] = t.Candidate
	}
	return out
}

// Refused reports whether any candidate was refused for the given reason.
func (p Plan) Refused(reason kefu.Reason) bool {
	return slices.ContainsFunc(p.Tries, func(t Try) bool { return t.Reason == reason })
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
