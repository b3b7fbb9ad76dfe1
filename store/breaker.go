package store

import (
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// A breaker closes the way to a Redis that does not answer, so that callers
// need not wait for it one by one. While it is closed one call in a pause goes
// through to find out whether Redis is back, whatever became of the one before;
// none does while somebody else looks.
type breaker struct {
	mu       sync.Mutex
	failures int
	next     time.Time // no call before, once failures have reached tolerated
}

const (
	tolerated = 3                      // failures in a row
	pause     = 500 * time.Millisecond // between tries; longer than lookEvery, so that it is seldom a caller who tries
)

// everywhere is the place of a call that goes to all partitions at once. It fails
// with any node of a cluster, which says nothing of the others.
func (s *Store) everywhere() int { return s.keys.partitions + 1 }

// newBreakers makes a breaker for each place that can fail on its own: on a
// cluster every partition, which is on one node of several, agents() and everywhere().
func newBreakers(rdb redis.UniversalClient, partitions int) []*breaker {
	n := 1
	if _, cluster := rdb.(*redis.ClusterClient); cluster {
		n = partitions + 2
	}
	out := make([]*breaker, n)
	for i := range out {
		out[i] = &breaker{}
	}
	return out
}

// allow reports whether a call may be made.
func (b *breaker) allow(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures < tolerated {
		return true
	}
	if now.Before(b.next) {
		return false
	}
	b.next = now.Add(pause)
	return true
}

func (b *breaker) succeeded() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures = 0
}

func (b *breaker) failed(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures++
	b.next = now.Add(pause)
}

// looking says that somebody looks at Redis himself and will tell by then.
func (b *breaker) looking(until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next = until
}
