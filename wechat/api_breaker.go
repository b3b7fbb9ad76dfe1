package wechat

import (
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	breakerLimit  = 5 // unanswered calls in a row that open it
	breakerPause  = 4 * time.Second
	breakerJitter = 2 * time.Second
	logPause      = 10 * time.Second
)

// A breaker stops the calls for an app when the last ones got no answer, so
// that their callers need not wait for nothing, and lets one through every few
// seconds to see whether answers come again. An errcode is an answer.
type breaker struct {
	now func() time.Time
	log zerolog.Logger

	mu      sync.Mutex
	unheard int       // unanswered calls in a row
	until   time.Time // when open: no call before
	onTrial bool      // when open: one call is under way
}

// admit reports whether the breaker is open to this call, that is whether the
// call must not be made, and how long it will be so at least. Who may call says
// afterwards what came of it: answered, unanswered or abandoned.
func (b *breaker) admit() (time.Duration, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.unheard < breakerLimit {
		return 0, false
	}
	wait := max(b.until.Sub(b.now()), 0)
	if wait > 0 || b.onTrial {
		return wait, true
	}
	b.onTrial = true
	return 0, false
}

func (b *breaker) answered() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.unheard >= breakerLimit {
		b.log.Info().Msg("api answers again")
	}
	b.unheard, b.onTrial = 0, false
}

func (b *breaker) unanswered() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unheard++
	b.onTrial = false
	if b.unheard >= breakerLimit {
		b.until = b.now().Add(breakerPause + jitter(breakerJitter))
	}
	if b.unheard == breakerLimit {
		b.log.Warn().Msg("api does not answer, calls are stopped but for one now and then")
	}
}

// abandoned is for a call whose caller gave up, which says nothing of WeChat.
func (b *breaker) abandoned() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.onTrial = false
}

// A complaint keeps a failure that goes on from filling the log: a line when it
// changes, then one in logPause.
type complaint struct {
	text string
	at   time.Time
}

func (c *complaint) due(now time.Time, text string) bool {
	if text == c.text && !c.at.IsZero() && now.Sub(c.at) < logPause {
		return false
	}
	c.text, c.at = text, now
	return true
}
