package router

import (
	"context"
	"fmt"

	"kefud/kefu"
)

// giveUp returns a seat that was taken in vain, because another push of the
// same customer was first. The seat of the agent who serves him is the same
// seat, whoever took it, and stays.
func (w *work) giveUp(ctx context.Context, seat kefu.Seat, settled kefu.Settled) {
	serving := settled.Now.Serving
	if settled.Answer.Decided() {
		serving = settled.Answer.Agent
	}
	if seat.Agent == "" || seat.Agent == serving {
		return
	}
	// A seat that cannot be given back now frees itself when it runs out.
	_ = w.seats.Release(ctx, w.m.Customer, seat)
	w.relay.Leave(ctx, kefu.Handover{Customer: w.m.Customer, Agent: serving, From: seat.Agent, At: w.at}, false)
}

// follow answers after another push of the same customer has just assigned the
// conversation: this one goes to the same agent.
func (w *work) follow(ctx context.Context, c kefu.Conversation) (kefu.Decision, bool) {
	if !c.Live || c.Serving == "" {
		return kefu.Decision{}, false
	}
	answer := w.reach.of(w.app, w.table, w.roster).Answer(c.Serving)
	if !answer.Decided() {
		return kefu.Decision{}, false
	}
	if !w.m.Kind.FromCustomer() {
		answer = kefu.Answer{Way: kefu.WaySuccess, Agent: c.Serving}
	}
	if answer.Way == kefu.WayRelay {
		f := w.forwarding(c, c.Serving)
		f.Kept = true
		if err := w.relay.Forward(ctx, f); err != nil {
			return kefu.Decision{}, false
		}
	}
	settled, err := w.store.Settle(ctx, kefu.Settlement{
		AnswerWithin: w.entry(c).AnswerTimeout, Missed: c.Missed, Words: w.m.Words(), Keep: w.app.Transcript,
		Customer: w.m.Customer, Key: w.m.Key, At: w.at, Version: c.Version, Idle: w.app.Idle,
		Entry: c.Entry, Sticky: w.entry(c).Sticky, Agent: c.Serving, Owner: c.Owner, Borrowed: c.Borrowed,
		Answer: answer,
	})
	if err != nil {
		return w.degrade(w.m, kefu.CauseStore, fmt.Errorf("settle: %w", err)), true
	}
	if !settled.Applied {
		return kefu.Decision{}, false
	}
	return kefu.Decision{Answer: answer, At: w.at, Entry: c.Entry, Agent: c.Serving, Reason: kefu.ReasonKept}, true
}
