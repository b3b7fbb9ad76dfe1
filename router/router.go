// Package router decides which agent gets a conversation and brings it to him.
//
// The decision itself (Decide, Conclude, ResolveTag) is pure: a snapshot in, a
// plan out. Around it stand three calls to the store, each one round trip:
// receive the push, take a seat, settle; the rest is for races and failures.
// Route always answers: what is broken behind it ends in the plain transfer, by
// which WeChat's own desk takes the customer.
package router

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"runtime/debug"
	"time"

	"kefud/kefu"
)

// A Store keeps conversations. Each method is one round trip.
type Store interface {
	Receive(ctx context.Context, r kefu.Receipt) (kefu.Received, error)
	Lookup(ctx context.Context, c kefu.CustomerID, key kefu.MessageKey) (kefu.Received, error)
	Conversation(ctx context.Context, c kefu.CustomerID, at time.Time) (kefu.Conversation, error)
	Settle(ctx context.Context, s kefu.Settlement) (kefu.Settled, error)
}

// Seats are the places that agents have for customers.
type Seats interface {
	Seat(ctx context.Context, r kefu.SeatRequest) (kefu.Seat, error)
	// Release gives a seat back at once.
	Release(ctx context.Context, c kefu.CustomerID, seat kefu.Seat) error
	// GiveUp gives back, when it can, whatever a request took or may have taken,
	// unless the customer is served there by then. It does not wait.
	GiveUp(r kefu.SeatRequest)
}

// A Board knows who is there and how busy. It answers from memory.
type Board interface {
	Roster(now time.Time) *kefu.Roster
	Load(agent kefu.AgentID) kefu.Load
	Note(loads []kefu.Load)
}

// Options are a router's parts. All but Relay and Now are needed.
type Options struct {
	Store Store
	Seats Seats
	Board Board
	Table func() *kefu.Table
	Relay Forwarder        // nil = every agent is reached through WeChat's desk, whatever the Board says
	Now   func() time.Time // nil = time.Now
	// Budget is how long one push may take in all; a repeat of a push that has
	// been in work for longer is not waited for.
	Budget time.Duration
}

// A Router routes pushes. It is safe for concurrent use.
type Router struct {
	store  Store
	seats  Seats
	board  Board
	table  func() *kefu.Table
	relay  Forwarder
	now    func() time.Time
	budget time.Duration
	reach  reaches
	memory memory
}

// New makes a router.
func New(o Options) *Router {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Relay == nil {
		o.Relay = noRelay{}
	}
	return &Router{
		store: o.Store, seats: o.Seats, board: o.Board, table: o.Table, relay: o.Relay, now: o.Now, budget: o.Budget,
		memory: memory{seed: maphash.MakeSeed()},
	}
}

// Notices are useful for so long. The greeting's is WeChat's own window after
// an enter event, from the app's allowance.
const noticeUseful = 5 * time.Minute

