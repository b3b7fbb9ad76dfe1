package outbox

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"kefud/kefu"
)

// turnMost bounds how long a lane waits that found its app's share taken.
const turnMost = 5 * time.Second

// A pool counts workers. An app gets another worker only while it has fewer
// than are left, so that n apps that hang hold n parts of n+1 and the last part
// stays for whoever does not.
type pool struct {
	size int

	mu       sync.Mutex
	reserved int // for lanes about to be leased
	working  int
	apps     map[kefu.AppID]*share
	freed    chan struct{} // closed, and made anew, when a worker becomes free
}

// A share is what one app has of the pool.
type share struct {
	working int
	took    time.Duration // how long a lane of the app usually has a worker
	last    time.Time     // the last turn given
}

func newPool(size int) *pool {
	return &pool{size: size, apps: map[kefu.AppID]*share{}, freed: make(chan struct{})}
}

// reserve waits until a worker is free and reserves some of the free ones, not
// all: a partition that the queue does not answer must not keep others from
// looking. It gives 0 when ctx has ended.
func (p *pool) reserve(ctx context.Context) int {
	for ctx.Err() == nil {
		n, freed := p.tryReserve()
		if n > 0 {
			return n
		}
		select {
		case <-ctx.Done():
		case <-freed:
		}
	}
	return 0
}

func (p *pool) tryReserve() (int, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	free := p.size - p.working - p.reserved
	if free <= 0 {
		return 0, p.freed
	}
	n := max(1, min(p.size/4, free/2))
	p.reserved += n
	return n, nil
}

// unreserve gives back reservations that found no lane.
func (p *pool) unreserve(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reserved -= n
	if n > 0 {
		p.announce()
	}
}

// begin turns a reservation into a worker. It reports whether the worker may
// send for the app; else he may only put the lane back.
func (p *pool) begin(app kefu.AppID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.share(app)
	admitted := s.working < p.size-p.working
	p.reserved--
	p.working++
	if admitted {
		s.working++
	}
	return admitted
}

// end frees a worker, who was with a lane of the app for the time given.
func (p *pool) end(app kefu.AppID, admitted bool, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.working--
	if admitted {
		s := p.share(app)
		s.working--
		s.took += (took - s.took) / 8
	}
	p.announce()
}

// turn says when a lane that was not admitted may be looked at again: each has
// its turn after the one before it, as fast as the app's lanes have been ending.
func (p *pool) turn(app kefu.AppID, now time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.share(app)
	if s.last.Before(now) {
		s.last = now
	}
	s.last = s.last.Add(s.took/time.Duration(max(1, s.working)) + time.Millisecond)
	if farthest := now.Add(turnMost); s.last.After(farthest) {
		s.last = farthest
		return farthest.Add(-rand.N(turnMost / 2)) // not all of them in one instant
	}
	return s.last
}

func (p *pool) announce() {
	close(p.freed)
	p.freed = make(chan struct{})
}

func (p *pool) share(app kefu.AppID) *share {
	s := p.apps[app]
	if s == nil {
		s = &share{took: 100 * time.Millisecond}
		p.apps[app] = s
	}
	return s
}
