// Package budget gives work an end at an instant.
package budget

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A Budget is a context that ends at an instant, or when it is canceled; not with the
// context whose values it has. Unlike those of package context it makes a timer and a
// channel only for who waits for its end, and most work is done before anybody does.
type Budget struct {
	context.Context //nolint:containedctx // it is one itself; of this one its values count

	end time.Time

	parted atomic.Bool // part is given away
	part   part        // the first that a Clock makes of it

	mu    sync.Mutex
	err   error
	over  bool          // done, if anybody has asked for it, is closed
	done  chan struct{} // nil = nobody has asked yet
	timer *time.Timer
}

// Start begins a zero Budget with the values of ctx, which ends at the instant, and gives it
// back. Its user calls Cancel when the work is done.
func (b *Budget) Start(ctx context.Context, end time.Time) *Budget {
	b.Context, b.end = ctx, end
	return b
}

// Deadline returns the instant.
func (b *Budget) Deadline() (time.Time, bool) { return b.end, true }

// Err returns context.DeadlineExceeded from the instant on, and context.Canceled if it
// was canceled before.
func (b *Budget) Err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil && time.Until(b.end) <= 0 {
		b.err = context.DeadlineExceeded
	}
	return b.err
}

// Done is closed at the end.
func (b *Budget) Done() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done != nil {
		return b.done
	}
	b.done = make(chan struct{})
	if b.over {
		close(b.done)
	} else {
		b.timer = time.AfterFunc(time.Until(b.end), func() { b.finish(context.DeadlineExceeded) })
	}
	return b.done
}

// AfterFunc has package context end its own contexts at the instant, without a
// goroutine that waits for it.
func (b *Budget) AfterFunc(f func()) func() bool {
	return time.AfterFunc(time.Until(b.end), f).Stop
}

// Cancel ends it now, and lets go of the timer.
func (b *Budget) Cancel() { b.finish(context.Canceled) }

func (b *Budget) finish(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return
	}
	b.over = true
	if b.err == nil {
		b.err = err
	}
	if b.timer != nil {
		b.timer.Stop()
	}
	if b.done != nil {
		close(b.done)
	}
}
