package router

import (
	"sync"
	"time"

	"kefud/kefu"
)

// WeChat pushes again after 5 s, two or three times in all; a minute is ample.
const (
	memoryTime = time.Minute
	memorySize = 4096
)

// A memory holds the degraded answers of the last minute or so, because a store
// that is down cannot, and a push that was answered with the plain transfer must
// get it again. It keeps two generations and forgets the older one whole. The
// zero memory is empty and ready.
type memory struct {
	mu       sync.Mutex
	started  time.Time
	now, old map[memoryKey]kefu.Decision
}

type memoryKey struct {
	customer kefu.CustomerID
	key      kefu.MessageKey
}

func (m *memory) remember(c kefu.CustomerID, key kefu.MessageKey, d kefu.Decision) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.now == nil || len(m.now) >= memorySize || d.At.Sub(m.started) > memoryTime {
		m.old, m.now, m.started = m.now, make(map[memoryKey]kefu.Decision), d.At
	}
	m.now[memoryKey{c, key}] = d
}

// recall finds the degraded answer of a push, as a repeat.
func (m *memory) recall(c kefu.CustomerID, key kefu.MessageKey, now time.Time) (kefu.Decision, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.now) == 0 && len(m.old) == 0 {
		return kefu.Decision{}, false
	}
	k := memoryKey{c, key}
	d, ok := m.now[k]
	if !ok {
		d, ok = m.old[k]
	}
	if !ok || now.Sub(d.At) > memoryTime {
		return kefu.Decision{}, false
	}
	return kefu.Decision{Answer: d.Answer, At: d.At, Reason: kefu.ReasonRepeat, Repeat: true}, true
}
