package router

import (
	"hash/maphash"
	"sync"
	"time"

	"kefud/kefu"
)

// WeChat pushes again after 5 s, two or three times in all; a minute is ample.
const (
	memoryTime = time.Minute
	memorySize = 32768 // answers in a generation, of two: some 5 MB in all
)

// A memory holds this process's answers of the last minute or so. The store
// keeps answers for all processes; the memory is for when it cannot: a push that
// was answered with the plain transfer while the store was down must get that
// again when it is back, and one that was answered before must get the same
// while it is down.
//
// It keeps two generations, and forgets the older one whole. Pushes are known by
// a hash of 64 bits: that two of one minute have the same is not to be expected.
type memory struct {
	seed maphash.Seed

	mu       sync.Mutex
	started  time.Time
	degraded time.Time // of the last degraded answer
	now, old map[uint64]remembered
}

type remembered struct {
	answer   kefu.Answer
	at       time.Time
	degraded bool
}

type memoryKey struct {
	customer kefu.CustomerID
	key      kefu.MessageKey
}

func (m *memory) hash(p kefu.Message) uint64 {
	return maphash.Comparable(m.seed, memoryKey{p.Customer, p.Key})
}

// remember keeps the decision for a push, unless it was a repeat's.
func (m *memory) remember(p kefu.Message, d kefu.Decision) {
	if d.Repeat {
		return
	}
	hash := m.hash(p)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.now == nil || len(m.now) >= memorySize || d.At.Sub(m.started) > memoryTime {
		m.old, m.now, m.started = m.now, make(map[uint64]remembered), d.At
	}
	m.now[hash] = remembered{answer: d.Answer, at: d.At, degraded: d.Degraded}
	if d.Degraded {
		m.degraded = d.At
	}
}

// recall finds how a push was answered, as a repeat.
func (m *memory) recall(p kefu.Message, now time.Time) (kefu.Decision, bool) {
	return m.find(p, now, false)
}

// recallDegraded finds how a push was answered while something was broken, which
// the store does not know.
func (m *memory) recallDegraded(p kefu.Message, now time.Time) (kefu.Decision, bool) {
	return m.find(p, now, true)
}

func (m *memory) find(p kefu.Message, now time.Time, degraded bool) (kefu.Decision, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if degraded && now.Sub(m.degraded) > memoryTime {
		return kefu.Decision{}, false
	}
	hash := m.hash(p)
	r, ok := m.now[hash]
	if !ok {
		r, ok = m.old[hash]
	}
	if !ok || degraded && !r.degraded || now.Sub(r.at) > memoryTime {
		return kefu.Decision{}, false
	}
	return kefu.Decision{Answer: r.answer, At: r.at, Agent: r.answer.Agent, Reason: kefu.ReasonRepeat, Repeat: true}, true
}
