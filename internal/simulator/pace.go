package simulator

import (
	"context"
	"math"
	"sync"
	"time"
)

// A pacer hands out the moments at which pushes are due: at an even rate, which
// is reached within the ramp. The moments do not wait for those who are to use
// them (open loop): whoever is late for one has that much more latency, as a
// customer has who writes while the server is slow.
type pacer struct {
	rate float64 // a second; 0 = now is as good as any moment
	ramp time.Duration

	mu    sync.Mutex
	start time.Time // of the first moment
	n     int       // moments handed out
}

// wait waits for the next moment, and tells how late it was already.
func (p *pacer) wait(ctx context.Context) (time.Duration, error) {
	if p.rate <= 0 {
		return 0, ctx.Err()
	}
	p.mu.Lock()
	now := time.Now()
	if p.n == 0 {
		p.start = now
	}
	due := p.start.Add(p.offset(p.n))
	p.n++
	p.mu.Unlock()
	err := wait(ctx, due.Sub(now))
	return max(time.Since(due), 0), err
}

// offset is when the moment n is due, after the first, which is number 0. On the
// ramp the rate grows evenly, so that n grows with the square of the time.
func (p *pacer) offset(n int) time.Duration {
	ramp := p.ramp.Seconds()
	onRamp := p.rate * ramp / 2
	seconds := math.Sqrt(2 * float64(n) * ramp / p.rate)
	if float64(n) >= onRamp {
		seconds = ramp + (float64(n)-onRamp)/p.rate
	}
	return time.Duration(seconds * float64(time.Second))
}
