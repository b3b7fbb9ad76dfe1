// Package budget gives work an end at an instant.
package budget

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A Budget is a context that ends at an instant and by nothing else: not with the
// context whose values it has. Unlike those of package context it makes a timer and a
// channel only for who waits for its end, and most work is done before anybody does.
type Budget struct {
	context.Context //nolint:containedctx // it is one itself; of this one its values count

	end  time.Time
	over atomic.Bool

	mu    sync.Mutex
	done  chan struct{} // nil = nobody has asked yet
	timer *time.Timer
}

// Until makes a Budget with the values of ctx. Its user calls Release when the work is
// done.
func Until(ctx context.Context, end time.Time) *Budget {
	return &Budget{Context: ctx, end: end}
}

// Within gives ctx an end, at the latest after so long. What it returns ends when ctx
// does, too, and is released by the function.
func Within(ctx context.Context, now time.Time, d time.Duration) (context.Context, func()) {
	b, ok := ctx.(*Budget)
	if !ok {
		return context.WithTimeout(ctx, d)
	}
	end := now.Add(d)
	if !end.Before(b.end) {
		return b, func() {} // it is released by whoever made it
	}
	inner := Until(b.Context, end)
	return inner, inner.Release
}

// Deadline returns the end.
func (b *Budget) Deadline() (time.Time, bool) { return b.end, true }

// Err returns context.DeadlineExceeded from the end on.
func (b *Budget) Err() error {
	if b.over.Load() || !time.Now().Before(b.end) {
		return context.DeadlineExceeded
	}
	return nil
}

// Done is closed at the end, unless the Budget was released before.
func (b *Budget) Done() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done == nil {
		b.done = make(chan struct{})
		b.timer = time.AfterFunc(time.Until(b.end), func() {
			b.over.Store(true)
			close(b.done)
		})
	}
	return b.done
}

// AfterFunc has package context end its own contexts with this one, without a
// goroutine that waits for it.
func (b *Budget) AfterFunc(f func()) func() bool {
	return time.AfterFunc(time.Until(b.end), f).Stop
}

// Release lets go of the timer. Nobody may wait for Done after that.
func (b *Budget) Release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.timer != nil {
		b.timer.Stop()
	}
}
