package router

import (
	"context"
	"fmt"
	"slices"

	"kefud/kefu"
)

// Move takes a conversation from the agent who has it in his own chat and gives
// it to another, with what was said in it: to the first of those he chose who
// can take it, else to the next of the entry's ladder who has not had it yet. It
// goes to agents' own chats only; WeChat's desk takes nobody without a message
// of his.
//
// If nobody he chose can take it, it stays. If nobody of the ladder can, it is
// nobody's: the customer is told that he waits, and his next message is a
// transfer. An error leaves everything as it was, or moved.
func (r *Router) Move(ctx context.Context, m kefu.Move) (kefu.Moved, error) {
	table := r.table()
	app := table.App(m.Customer.App)
	if app == nil || app.Entry(app.Default) == nil {
		return kefu.Moved{Changed: true}, nil
	}
	w := &work{Router: r, m: &kefu.Message{Customer: m.Customer}, app: app, table: table, at: m.At}
	w.roster = r.board.Roster(m.At)
	for range maxContests {
		c, err := r.store.Conversation(ctx, m.Customer, m.At)
		if err != nil {
			return kefu.Moved{}, fmt.Errorf("move %s: %w", m.Customer, err)
		}
		if c.Serving != m.From {
			return kefu.Moved{Agent: c.Serving, Changed: true}, nil
		}
		moved, applied, err := w.move(ctx, m, c)
		if err != nil {
			return kefu.Moved{}, fmt.Errorf("move %s: %w", m.Customer, err)
		}
		if applied {
			return moved, nil
		}
	}
	return kefu.Moved{}, fmt.Errorf("move %s: the conversation changed %d times meanwhile", m.Customer, maxContests)
}

// move makes one try. It reports false if the conversation changed meanwhile.
func (w *work) move(ctx context.Context, m kefu.Move, c kefu.Conversation) (kefu.Moved, bool, error) {
	if c.Missed = append(slices.Clip(c.Missed), m.From); m.To != nil {
		c.Missed = nil // whom he chose may be asked again
	}
	s := w.situation(c)
	plan := w.plan(s, m)
	seat, taken, h, err := w.sit(ctx, s, plan, m)
	if err != nil {
		return kefu.Moved{}, false, err
	}
	if taken == nil && m.To != nil {
		return kefu.Moved{Stays: true, Reason: plan.refusal()}, true, nil
	}
	st := w.moving(s, m, plan, seat)
	settled, err := w.store.Settle(ctx, st)
	if err != nil {
		w.seats.GiveUp(w.held(seat.Agent))
		return kefu.Moved{}, false, fmt.Errorf("settle: %w", err)
	}
	if !settled.Applied {
		w.giveUp(ctx, seat, settled)
		if settled.Met {
			w.resit(ctx, s, m.From)
			return kefu.Moved{Agent: m.From, Changed: true}, true, nil
		}
		return kefu.Moved{}, false, nil
	}
	w.seats.GiveUp(w.held(m.From))
	brought := false
	if taken != nil {
		// A message may have come for the other between the handover and the
		// settlement. Whether it reached him or not, the agent has to have it; what
		// cannot be brought the relay logs.
		_, err = w.relay.Handover(ctx, h)
		brought = err == nil
	}
	if m.To == nil { // else he knows
		w.relay.Leave(ctx, kefu.Handover{
			Customer: m.Customer, Entry: st.Entry, Agent: st.Agent, From: m.From, At: w.at, Brought: brought,
		}, m.Missed)
	}
	return kefu.Moved{Agent: st.Agent, Brought: brought}, true, nil
}

// leave tells the agent who had the conversation in his own chat until now that
// he has it no longer, and takes it out of the chats that it could not be brought
// to. What the agent was not brought stays for who had it: only with a message of
// the customer does he learn what was said before in the same conversation.
func (w *work) leave(ctx context.Context, c kefu.Conversation, plan Plan, st kefu.Settlement) {
	from := []kefu.AgentID{c.Holds}
	for _, t := range plan.Tries {
		if t.Reason == kefu.ReasonRefused && t.Agent != c.Holds {
			from = append(from, t.Agent)
		}
	}
	for _, agent := range from {
		if agent != "" && agent != st.Agent {
			w.relay.Leave(ctx, kefu.Handover{
				Customer: w.m.Customer, Entry: st.Entry, Agent: st.Agent, From: agent, At: w.at,
				Unread: agent != c.Serving || !c.Live || !w.m.Kind.FromCustomer(),
			}, false)
		}
	}
}

