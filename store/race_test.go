package store_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"kefud/internal/race"
	"kefud/kefu"
	"kefud/store"
)

const racers = 64

// rounds is how often a race is run: a real server is quick enough for many.
func (b backend) rounds() int {
	switch {
	case b.name != "server" || race.Enabled:
		return 20
	case testing.Short():
		return 100
	}
	return 1000
}

// together runs f in as many goroutines as there are racers, and gathers what
// they return.
func together[T any](f func(racer int) T) []T {
	out := make([]T, racers)
	var ready, done sync.WaitGroup
	ready.Add(racers)
	for i := range racers {
		done.Go(func() {
			ready.Done()
			ready.Wait()
			out[i] = f(i)
		})
	}
	done.Wait()
	return out
}

// route does what a router does with a push: seat, settle, and if another push
// was first, follow it.
func (p *person) route(r kefu.Receipt, prefer kefu.AgentID) kefu.Answer {
	got, err := p.s.Receive(p.Context(), r)
	if err != nil {
		p.Errorf("receive: %v", err)
	}
	if got.Kept {
		return got.Answer
	}
	for c := got.Conversation; !p.Failed(); {
		seat := kefu.Seat{Agent: c.Serving}
		if !c.Live || c.Serving == "" {
			seat = p.try(r, c, prefer)
		}
		st := kefu.Settlement{
			Customer: p.id, Key: r.Key, At: r.At, Version: c.Version, Idle: idle, Entry: c.Entry, Sticky: sticky,
			Agent: seat.Agent, Owner: seat.Agent, Answer: kefu.Answer{Way: kefu.WayPlain},
		}
		if seat.Agent != "" {
			st.Answer = named(seat.Agent)
		}
		settled, err := p.s.Settle(p.Context(), st)
		if err != nil {
			p.Errorf("settle: %v", err)
		}
		if settled.Applied {
			return st.Answer
		}
		c = settled.Now
		if seat.Token == "" || seat.Agent == c.Serving {
			continue
		}
		if err := p.s.Release(p.Context(), p.id, seat); err != nil {
			p.Errorf("release: %v", err)
		}
	}
	return kefu.Answer{}
}

// try asks for the only seat of one agent.
func (p *person) try(r kefu.Receipt, c kefu.Conversation, a kefu.AgentID) kefu.Seat {
	seat, err := p.s.Seat(p.Context(), kefu.SeatRequest{
		Customer: p.id, Entry: c.Entry, At: r.At, Idle: idle, Holds: c.Holds, Held: c.Held,
		Candidates: []kefu.SeatCandidate{{Agent: a, Capacity: 1}},
	})
	if err != nil {
		p.Errorf("seat: %v", err)
	}
	return seat
}

// However many pushes of one customer race, and whomever each would prefer, one
// agent has the conversation, with one seat.
func testOneServingAgent(t *testing.T, b backend) {
	s := b.open(t)
	var agents []kefu.AgentID
	for i := range racers {
		agents = append(agents, kefu.AgentID(fmt.Sprintf("a%02d", i)))
	}
	all := reach(agents...)
	p := newPerson(t, s, "u1")
	for round := range b.rounds() {
		p.later(store.SeatFor(idle) + time.Second)
		answers := together(func(i int) kefu.Answer {
			r := p.receiptOf(kefu.MessageKey(fmt.Sprintf("%d-%d", round, i)))
			r.Reach = all
			return p.route(r, agents[i])
		})
		serving := p.history().Conversation.Serving
		for _, a := range answers {
			if a != named(serving) {
				t.Fatalf("round %d: one push went to %+v, the conversation is %s's", round, a, serving)
			}
		}
		loads, err := s.Loads(t.Context(), p.now, agents)
		if err != nil {
			t.Fatalf("loads: %v", err)
		}
		for _, l := range loads {
			if want := map[bool]int{true: 1}[l.Agent == serving]; l.Seats != want {
				t.Fatalf("round %d: %s has %d seats, want %d; %s serves", round, l.Agent, l.Seats, want, serving)
			}
		}
	}
}

// receiptOf is receipt for concurrent use.
func (p *person) receiptOf(k kefu.MessageKey) kefu.Receipt {
	return kefu.Receipt{
		Customer: p.id, Key: k, At: p.now, Default: "cs1", DefaultSticky: sticky,
		Reach: everybody, Idle: idle, Allowance: allowance,
	}
}

// However many customers race for one free seat, one has it.
func testOneFreeSeat(t *testing.T, b backend) {
	s := b.open(t)
	people := make([]*person, racers)
	for i := range people {
		people[i] = newPerson(t, s, fmt.Sprintf("u%02d", i))
	}
	for round := range b.rounds() {
		for _, p := range people {
			p.later(store.SeatFor(idle) + time.Second)
		}
		var served atomic.Int64
		together(func(i int) bool {
			p := people[i]
			r := p.receiptOf(kefu.MessageKey(fmt.Sprintf("%d-%d", round, i)))
			if a := p.route(r, "wang"); a == named("wang") {
				served.Add(1)
			}
			return true
		})
		if served.Load() != 1 || people[0].seats("wang") != 1 {
			t.Fatalf("round %d: %d customers have wang's only seat, which counts as %d", round, served.Load(), people[0].seats("wang"))
		}
	}
}

