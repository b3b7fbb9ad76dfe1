package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kefud/internal/redistest"
	"kefud/internal/simulator"
)

// A gate is the way of pushes to a server that is not always there. Who finds
// nobody there waits until somebody is, as WeChat lets some time pass before it
// pushes again.
type gate struct {
	next http.RoundTripper

	mu     sync.Mutex
	opened chan struct{} // closed while somebody serves
}

func newGate(next http.RoundTripper) *gate {
	g := &gate{next: next, opened: make(chan struct{})}
	close(g.opened)
	return g
}

// shut has whoever finds nobody wait, until open.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.opened = make(chan struct{})
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.opened)
}

// RoundTrip passes a push on. Its errors come when there is somebody again.
func (g *gate) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := g.next.RoundTrip(req)
	if err == nil {
		var body []byte
		body, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close() // only read from
		if err == nil {
			resp.Body = io.NopCloser(bytes.NewReader(body))
			return resp, nil
		}
	}
	g.mu.Lock()
	opened := g.opened
	g.mu.Unlock()
	select {
	case <-opened:
	case <-req.Context().Done():
	}
	return nil, err
}

// A bustle is traffic of agents and customers that goes on until it is stopped,
// whatever happens meanwhile.
type bustle struct {
	r       *rig
	eager   bool          // agents write without being asked
	pace    time.Duration // from one thing that somebody does to his next, at least
	clerks  []*clerk
	people  []*patron
	stopped atomic.Bool
	done    []*atomic.Int64 // things written, of each clerk and patron
	waker   *patron         // writes at the end, so that whoever waits for something to happen wakes up
	stalled atomic.Int64    // the longest time for which the machine had other things to do
	runners sync.WaitGroup
}

// begin sets traffic going between agents and people, each with a goroutine of his
// own.
func (b *bustle) begin(chats []*chat, people []*patron) {
	b.r.t.Helper()
	b.people = people
	b.waker = b.r.patrons(1, "one")[0]
	for i, c := range chats {
		b.clerks = append(b.clerks, newClerk(c, uint64(i), b.people, []*patron{b.waker}))
	}
	b.runners.Go(b.pulse)
	for _, p := range people {
		b.run(func() { p.write() })
	}
	for _, k := range b.clerks {
		b.run(func() { b.turn(k) })
	}
}

// pulse watches how long the machine leaves this process waiting.
func (b *bustle) pulse() {
	const every = 20 * time.Millisecond
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	for last := time.Now(); !b.stopped.Load(); {
		<-ticks.C
		b.stalled.Store(max(b.stalled.Load(), int64(time.Since(last)-every)))
		last = time.Now()
	}
}

// run does something again and again, until it is stopped.
func (b *bustle) run(f func()) {
	done := &atomic.Int64{}
	b.done = append(b.done, done)
	b.runners.Go(func() {
		var beat <-chan time.Time
		if b.pace > 0 {
			ticks := time.NewTicker(b.pace)
			defer ticks.Stop()
			beat = ticks.C
		}
		for !b.stopped.Load() {
			f()
			done.Add(1)
			if beat != nil {
				<-beat
			}
		}
	})
}

// turn lets an agent write to one of those who wait for an answer.
func (b *bustle) turn(k *clerk) {
	b.r.t.Helper()
	k.look()
	if k.more {
		k.more = false
		k.says("列表")
		return
	}
	ready := k.ready(1<<30, !b.eager)
	if len(ready) == 0 {
		b.r.await(k.id+" has something to answer, or it is over", func() bool { return len(k.user.Inbox()) > k.seen || b.stopped.Load() })
		return
	}
	p := ready[k.rng.IntN(len(ready))]
	fate, _ := k.say(p)
	if fate == wordRefused {
		k.answered[p.name] = max(k.answered[p.name], k.read[p.name]) // he does not insist
	}
}

