package router

import (
	"context"
	"fmt"
	"slices"
	"time"

	"kefud/kefu"
)

// work is one push on its way through the router.
type work struct {
	*Router
	m      *kefu.Message
	app    *kefu.App
	table  *kefu.Table
	roster *kefu.Roster
	at     time.Time
	turn   int64
}

// maxContests is how often other pushes of the same customer may change the
// conversation under a decision before it gives up. Each time one of them got
// through, so more than a few means trouble.
const maxContests = 4

func (w *work) receipt() kefu.Receipt {
	r := kefu.Receipt{
		Customer: w.m.Customer, Key: w.m.Key, Enter: w.m.Kind == kefu.KindEnter, At: w.at,
		Default: w.app.Default, DefaultSticky: w.app.Entry(w.app.Default).Sticky,
		Reach: w.reach.of(w.app, w.table, w.roster),
		Idle:  w.app.Idle, Allowance: w.app.Allowance,
	}
	if !r.Enter {
		if r.Reach.Relays() {
			r.Words, r.Keep = w.m.Words(), w.app.Transcript
		}
		return r
	}
	if r.Ask = ResolveTag(w.app, w.m.Tag); r.Ask.Entry != "" {
		r.AskSticky = w.app.Entry(r.Ask.Entry).Sticky
	}
	if w.app.Notices.Has(kefu.NoticeGreeting) {
		greeting := w.notice(kefu.NoticeGreeting)
		r.Greeting = &greeting
	}
	return r
}

// notice is a delivery of a notice without an agent, due now.
func (w *work) notice(kind kefu.NoticeKind) kefu.Delivery {
	d := kefu.Delivery{To: w.m.Customer, Notice: kind, At: w.at, Expires: w.at.Add(noticeUseful)}
	if kind == kefu.NoticeGreeting {
		d.Expires = w.at.Add(w.app.Allowance.AfterEnterWindow)
	} else {
		d.Once = true
	}
	return d
}

// entry finds the entry of a conversation. One that a reload has removed is
// answered by the default entry.
func (w *work) entry(c kefu.Conversation) *kefu.Entry {
	if e := w.app.Entry(c.Entry); e != nil {
		return e
	}
	return w.app.Entry(w.app.Default)
}

// keep answers a push of a conversation that stays with its agent.
func (w *work) keep(ctx context.Context, got kefu.Received) kefu.Decision {
	if got.Answer.Way == kefu.WayRelay {
		f := w.forwarding(got.Conversation, got.Serving)
		f.Kept, f.From = true, ""
		if err := w.relay.Forward(ctx, f); err != nil {
			return w.assign(ctx, got.Conversation, got.Serving)
		}
	}
	return kefu.Decision{Answer: got.Answer, At: w.at, Entry: got.Entry, Agent: got.Serving, Reason: kefu.ReasonKept}
}

// assign gives the conversation to an agent, or to WeChat's desk if nobody on
// the ladder can take it. An agent in refused was found unreachable just now.
func (w *work) assign(ctx context.Context, c kefu.Conversation, refused ...kefu.AgentID) kefu.Decision {
	for range maxContests {
		s := w.situation(c)
		plan := Decide(s)
		for _, id := range refused {
			plan.Reopen(id)
		}
		if s.blind(plan) {
			d, now, done := w.hold(ctx, s, plan)
			if done {
				return d
			}
			c = now
			continue
		}
		seat, taken, err := w.seat(ctx, s, plan)
		if err != nil {
			return w.degrade(w.m, kefu.CauseStore, err)
		}
		settlement := w.settlement(s, plan, taken, seat.Position)
		if settlement.Replace = len(refused) > 0; settlement.Replace {
			settlement.Words = kefu.Words{} // they were written down when it was received
		}
		settled, err := w.store.Settle(ctx, settlement)
		if err != nil {
			w.seats.GiveUp(kefu.SeatRequest{
				Customer: w.m.Customer, At: w.at, Idle: w.app.Idle, Candidates: []kefu.SeatCandidate{{Agent: seat.Agent}},
			})
			return w.degrade(w.m, kefu.CauseStore, fmt.Errorf("settle: %w", err))
		}
		if settled.Applied {
			w.leave(ctx, c, plan, settlement)
			return w.decision(settlement, taken)
		}
		w.giveUp(ctx, seat, settled)
		if settled.Answer.Decided() {
			return w.repeat(ctx, kefu.Received{
				Conversation: kefu.Conversation{Entry: c.Entry}, First: w.at, Answer: settled.Answer,
			})
		}
		c = settled.Now
		if d, ok := w.follow(ctx, c); ok {
			return d
		}
	}
	return w.degrade(w.m, kefu.CauseContest, fmt.Errorf("the conversation changed %d times meanwhile", maxContests))
}

