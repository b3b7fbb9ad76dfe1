package store_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kefud/kefu"
)

// An inbox is what an agent has got.
type inbox struct {
	sync.Mutex
	lines []kefu.Line
}

func (x *inbox) put(l kefu.Lane) {
	x.Lock()
	defer x.Unlock()
	x.lines = append(x.lines, l.Delivery.Lines...)
}

// However many post, draw and finish at once: nothing is lost, nothing comes
// twice without doubt, and each customer's lines come in the order of his turns.
func testChatRace(t *testing.T, b backend) {
	const customers, turns, workers = 4, 25, 16
	c := newChat(t, b)
	var got inbox
	var posted, heard atomic.Int64
	var all sync.WaitGroup
	for i := range customers {
		all.Go(func() {
			mine := chatAt(t, c.s, c.id.User)
			mine.clock = c.clock
			for range turns {
				p := mine.posting(fmt.Sprint(i), line(fmt.Sprint(mine.turns[fmt.Sprint(i)])))
				if got, err := c.s.Post(t.Context(), p); err != nil || got.State != kefu.PostWritten {
					t.Errorf("post: %+v, %v", got, err)
				}
				posted.Add(1)
			}
		})
	}
	for i := range workers - customers {
		all.Go(func() {
			for n := 0; posted.Load() < customers*turns || !c.empty(); n++ {
				c.work(i+n, &got, &heard)
				if t.Failed() {
					return
				}
			}
		})
	}
	all.Wait()
	check(t, got.lines, customers*turns)
}

// empty reports whether nothing is owed.
func (c *chat) empty() bool {
	n, err := c.s.Client().Exists(c.Context(), c.s.ChatLaneKey(c.id)).Result()
	return err == nil && n == 0
}

// forward moves the clock to an instant, unless it is later already.
func (c *chat) forward(to time.Time) {
	for d := int64(to.Sub(start)); ; {
		now := c.clock.Load()
		if now >= d || c.clock.CompareAndSwap(now, d) {
			return
		}
	}
}

// work is one turn of a worker: he sends what may be sent, if his number says so
// badly or too late.
func (c *chat) work(n int, got *inbox, heard *atomic.Int64) {
	now := c.at()
	d, err := c.s.Draw(c.Context(), kefu.Draw{Chat: c.id, At: now, For: time.Minute})
	if err != nil {
		c.Errorf("draw: %v", err)
		return
	}
	switch {
	case d.State == kefu.DrawHeld:
		h := kefu.Hearing{Chat: c.id, Key: kefu.MessageKey(fmt.Sprintf("w%d", heard.Add(1))), At: now, Allowance: allowance, Idle: idle}
		if _, err := c.s.Hear(c.Context(), h); err != nil {
			c.Errorf("hear: %v", err)
		}
		return
	case d.State == kefu.DrawWait && d.Due.Sub(now) <= joinFor: // nobody has a lease
		c.forward(d.Due)
		return
	case d.State != kefu.DrawMine:
		return
	}
	v := sent(kefu.LedgerSpent)
	switch n % 7 {
	case 0:
		v = retry(now)
	case 1:
		v = retry(now)
		v.Doubt, v.Ledger = true, kefu.LedgerSpent
		got.put(d.Lane) // it has arrived all the same
	case 2:
		v = kefu.Verdict{Outcome: kefu.OutcomeWait, Ledger: kefu.LedgerEmpty, Due: now}
	case 3:
		got.put(d.Lane)
		c.later(time.Minute) // the lease lapses
	default:
		got.put(d.Lane)
	}
	if err := c.s.Finish(c.Context(), d.Lane, v); err != nil {
		c.Errorf("finish: %v", err)
	}
}

// check tells whether an agent has got so many lines, whose texts are their
// turns, in order.
func check(t *testing.T, lines []kefu.Line, want int) {
	t.Helper()
	have, last := map[string]bool{}, map[kefu.CustomerID]int{}
	for _, l := range lines {
		turn, err := strconv.Atoi(strings.TrimSpace(l.Words.Text))
		if err != nil {
			t.Fatalf("text %q", l.Words.Text)
		}
		switch {
		case have[l.ID] && !l.Doubt:
			t.Errorf("turn %d of %s came twice, without doubt", turn, l.Of.User)
		case !have[l.ID] && turn != last[l.Of]:
			t.Errorf("turn %d of %s came after %d", turn, l.Of.User, last[l.Of]-1)
		}
		if !have[l.ID] {
			last[l.Of] = turn + 1
		}
		have[l.ID] = true
	}
	same(t, "lines", len(have), want)
}