// more waits until so many more things were done, and by everybody at least one:
// nobody is still at what he did before.
func (b *bustle) more(n int64) {
	b.r.t.Helper()
	var before []int64
	for _, d := range b.done {
		before = append(before, d.Load())
	}
	within(b.r.t, patience+b.r.outage, "there is traffic", func() bool {
		sum, least := int64(0), int64(2)
		for i, d := range b.done {
			since := d.Load() - before[i]
			sum, least = sum+since, min(least, since)
		}
		return sum >= n && least > 0
	})
}

// stop ends the traffic and waits until nothing is owed any more: agents write
// until nothing is held for them, customers until nothing is held for them.
func (b *bustle) stop() {
	b.r.t.Helper()
	b.stopped.Store(true)
	b.waker.write()
	b.runners.Wait()
	b.people = append(b.people, b.waker)
	var owed []string
	b.r.t.Cleanup(func() {
		if len(owed) > 0 {
			b.r.t.Errorf("answered well, and nobody has it: %q", owed)
			for _, k := range b.clerks {
				b.r.t.Logf("%s has %q", k.id, from(k.user, simulator.FromAPI))
			}
		}
	})
	// What has failed for long is tried again after up to 30 s, and what is owed to
	// the same people comes after it.
	within(b.r.t, 2*patience+b.r.outage, "all that was answered well has come", func() bool {
		owed = nil
		for _, k := range b.clerks {
			if k.look(); k.more {
				k.more = false
				k.says("列表")
			}
		}
		for _, p := range b.people {
			if p.full() && !p.complete() {
				p.write()
			}
			owed = append(append(owed, p.astray(b.clerks)...), b.unsettled(p)...)
		}
		return len(owed) == 0
	})
}

// unsettled lists the words that were accepted and have not come to their
// customer, nor was their agent told that they never will.
func (b *bustle) unsettled(p *patron) []string {
	heard := strings.Join(p.heard(), "\n")
	var owed []string
	for _, w := range p.said() {
		if w.fate == wordAccepted && !strings.Contains(heard, w.text) && !b.undelivered(w) {
			owed = append(owed, w.text)
		}
	}
	return owed
}

// undelivered reports whether an agent was told that his words never arrive.
func (b *bustle) undelivered(w word) bool {
	return slices.ContainsFunc(b.clerks, func(k *clerk) bool {
		return slices.ContainsFunc(from(k.user, simulator.FromAPI), func(text string) bool {
			return strings.Contains(text, "没有送达") && strings.Contains(text, w.text)
		})
	})
}

// astray lists the customer's messages that were answered with success and are
// in nobody's chat, be it as what was said before a conversation came to him.
func (p *patron) astray(clerks []*clerk) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var lost []string
	for i, result := range p.results {
		if n := len(result.Attempts); n == 0 || result.Attempts[n-1].Answer.Kind != simulator.AnswerSuccess {
			continue
		}
		token := fmt.Sprintf("%s-%04d", p.name, i+1)
		has := func(k *clerk) bool { return slices.Contains(tokens(k.chat)[p.name], token) }
		if len(p.written[i].Chats()) == 0 && !slices.ContainsFunc(clerks, has) {
			lost = append(lost, token)
		}
	}
	return lost
}

// A tally is how much of what may happen in a bad time has happened.
type tally struct {
	written, transferred, accepted, refused, unknown int
	heardTwice, readTwice, marked                    int
}