// blind reports whether nothing is known of the agent who serves, and nobody is
// known to be there in his place: after an outage of the store the list of who is
// online has grown old, which says nothing of him.
func (s Situation) blind(p Plan) bool {
	c := s.Conversation
	return c.Live && c.Serving != "" && len(p.Seats()) == 0 && slices.ContainsFunc(p.Tries, func(t Try) bool {
		return t.Agent == c.Serving && t.Reason == kefu.ReasonUnknown
	})
}

// hold answers a push while nothing is known of the agent who serves, nor of
// anybody else: WeChat's desk takes the message, and the conversation and its seat
// stay his. If the conversation has changed meanwhile it gives that instead.
func (w *work) hold(ctx context.Context, s Situation, plan Plan) (kefu.Decision, kefu.Conversation, bool) {
	st := w.settlement(s, plan, nil, 0)
	st.Agent, st.AnswerWithin = s.Conversation.Serving, s.Entry.AnswerTimeout // he may be reached by the relay again
	settled, err := w.store.Settle(ctx, st)
	switch {
	case err != nil:
		return w.degrade(w.m, kefu.CauseStore, fmt.Errorf("settle: %w", err)), s.Conversation, true
	case settled.Answer.Decided():
		return w.repeat(ctx, kefu.Received{
			Conversation: kefu.Conversation{Entry: s.Entry.Tag}, First: w.at, Answer: settled.Answer,
		}), s.Conversation, true
	}
	st.Agent = "" // whoever gets the message from the desk
	return w.decision(st, nil), settled.Now, settled.Applied
}

// situation gathers what a decision depends on.
func (w *work) situation(c kefu.Conversation) Situation {
	return Situation{
		App: w.app, Entry: w.entry(c), Conversation: c,
		MayWait: w.m.Kind == kefu.KindEnter, Waited: w.at.Sub(c.Entered),
		Agent:    w.table.Agent,
		Standing: func(id kefu.AgentID) kefu.Standing { return w.roster.Standing(w.app.ID, id) },
		Load:     w.board.Load,
	}
}

// forwarding brings the push's message to an agent.
func (w *work) forwarding(c kefu.Conversation, agent kefu.AgentID) kefu.Forwarding {
	f := kefu.Forwarding{Message: *w.m, Entry: w.entry(c).Tag, Agent: agent, Turn: w.turn, At: w.at}
	if c.Live && c.Serving != agent {
		f.From = c.Serving
	}
	return f
}

// seat takes a seat at the first of the plan's candidates who has room and,
// where the way asks for it, brings him the message; whom that fails to reach
// is passed over. The store is asked even if nobody can be tried: the customer
// gives up the seat he had, and has a place among those who wait.
func (w *work) seat(ctx context.Context, s Situation, plan Plan) (kefu.Seat, *Try, error) {
	for {
		request := w.request(s, plan)
		seat, err := w.seats.Seat(ctx, request)
		if err != nil {
			w.seats.GiveUp(request) // it may have been taken, and only the answer lost
			return kefu.Seat{}, nil, fmt.Errorf("take a seat: %w", err)
		}
		w.board.Note(seat.Loads)
		taken := plan.Take(seat)
		if taken == nil || taken.Answer.Way != kefu.WayRelay || !w.m.Kind.FromCustomer() {
			return seat, taken, nil
		}
		if err := w.relay.Forward(ctx, w.forwarding(s.Conversation, taken.Agent)); err == nil {
			return seat, taken, nil
		}
		// The seat taken for nothing frees itself if it cannot be given back.
		_ = w.seats.Release(ctx, w.m.Customer, seat)
		plan.Reopen(taken.Agent)
	}
}