// resit takes the seat again that an agent gave up for another who does not get
// the conversation. Without it he keeps it all the same.
func (w *work) resit(ctx context.Context, s Situation, agent kefu.AgentID) {
	a := w.table.Agent(agent)
	if a == nil {
		return
	}
	seat, err := w.seats.Seat(ctx, kefu.SeatRequest{
		Customer: w.m.Customer, Entry: s.Entry.Tag, At: w.at, Idle: w.app.Idle, Stays: true,
		Candidates: []kefu.SeatCandidate{{Agent: agent, Capacity: a.Capacity}},
	})
	if err == nil {
		w.board.Note(seat.Loads)
	}
}

// held is what an agent may hold of the customer, to be given up.
func (w *work) held(agent kefu.AgentID) kefu.SeatRequest {
	return kefu.SeatRequest{
		Customer: w.m.Customer, At: w.at, Idle: w.app.Idle, Candidates: []kefu.SeatCandidate{{Agent: agent}},
	}
}

// plan lists who may have the conversation next.
func (w *work) plan(s Situation, m kefu.Move) Plan {
	var plan Plan
	if m.To == nil {
		plan = Decide(s)
	} else {
		p := planner{s: s, seen: map[kefu.AgentID]bool{m.From: true}}
		p.addStep(kefu.Step{Agents: m.To}, kefu.ReasonMoved, kefu.Candidate{})
		plan = Plan{Tries: p.tries}
	}
	for i := range plan.Tries {
		if t := &plan.Tries[i]; t.Reason == "" && t.Answer.Way != kefu.WayRelay {
			t.Reason = kefu.ReasonNoWay
		}
	}
	return plan
}

// sit takes a seat at the first of the plan who has one, and brings him the
// conversation; the Handover is one for what comes after that. Only when nobody
// can, is the customer given up by who has him.
func (w *work) sit(ctx context.Context, s Situation, plan Plan, m kefu.Move) (kefu.Seat, *Try, kefu.Handover, error) {
	h := kefu.Handover{Customer: m.Customer, Entry: s.Entry.Tag, From: m.From, At: w.at}
	for {
		request := w.request(s, plan)
		if m.To != nil {
			request.Holds, request.Stays = "", true
		}
		if len(request.Candidates) == 0 && m.To != nil {
			return kefu.Seat{}, nil, h, nil
		}
		seat, err := w.seats.Seat(ctx, request)
		if err != nil {
			w.seats.GiveUp(request) // it may have been taken, and only the answer lost
			return kefu.Seat{}, nil, h, fmt.Errorf("take a seat: %w", err)
		}
		w.board.Note(seat.Loads)
		taken := plan.Take(seat)
		if taken == nil {
			return seat, nil, h, nil
		}
		h.Agent = taken.Agent
		if after, err := w.relay.Handover(ctx, h); err == nil {
			h.After = after
			return seat, taken, h, nil
		}
		_ = w.seats.Release(ctx, m.Customer, seat) // it frees itself if it cannot be given back
		plan.Reopen(taken.Agent)
	}
}

// moving writes down what a move means. Whom an agent chose serves in his place:
// the customer's owner stays who he was.
func (w *work) moving(s Situation, m kefu.Move, plan Plan, seat kefu.Seat) kefu.Settlement {
	c, taken := s.Conversation, plan.taken()
	o := Outcome{Owner: c.Owner, Borrowed: c.Borrowed, Reason: kefu.ReasonMoved}
	if m.To == nil {
		o = Conclude(s, taken)
	}
	st := kefu.Settlement{
		Customer: m.Customer, At: w.at, Version: c.Version, Idle: w.app.Idle, Waits: m.Since,
		Entry: s.Entry.Tag, Sticky: s.Entry.Sticky, Owner: o.Owner, Borrowed: o.Borrowed,
		AnswerWithin: s.Entry.AnswerTimeout, Missed: c.Missed,
	}
	kind := kefu.NoticeWaiting
	if taken != nil {
		st.Agent, kind = taken.Agent, kefu.NoticeReassigned
	}
	if w.app.Notices.Has(kind) {
		d := w.notice(kind)
		d.Entry, d.Agent, d.Position = s.Entry.Tag, st.Agent, seat.Position
		st.Deliveries = []kefu.Delivery{d}
	}
	st.Record = &kefu.Record{
		At: w.at, Kind: "move", Entry: s.Entry.Tag, Agent: st.Agent, Owner: o.Owner, Borrowed: o.Borrowed,
		Reason: kefu.ReasonMoved, Way: string(rune(kefu.WayRelay)), Candidates: plan.Candidates(),
	}
	return st
}

// refusal is why the only candidate cannot take it; ReasonPool if there are several.
func (p Plan) refusal() kefu.Reason {
	if len(p.Tries) != 1 {
		return kefu.ReasonPool
	}
	return p.Tries[0].Reason
}

// taken is who has the conversation by the plan; nil if nobody has.
func (p Plan) taken() *Try {
	for i := range p.Tries {
		if p.Tries[i].Reason == kefu.ReasonTaken {
			return &p.Tries[i]
		}
	}
	return nil
}