// tell fails the test if anybody got what is not for him, or got things in
// another order than they were written in, or got what its writer was told had
// not been sent. It counts what may happen.
func (b *bustle) tell() tally {
	b.r.t.Helper()
	var sum tally
	for _, p := range b.people {
		sum.written += len(p.written)
		for _, result := range p.results {
			if n := len(result.Attempts); n > 0 && result.Attempts[n-1].Answer.Kind == simulator.AnswerTransfer {
				sum.transferred++
			}
		}
		heard := p.heard()
		once := firsts(heard)
		sum.heardTwice += len(heard) - len(once)
		var want []string
		said := map[string]bool{}
		for _, w := range b.inOrder(p, &sum) {
			if said[w.text] = true; slices.Contains(once, w.text) {
				want = append(want, w.text)
			}
			if w.fate == wordRefused && slices.Contains(once, w.text) {
				b.r.t.Errorf("%s: heard %s, of which its agent was told that it was not sent", p.name, w.text)
			}
		}
		for _, text := range once {
			if !said[text] {
				b.r.t.Errorf("%s: heard %q, which was not for him", p.name, text)
			}
		}
		for _, k := range b.clerks {
			prefix := k.id + "_"
			of := func(all []string) []string {
				return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return !strings.HasPrefix(s, prefix) })
			}
			if got, want := of(once), of(want); !slices.Equal(got, want) {
				b.r.t.Errorf("%s: heard\n%q\nwant\n%q", p.name, got, want)
			}
		}
	}
	for _, k := range b.clerks {
		k.look()
		sum.marked += k.marked
		for name, got := range fresh(k.chat) {
			once := firsts(got)
			sum.readTwice += len(got) - len(once)
			if !slices.IsSorted(once) {
				b.r.t.Errorf("%s has of %s %q, not in order, of\n%q", k.id, name, once, from(k.user, simulator.FromAPI))
			}
		}
	}
	return sum
}

// inOrder gives the words said to a customer, and counts them.
func (b *bustle) inOrder(p *patron, sum *tally) []word {
	words := p.said()
	for _, w := range words {
		switch w.fate {
		case wordAccepted:
			sum.accepted++
		case wordRefused:
			sum.refused++
		case wordUnknown:
			sum.unknown++
		}
	}
	return words
}

// Redis is frozen for a while, or dies and comes back with what it had: every
// push is answered in time, everybody is at an agent or at the desk, and
// conversations go on as they were.
func TestRelayOutlivesRedisTrouble(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name         string
		strike, heal func(*redistest.Server)
	}{
		{"frozen", (*redistest.Server).Pause, (*redistest.Server).Resume},
		{"killed", (*redistest.Server).Kill, (*redistest.Server).Restart},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			redis := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
			r := start(t, rigOptions{config: playConfig, redis: redis})
			chats := r.bound("wang", "li")
			b := &bustle{r: r}
			b.begin(chats, slices.Concat(r.patrons(2, "one"), r.patrons(2, "two"), r.patrons(2, "both")))
			b.more(30)
			tt.strike(redis)
			const badTime = 2 * time.Second
			<-time.After(badTime)
			tt.heal(redis)
			b.more(30)
			b.relayedAgain()
			b.stop()
			b.inTime()
			t.Logf("%+v", b.tell())
			r.well()
		})
	}
}

// relayedAgain waits until each customer has had a message relayed that he wrote
// after this was called.
func (b *bustle) relayedAgain() {
	b.r.t.Helper()
	from := make([]int, len(b.people))
	for i, p := range b.people {
		from[i] = p.count()
	}
	eventually(b.r.t, "everybody is relayed again", func() bool {
		for i, p := range b.people {
			if !p.relayedSince(from[i]) {
				return false
			}
		}
		return true
	})
}

func (p *patron) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.results)
}

func (p *patron) relayedSince(n int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.results[n:], func(r simulator.Result) bool { return r.Reach.Fate == simulator.FateRelayed })
}

// inTime fails the test unless every push was answered within the budget, the
// first time.
func (b *bustle) inTime() {
	b.r.t.Helper()
	var all []simulator.Result
	for _, p := range b.people {
		all = append(all, p.results...)
	}
	for _, k := range b.clerks {
		all = append(all, k.results...)
	}
	for _, result := range all {
		if n := len(result.Attempts); n != 1 {
			b.r.t.Errorf("pushed %d times", n)
		}
		for _, a := range result.Attempts {
			if most := budget + slackTime + 3*time.Duration(b.stalled.Load()); a.Took > most || a.Wrong != "" {
				b.r.t.Errorf("answered after %s, at most %s are allowed, %s", a.Took, most, a.Wrong)
			}
		}
	}
}
