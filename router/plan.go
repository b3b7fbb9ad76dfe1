package router

import (
	"slices"

	"kefud/kefu"
)

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

// Seats lists whom to ask for a seat, in order.
func (p Plan) Seats() []kefu.SeatCandidate {
	n := 0
	for i := range p.Tries {
		if p.Tries[i].Reason == "" {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	out := make([]kefu.SeatCandidate, 0, n)
	for i := range p.Tries {
		if t := &p.Tries[i]; t.Reason == "" {
			out = append(out, kefu.SeatCandidate{Agent: t.Agent, Capacity: t.Limit})
		}
	}
	return out
}

// Take writes into the plan what became of its candidates when a seat was
// asked for, and gives the one who has it; nil if nobody had room.
func (p Plan) Take(seat kefu.Seat) *Try {
	loads := loadList{all: seat.Loads}
	var taken *Try
	for i := range p.Tries {
		t := &p.Tries[i]
		if t.Reason != "" {
			continue
		}
		if l := loads.find(t.Agent); l != nil {
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

// A loadList finds the loads of a seat, which come in the order in which the
// candidates were tried; whatever is not in that order it finds by searching.
type loadList struct {
	all  []kefu.Load
	next int // those before were found
}

func (l *loadList) find(agent kefu.AgentID) *kefu.Load {
	if l.next == len(l.all) {
		return nil
	}
	if l.all[l.next].Agent == agent {
		l.next++
		return &l.all[l.next-1]
	}
	if i := slices.IndexFunc(l.all, func(l kefu.Load) bool { return l.Agent == agent }); i >= 0 {
		return &l.all[i]
	}
	return nil
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
