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
	memorySize = 32768 // pushes in a generation, of two: 1.5 MB in all, and 4 with their indexes
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
	now, old generation
}

// A generation holds what many pushes were answered, one behind the other: to look for
// one is seldom needed, and so only who does makes the index, or what is missing of it. Most
// answers are the same, and stand there once: so the pushes hold no pointers that the
// garbage collector would have to follow, tens of thousands of them each time.
type generation struct {
	pushes  []remembered
	index   map[uint64]int // of the first ones, by hash; nil before anybody has looked
	indexed int
	answers []kefu.Answer
	places  map[kefu.Answer]uint32 // in answers
}

type remembered struct {
	hash     uint64
	at       int64 // Unix, ns
	answer   uint32
	degraded bool
}

// empty has the generation begin anew, in the room that it has.
func (g *generation) empty() {
	if g.pushes == nil {
		g.pushes, g.places = make([]remembered, 0, memorySize), make(map[kefu.Answer]uint32)
	}
	g.pushes, g.indexed = g.pushes[:0], 0
	clear(g.index)
	clear(g.places)
	clear(g.answers)
	g.answers = g.answers[:0]
}

func (g *generation) add(hash uint64, d *kefu.Decision) {
	answer, known := g.places[d.Answer]
	if !known {
		answer = uint32(len(g.answers)) //nolint:gosec // memorySize at most
		g.answers = append(g.answers, d.Answer)
		g.places[d.Answer] = answer
	}
	g.pushes = append(g.pushes, remembered{hash, d.At.UnixNano(), answer, d.Degraded})
}

// find gives the last that was remembered of a push; nil if nothing was.
func (g *generation) find(hash uint64) *remembered {
	if g.index == nil {
		g.index = make(map[uint64]int, len(g.pushes))
	}
	for ; g.indexed < len(g.pushes); g.indexed++ {
		g.index[g.pushes[g.indexed].hash] = g.indexed
	}
	if i, ok := g.index[hash]; ok {
		return &g.pushes[i]
	}
	return nil
}

type memoryKey struct {
	customer kefu.CustomerID
	key      kefu.MessageKey
}

func (m *memory) hash(p *kefu.Message) uint64 {
	return maphash.Comparable(m.seed, memoryKey{p.Customer, p.Key})
}

// remember keeps the decision for a push, unless it was a repeat's.
func (m *memory) remember(p *kefu.Message, d *kefu.Decision) {
	if d.Repeat {
		return
	}
	hash := m.hash(p)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.now.pushes == nil || len(m.now.pushes) >= memorySize || d.At.Sub(m.started) > memoryTime {
		m.old, m.now, m.started = m.now, m.old, d.At
		m.now.empty()
	}
	m.now.add(hash, d)
	if d.Degraded {
		m.degraded = d.At
	}
}

// recall finds how a push was answered, as a repeat.
func (m *memory) recall(p *kefu.Message, now time.Time) (kefu.Decision, bool) {
	return m.find(p, now, false)
}

// recallDegraded finds how a push was answered while something was broken, which
// the store does not know.
func (m *memory) recallDegraded(p *kefu.Message, now time.Time) (kefu.Decision, bool) {
	return m.find(p, now, true)
}

func (m *memory) find(p *kefu.Message, now time.Time, degraded bool) (kefu.Decision, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if degraded && now.Sub(m.degraded) > memoryTime {
		return kefu.Decision{}, false
	}
	hash, in := m.hash(p), &m.now
	r := in.find(hash)
	if r == nil {
		in = &m.old
		r = in.find(hash)
	}
	if r == nil || degraded && !r.degraded {
		return kefu.Decision{}, false
	}
	at := time.Unix(0, r.at).UTC()
	if now.Sub(at) > memoryTime {
		return kefu.Decision{}, false
	}
	answer := in.answers[r.answer]
	return kefu.Decision{Answer: answer, At: at, Agent: answer.Agent, Reason: kefu.ReasonRepeat, Repeat: true}, true
}