// An operation on one conversation, as porcupine sees it: a first sight of a
// push, a settlement for it, or the end of the conversation.
type (
	act struct {
		push        int
		settle, end bool
		version     int64
		agent       kefu.AgentID
	}
	outcome struct {
		Unknown         bool // it may have been carried out, or may still be
		Repeat, Applied bool
		Agent, Serving  kefu.AgentID // Agent is who is in the answer
		Version         int64
	}
	state struct {
		version int64
		serving kefu.AgentID
		pushes  [sharedPushes]string // "" unknown, "?" in work, else the agent of the answer
	}
)

func as[T any](v any) T {
	t, ok := v.(T)
	if !ok {
		panic(fmt.Sprintf("%T where %T belongs", v, t))
	}
	return t
}

// step gives what an operation comes to, and whether it can have been answered
// like that.
func step(s state, in act, out outcome) (bool, state) {
	answer, next := expect(s, in)
	return out.Unknown || out == answer, next
}

func expect(s state, in act) (outcome, state) {
	known := s.pushes[in.push]
	switch {
	case in.end:
		if s.serving != in.agent {
			return outcome{}, s
		}
		s.serving = ""
		s.version++
		return outcome{Applied: true}, s
	case !in.settle && known != "":
		return outcome{Repeat: true, Agent: decided(known)}, s
	case !in.settle && s.serving != "": // kept
		s.pushes[in.push] = string(s.serving)
		return outcome{Agent: s.serving, Version: s.version}, s
	case !in.settle:
		s.pushes[in.push] = "?"
		return outcome{Version: s.version}, s
	case decided(known) != "":
		return outcome{Agent: decided(known)}, s
	case in.version != s.version:
		return outcome{Version: s.version, Serving: s.serving}, s
	}
	if in.agent != s.serving {
		s.version++
	}
	s.serving, s.pushes[in.push] = in.agent, string(in.agent)
	return outcome{Applied: true}, s
}

func decided(known string) kefu.AgentID {
	if known == "?" {
		return ""
	}
	return kefu.AgentID(known)
}

// conversations is the model of one customer's conversation.
var conversations = porcupine.Model{
	Init: func() any { return state{} },
	Step: func(s, in, out any) (bool, any) {
		ok, next := step(as[state](s), as[act](in), as[outcome](out))
		return ok, next
	},
}

// What concurrent pushes of one customer see can be put into one order.
func testLinearizable(t *testing.T, b backend) {
	s := b.open(t)
	agents := []kefu.AgentID{"wang", "li", "zhao"}
	for round := range 10 {
		p := newPerson(t, s, fmt.Sprintf("u%d", round))
		var mu sync.Mutex
		var history []porcupine.Operation
		began := time.Now()
		record := func(client int, in act, f func() outcome) outcome {
			call := time.Since(began).Nanoseconds()
			out := f()
			mu.Lock()
			defer mu.Unlock()
			history = append(history, porcupine.Operation{
				ClientId: client, Input: in, Call: call, Output: out, Return: time.Since(began).Nanoseconds(),
			})
			return out
		}
		var group sync.WaitGroup
		for client := range 8 {
			group.Go(func() {
				push := client % 6 // some are pushed twice
				got := record(client, act{push: push}, func() outcome { return p.see(push) })
				if got.Repeat || got.Agent != "" {
					return
				}
				for version := got.Version; ; {
					in := act{push: push, settle: true, version: version, agent: agents[client%len(agents)]}
					out := record(client, in, func() outcome { return p.end(in) })
					if out.Applied || out.Agent != "" || t.Failed() {
						return
					}
					version = out.Version
				}
			})
		}
		group.Wait()
		if !porcupine.CheckOperations(conversations, history) {
			t.Fatalf("round %d cannot be put into an order: %+v", round, history)
		}
	}
}

func (p *person) see(push int) outcome {
	got, err := p.s.Receive(p.Context(), p.receiptOf(kefu.MessageKey(fmt.Sprint(push))))
	if err != nil {
		p.Errorf("receive: %v", err)
	}
	return outcome{Repeat: got.Repeat, Agent: got.Answer.Agent, Version: got.Version}
}

func (p *person) end(in act) outcome {
	got, err := p.s.Settle(p.Context(), kefu.Settlement{
		Customer: p.id, Key: kefu.MessageKey(fmt.Sprint(in.push)), At: p.now, Version: in.version, Idle: idle,
		Entry: "cs1", Sticky: sticky, Agent: in.agent, Owner: in.agent, Answer: named(in.agent),
	})
	if err != nil {
		p.Errorf("settle: %v", err)
	}
	return outcome{Applied: got.Applied, Agent: got.Answer.Agent, Version: got.Now.Version, Serving: got.Now.Serving}
}
