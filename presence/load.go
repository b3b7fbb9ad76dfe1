package presence

import (
	"context"
	"fmt"
	"sync"
	"time"

	"kefud/kefu"
)

// loads keeps agents' loads in memory. They serve to choose between agents;
// who really has a free seat, the store decides.
type loads struct {
	mu    sync.RWMutex
	known map[kefu.AgentID]load
}

type load struct {
	kefu.Load
	at time.Time // as of when
}

// put takes loads as of an instant; what is known as of a later one stays.
func (l *loads) put(loads []kefu.Load, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, next := range loads {
		if !l.known[next.Agent].at.After(at) {
			l.known[next.Agent] = load{Load: next, at: at}
		}
	}
}

// keep drops all agents but these.
func (l *loads) keep(table *kefu.Table) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for agent := range l.known {
		if table.Agent(agent) == nil {
			delete(l.known, agent)
		}
	}
}

// Load tells how much an agent has to do, as last heard; nothing, of whom
// nothing was heard.
func (b *Board) Load(agent kefu.AgentID) kefu.Load {
	b.loads.mu.RLock()
	defer b.loads.mu.RUnlock()
	if l, ok := b.loads.known[agent]; ok {
		return l.Load
	}
	return kefu.Load{Agent: agent}
}

// Note takes loads as they are now, such as those that taking a seat reports.
func (b *Board) Note(loads []kefu.Load) { b.loads.put(loads, b.now()) }

// readLoads reads agents' loads, some each second.
func (b *Board) readLoads(ctx context.Context) {
	var failed failure
	var last *kefu.Table
	for next := 0; ; {
		table := b.table()
		if table != last {
			b.loads.keep(table)
			last, next = table, 0
		}
		n := min(readAtOnce, len(table.Agents)-next)
		err := b.readSome(ctx, table.Agents[next:next+n])
		if ctx.Err() != nil {
			return
		}
		failed.note(err, b.now(), b.log, "load read")
		if next += n; next >= len(table.Agents) {
			next = 0
		}
		if !pause(ctx, b.toBeat(readEvery)) {
			return
		}
	}
}

func (b *Board) readSome(ctx context.Context, agents []kefu.Agent) error {
	if len(agents) == 0 {
		return nil
	}
	ids := make([]kefu.AgentID, len(agents))
	for i := range agents {
		ids[i] = agents[i].ID
	}
	ctx, cancel := context.WithTimeout(ctx, storeWithin)
	defer cancel()
	at := b.now()
	loads, err := b.store.Loads(ctx, at.UTC(), ids)
	if err != nil {
		return fmt.Errorf("read loads: %w", err)
	}
	b.loads.put(loads, at)
	return nil
}
