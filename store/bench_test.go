package store_test

import (
	"fmt"
	"testing"
	"time"

	"kefud/kefu"
)

// BenchmarkScripts takes each script by itself, on the embedded store and on a
// server.
func BenchmarkScripts(b *testing.B) {
	for _, on := range []backend{embedded(), server(b)} {
		b.Run(on.name, func(b *testing.B) {
			for _, c := range []struct {
				name string
				// prepare gives what is measured, once for each n.
				prepare func(b *testing.B, on backend) func(n int)
			}{
				{"Receive/kept", benchKept},
				{"Receive/new", benchNew},
				{"Seat/1of1", func(b *testing.B, on backend) func(int) { return benchSeat(b, on, 1) }},
				{"Seat/1of64", func(b *testing.B, on backend) func(int) { return benchSeat(b, on, 64) }},
				{"Settle", benchSettle},
				{"Lookup", benchLookup},
				{"Refresh/128", benchRefresh},
				{"LeaseFinish", benchLease},
				{"History", benchHistory},
				{"PostDrawFinish", benchChat},
				{"HearSay", benchHearSay},
			} {
				b.Run(c.name, func(b *testing.B) {
					f := c.prepare(b, on)
					n := 0
					for b.Loop() {
						f(n)
						n++
					}
				})
			}
		})
	}
}

func benchKept(b *testing.B, on backend) func(int) {
	p := newPerson(b, on.open(b), "u1")
	p.served("wang", 1)
	return func(int) {
		p.later(time.Second)
		p.push()
	}
}

func benchNew(b *testing.B, on backend) func(int) {
	s := on.open(b)
	return func(n int) { newPerson(b, s, fmt.Sprint(n)).push() }
}

func benchSeat(b *testing.B, on backend, ladder int) func(int) {
	s := on.open(b)
	p := newPerson(b, s, "u1")
	agents := make([]kefu.AgentID, ladder)
	for i := range agents {
		agents[i] = kefu.AgentID(fmt.Sprintf("a%02d", i))
		if i < ladder-1 {
			newPerson(b, s, fmt.Sprint(i)).seat(1, "", agents[i])
		}
	}
	return func(int) { p.seat(1, "", agents...) }
}

func benchSettle(b *testing.B, on backend) func(int) {
	s := on.open(b)
	return func(n int) {
		p := newPerson(b, s, fmt.Sprint(n))
		record := kefu.Record{At: p.now, Entry: "cs1", Candidates: make([]kefu.Candidate, 5)}
		p.last = "m"
		p.settle(kefu.Conversation{Entry: "cs1"}, "wang", owing(p.notice(kefu.NoticeGreeting)), func(st *kefu.Settlement) { st.Record = &record })
	}
}

func benchLookup(b *testing.B, on backend) func(int) {
	p := newPerson(b, on.open(b), "u1")
	p.served("wang", 1)
	return func(int) { p.lookup(p.last) }
}

func benchRefresh(b *testing.B, on backend) func(int) {
	const batch = 128
	p := newPerson(b, on.open(b), "u1")
	p.served("wang", 1)
	return func(int) {
		for range batch {
			p.later(idle / 2)
			p.push()
		}
		if got := p.s.Refresh(b.Context()); got != batch {
			b.Fatalf("%d refreshes", got)
		}
	}
}

func benchLease(b *testing.B, on backend) func(int) {
	p := newPerson(b, on.open(b), "u1")
	p.settle(p.push().Conversation, "", owing(p.notice("a")))
	return func(int) {
		p.finish(p.one(), kefu.Verdict{Outcome: kefu.OutcomeRetry, Due: p.now, Ledger: kefu.LedgerRefund})
	}
}

func benchHistory(b *testing.B, on backend) func(int) {
	p := newPerson(b, on.open(b), "u1")
	p.served("wang", 1)
	return func(int) { p.history() }
}

// benchChat is a customer's line on its way to an agent who has ten other
// conversations.
func benchChat(b *testing.B, on backend) func(int) {
	c := newChat(b, on)
	for i := range 10 {
		c.post(fmt.Sprint("other", i), "x")
	}
	c.all()
	return func(n int) {
		if n%4 == 0 {
			c.hear() // or the allowance would run out
		}
		c.post("u1", "hello")
		c.finish(c.draw(), sent(kefu.LedgerSpent))
		c.later(joinFor)
	}
}

// benchHearSay is an agent's answer on its way to a customer.
func benchHearSay(b *testing.B, on backend) func(int) {
	c := newChat(b, on)
	for i := range 10 {
		c.post(fmt.Sprint("other", i), "x")
	}
	p := newPerson(b, c.s, "other0")
	p.served("wang", 1)
	return func(int) {
		c.hear(target)
		p.say("wang", "hello")
		p.delete(p.s.LaneKey(p.id)) // or it would grow
	}
}