// request asks for a seat at whoever of the plan has one.
func (w *work) request(s Situation, plan Plan) kefu.SeatRequest {
	return kefu.SeatRequest{
		Customer: w.m.Customer, Entry: s.Entry.Tag, At: w.at, Idle: w.app.Idle,
		Holds: s.Conversation.Holds, Held: s.Conversation.Held, Candidates: plan.Seats(),
	}
}

// settlement writes down what a decision means.
func (w *work) settlement(s Situation, plan Plan, taken *Try, position int) kefu.Settlement {
	o := Conclude(s, taken)
	st := kefu.Settlement{
		Customer: w.m.Customer, Key: w.m.Key, At: w.at, Version: s.Conversation.Version, Idle: w.app.Idle,
		Entry: s.Entry.Tag, Sticky: s.Entry.Sticky, Owner: o.Owner, Borrowed: o.Borrowed,
		Answer: fallback(w.m), Missed: s.Conversation.Missed,
	}
	if taken != nil && taken.Answer.Way == kefu.WayRelay {
		st.AnswerWithin, st.Words, st.Keep = s.Entry.AnswerTimeout, w.m.Words(), w.app.Transcript
	}
	if taken != nil {
		st.Agent = taken.Agent
		st.Answer = kefu.Answer{Way: kefu.WaySuccess, Agent: taken.Agent}
		if w.m.Kind.FromCustomer() {
			st.Answer = taken.Answer
		}
	}
	st.Deliveries = w.owed(s, plan, taken, position)
	st.Record = &kefu.Record{
		At: w.at, Kind: w.m.Kind.String(), Entry: s.Entry.Tag, Agent: st.Agent, Owner: o.Owner, Borrowed: o.Borrowed,
		Reason: o.Reason, Way: string(rune(st.Answer.Way)), Position: position, Candidates: plan.Candidates(),
	}
	return st
}

// owed lists the notices a decision owes the customer. An agent is named only
// if the conversation comes to him and to nobody else.
func (w *work) owed(s Situation, plan Plan, taken *Try, position int) []kefu.Delivery {
	kind, ok := w.noticeFor(s, plan, taken)
	if !ok || !w.app.Notices.Has(kind) {
		return nil
	}
	d := w.notice(kind)
	d.Entry = s.Entry.Tag
	if taken != nil && taken.Answer.Way.Designates() {
		d.Agent = taken.Agent
	}
	if kind == kefu.NoticeWaiting {
		d.Position = position
	}
	return []kefu.Delivery{d}
}

func (w *work) noticeFor(s Situation, plan Plan, taken *Try) (kefu.NoticeKind, bool) {
	c := s.Conversation
	switch {
	case w.m.Kind == kefu.KindEnter:
		return kefu.NoticeGreeting, true
	case taken != nil:
		// Where WeChat's desk chooses, no agent took over from another.
		return kefu.NoticeReassigned, c.Live && c.Serving != "" && c.Serving != taken.Agent && taken.Answer.Way.Designates()
	}
	// Only who is known to be absent or busy keeps a customer waiting; where
	// nothing is known, somebody free may sit at WeChat's desk.
	return kefu.NoticeWaiting, len(plan.Tries) > 0 && !plan.Refused(kefu.ReasonUnknown)
}

// decision is what an applied settlement comes to.
func (w *work) decision(st kefu.Settlement, taken *Try) kefu.Decision {
	d := kefu.Decision{Answer: st.Answer, At: st.At, Entry: st.Entry, Agent: st.Agent, Reason: st.Record.Reason}
	if taken != nil {
		d.Step = taken.Step
	}
	return d
}
