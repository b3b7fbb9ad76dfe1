package budget

import (
	"context"
	"sync"
	"time"
)

// grain is how far the ticks of a Clock are apart, and so by how much later than
// asked for a part of some work may end.
const grain = 5 * time.Millisecond

// A Clock gives parts of Budgets their ends, at its ticks alone: all who wait for a
// tick share a channel and a timer, which a busy server would else make for each of
// them. It is safe for concurrent use.
type Clock struct {
	start time.Time
	past  chan struct{} // closed

	mu    sync.Mutex
	ticks map[time.Duration]chan struct{} // those to come that somebody has asked for, since start
}

// NewClock makes a Clock. It costs nothing while nobody waits.
func NewClock() *Clock {
	c := &Clock{start: time.Now(), past: make(chan struct{}), ticks: make(map[time.Duration]chan struct{})}
	close(c.past)
	return c
}

// Within gives a part of the work of ctx an end after so long, or at that of ctx if that
// is sooner. A part of a Budget's work ends at a tick, and not with the function, which
// is called when it is done: nobody waits for it any more.
func (c *Clock) Within(ctx context.Context, now time.Time, d time.Duration) (context.Context, context.CancelFunc) {
	b, ok := ctx.(*Budget)
	if !ok {
		return context.WithTimeout(ctx, d)
	}
	tick := c.after(now.Add(d))
	if !c.start.Add(tick).Before(b.end) {
		return b, func() {} // it is canceled by whoever made it
	}
	p := &b.part
	if !b.parted.CompareAndSwap(false, true) {
		p = new(part)
	}
	*p = part{Context: b.Context, clock: c, tick: tick}
	return p, func() {}
}

// after gives the first tick at an instant or after it.
func (c *Clock) after(t time.Time) time.Duration {
	return (t.Sub(c.start) + grain - 1).Truncate(grain)
}

// at gives a channel that is closed at a tick.
func (c *Clock) at(tick time.Duration) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	done, ok := c.ticks[tick]
	if ok {
		return done
	}
	wait := time.Until(c.start.Add(tick))
	if wait <= 0 {
		return c.past
	}
	done = make(chan struct{})
	c.ticks[tick] = done
	time.AfterFunc(wait, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.ticks, tick)
		close(done)
	})
	return done
}

// A part is a context that ends at a tick. A Budget has room for one; it is used once
// only, for whoever was given it may keep it for longer than the work takes.
type part struct {
	context.Context //nolint:containedctx // it is one itself; of this one its values count

	clock *Clock
	tick  time.Duration
}

// Deadline returns the instant of the tick.
func (p *part) Deadline() (time.Time, bool) { return p.clock.start.Add(p.tick), true }

// Err returns context.DeadlineExceeded from the tick on.
func (p *part) Err() error {
	if end, _ := p.Deadline(); time.Until(end) > 0 {
		return nil
	}
	return context.DeadlineExceeded
}

// Done is closed at the tick.
func (p *part) Done() <-chan struct{} { return p.clock.at(p.tick) }

// AfterFunc has package context end its own contexts at the tick.
func (p *part) AfterFunc(f func()) func() bool {
	return time.AfterFunc(time.Until(p.clock.start.Add(p.tick)), f).Stop
}