// Route answers one push. It returns a decision whatever happens, at the latest
// soon after ctx ends; trouble makes the decision Degraded.
func (r *Router) Route(ctx context.Context, m *kefu.Message) kefu.Decision {
	var d kefu.Decision
	func() {
		defer func() {
			if p := recover(); p != nil {
				d = r.degrade(m, kefu.CausePanic, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
			}
		}()
		d = r.route(ctx, m)
	}()
	if m.Kind.Routed() {
		r.memory.remember(m, &d)
	}
	return d
}

func (r *Router) route(ctx context.Context, m *kefu.Message) kefu.Decision {
	if !m.Kind.Routed() {
		return kefu.Decision{Answer: kefu.Answer{Way: kefu.WaySuccess}, At: r.now(), Reason: kefu.ReasonIgnored}
	}
	now := r.now()
	if d, ok := r.memory.recallDegraded(m, now); ok {
		return d
	}
	table := r.table()
	app := table.App(m.Customer.App)
	if app == nil || app.Entry(app.Default) == nil {
		return r.unrouted(m, app)
	}
	w := &work{Router: r, m: m, app: app, table: table, at: now}
	w.roster = r.board.Roster(w.at)
	got, err := r.store.Receive(ctx, w.receipt())
	switch {
	case err != nil:
		return r.degrade(m, kefu.CauseStore, fmt.Errorf("receive: %w", err))
	case got.Repeat:
		return w.repeat(ctx, got)
	}
	if w.turn = got.Turn; got.Kept {
		return w.keep(ctx, got)
	}
	return w.assign(ctx, got.Conversation)
}

// unrouted answers a push to an app that has no entries: a switchboard, or one
// that a reload has just removed. A human at its desk gets the message.
func (r *Router) unrouted(m *kefu.Message, app *kefu.App) kefu.Decision {
	if app == nil {
		return r.degrade(m, kefu.CauseTable, errors.New("no such app in the routing table"))
	}
	return kefu.Decision{Answer: fallback(m), At: r.now(), Reason: kefu.ReasonPool}
}

// fallback is the answer that always works.
func fallback(m *kefu.Message) kefu.Answer {
	if m.Kind.FromCustomer() {
		return kefu.Answer{Way: kefu.WayPlain}
	}
	return kefu.Answer{Way: kefu.WaySuccess}
}

// degrade answers a push although something is broken: as it was answered before,
// if it was, else by the fallback.
func (r *Router) degrade(m *kefu.Message, cause kefu.Cause, err error) kefu.Decision {
	if errors.Is(err, context.DeadlineExceeded) {
		cause = kefu.CauseBudget
	}
	now := r.now()
	d, again := r.memory.recall(m, now)
	if !again {
		d = kefu.Decision{Answer: fallback(m), At: now, Reason: kefu.ReasonDegraded}
	}
	d.Degraded, d.Cause, d.Err = true, cause, err
	return d
}

// repeat answers a push that was seen before, as it was answered then. If
// another goroutine or process is still at it, its answer is waited for; if that
// never came, the first try ended in the fallback, or its process did.
func (w *work) repeat(ctx context.Context, got kefu.Received) kefu.Decision {
	const firstLook, lastLook = 10 * time.Millisecond, 160 * time.Millisecond
	for pause := firstLook; !got.Answer.Decided(); pause = min(2*pause, lastLook) {
		if w.now().Sub(got.First) > w.patience() {
			break
		}
		select {
		case <-ctx.Done():
			return w.degrade(w.m, kefu.CauseBudget, ctx.Err())
		case <-time.After(pause):
		}
		again, err := w.store.Lookup(ctx, w.m.Customer, w.m.Key)
		if err != nil {
			return w.degrade(w.m, kefu.CauseStore, fmt.Errorf("look up a push in work: %w", err))
		}
		got.Answer = again.Answer
	}
	d := kefu.Decision{
		Answer: got.Answer, At: got.First, Agent: got.Answer.Agent,
		Entry: got.Entry, Reason: kefu.ReasonRepeat, Repeat: true,
	}
	switch {
	case !d.Answer.Decided() && w.m.Kind == kefu.KindEnter:
		return w.takeOver(ctx)
	case !d.Answer.Decided():
		d.Answer = fallback(w.m)
	case d.Answer.Way == kefu.WayRelay:
		return w.relayAgain(ctx, w.m, d)
	}
	return d
}

// patience is for how long the first try of a push is waited for. An enter event
// is taken over then, for which some time must be left.
func (w *work) patience() time.Duration {
	if w.m.Kind == kefu.KindEnter {
		return w.budget / 4
	}
	return w.budget
}

// takeOver does what the first try of an enter event has not done, since its process
// has ended, it seems: else the customer would have no agent, and no greeting. If it
// is still at it after all, one of the two settles. With a message that would not do:
// its first try may have been answered by the fallback, and this one must be as well.
func (w *work) takeOver(ctx context.Context) kefu.Decision {
	c, err := w.store.Conversation(ctx, w.m.Customer, w.at)
	if err != nil {
		return w.degrade(w.m, kefu.CauseStore, fmt.Errorf("look up the conversation of a push in work: %w", err))
	}
	return w.assign(ctx, c)
}

// relayAgain sees to it that a message whose push was answered as relayed is
// relayed: whoever decided that may have died before it was. A message that was
// is not again. If it was given up meanwhile, its other answer is waited for.
func (r *Router) relayAgain(ctx context.Context, m *kefu.Message, d kefu.Decision) kefu.Decision {
	now := r.now()
	c, err := r.store.Conversation(ctx, m.Customer, now)
	if err == nil {
		err = r.relay.Forward(ctx, kefu.Forwarding{
			Message: *m, Entry: c.Entry, Agent: d.Agent, Kept: true, Turn: c.Turns, At: now,
		})
	}
	if err == nil {
		return d
	}
	for ctx.Err() == nil && r.now().Sub(d.At) <= r.budget {
		again, err := r.store.Lookup(ctx, m.Customer, m.Key)
		if err == nil && again.Answer.Decided() && again.Answer.Way != kefu.WayRelay {
			d.Answer, d.Agent = again.Answer, again.Answer.Agent
			return d
		}
		select {
		case <-ctx.Done():
		case <-time.After(lookAgain):
		}
	}
	d.Answer, d.Agent = fallback(m), ""
	d.Degraded, d.Cause, d.Err = true, kefu.CauseRelay, fmt.Errorf("relay a message again: %w", err)
	return d
}

// lookAgain is the pause between two looks for an answer that takes another's place.
const lookAgain = 40 * time.Millisecond
