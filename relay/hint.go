package relay

import (
	"context"
	"sync"
	"time"

	"kefud/kefu"
)

// A customer is shown that his agent is typing only while the agent is at it: he
// has just opened the conversation, or has written within this time.
const attentive = 2 * time.Minute

// hintWithin bounds one hint.
const hintWithin = 2 * time.Second

// recent remembers when agents last wrote to this process.
type recent struct {
	mu   sync.Mutex
	last map[kefu.AgentID]time.Time
}

func (r *recent) note(agent kefu.AgentID, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil {
		r.last = make(map[kefu.AgentID]time.Time)
	}
	r.last[agent] = at
}

func (r *recent) within(agent kefu.AgentID, at time.Time, d time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, ok := r.last[agent]
	return ok && at.Sub(last) <= d
}

// hint shows the customer that his agent is typing. It does not wait, and what
// becomes of it matters to nobody.
func (r *Relay) hint(ctx context.Context, to kefu.CustomerID) {
	if r.Typist == nil {
		return
	}
	select {
	case r.slots <- struct{}{}:
	default:
		return
	}
	r.hints.Go(func() {
		defer func() { <-r.slots }()
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), hintWithin)
		defer cancel()
		_ = r.Typist.Typing(within, to) // WeChat refuses it now and then; the client counts that
	})
}
