package outbox

import (
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"kefud/kefu"
)

// quiet is how long a failure that repeats itself goes without another line.
const quiet = 10 * time.Second

// backlogKey stands for the backlog where others are partitions' numbers.
const backlogKey = -1

// A State is the outbox's condition. OK means that the queue answered each
// partition's last request; before the first answer it is false with a nil Err.
type State struct {
	OK      bool
	Since   time.Time    // when OK became what it is
	Backlog kefu.Backlog // as last read, some seconds ago; zero before
	Err     error        // the last failure, while not OK
}

// health keeps the State and logs its changes.
type health struct {
	log zerolog.Logger

	mu      sync.Mutex
	now     State
	failing map[int]struct{}
	logged  time.Time
}

func newHealth(log zerolog.Logger, at time.Time) *health {
	return &health{log: log, now: State{Since: at}, failing: map[int]struct{}{}}
}

func (h *health) state() State {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *health) keep(b kefu.Backlog) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now.Backlog = b
}

// note takes the outcome of one request for a partition, or for the backlog.
func (h *health) note(key int, err error, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.failing[key] = struct{}{}
		h.now.Err = err
	} else {
		delete(h.failing, key)
	}
	ok := len(h.failing) == 0
	changed := ok != h.now.OK
	if changed {
		h.now.OK, h.now.Since = ok, at
	}
	if ok {
		h.now.Err = nil
	}
	switch {
	case err != nil && (changed || at.Sub(h.logged) >= quiet):
		h.logged = at
		h.log.Warn().Err(err).Msg("outbox queue failed")
	case ok && changed:
		h.log.Info().Msg("outbox queue answers")
	}
}

// trouble logs deliveries that fail, each kind of failure at most once in a
// while.
type trouble struct {
	log zerolog.Logger

	mu     sync.Mutex
	logged map[troubleKind]time.Time
}

type troubleKind struct {
	app     kefu.AppID
	outcome kefu.Outcome
	reason  string
}

func newTrouble(log zerolog.Logger) *trouble {
	return &trouble{log: log, logged: map[troubleKind]time.Time{}}
}

// report logs a burial, which a human must see to, and a retry.
func (t *trouble) report(d kefu.Delivery, v kefu.Verdict, err error, at time.Time) {
	level, msg := zerolog.ErrorLevel, "delivery buried"
	switch v.Outcome {
	case kefu.OutcomeBuried:
	case kefu.OutcomeRetry:
		level, msg = zerolog.WarnLevel, "delivery failed, to be sent again"
	default:
		return
	}
	if !t.due(troubleKind{app: d.To.App, outcome: v.Outcome, reason: v.Reason}, at) {
		return
	}
	line := t.log.WithLevel(level).Err(err).
		Stringer("customer", d.To).Str("app", string(d.To.App)).
		Str("notice", kindOf(d)).Str("reason", v.Reason).Int("attempts", d.Attempts+1)
	if p, ok := errors.AsType[*panicError](err); ok {
		line = line.Bytes("stack", p.stack)
	}
	line.Msg(msg)
}

func (t *trouble) due(kind troubleKind, at time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if last, ok := t.logged[kind]; ok && at.Sub(last) < quiet {
		return false
	}
	t.logged[kind] = at
	return true
}
