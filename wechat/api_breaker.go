package wechat

import (
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/rs/zerolog"
)

const (
	breakerLimit  = 5 // unanswered calls in a row that open it
	breakerPause  = 5 * time.Second
	breakerJitter = time.Second // either way
	logPause      = 10 * time.Second
)

// A breaker stops an app's calls of one operation when the last ones got no answer, so
// that their callers need not wait for nothing, and lets one through every few
// seconds to see whether answers come again. An errcode is an answer.
type breaker struct {
	circuit circuitbreaker.CircuitBreaker[any]
}

func newBreaker(log zerolog.Logger) breaker {
	return breaker{circuitbreaker.NewBuilder[any]().
		WithFailureThreshold(breakerLimit).WithSuccessThreshold(1).
		WithDelay(breakerPause).WithJitter(breakerJitter).
		OnOpen(func(e circuitbreaker.StateChangedEvent) {
			if e.OldState == circuitbreaker.ClosedState {
				log.Warn().Msg("api does not answer, calls are stopped but for one now and then")
			}
		}).
		OnClose(func(circuitbreaker.StateChangedEvent) { log.Info().Msg("api answers again") }).
		Build()}
}

// admit reports whether the breaker is open to this call, that is whether the
// call must not be made, and how long it will be so at least. Who may call says
// afterwards what came of it: answered, unanswered or abandoned.
func (b breaker) admit() (time.Duration, bool) {
	if b.circuit.TryAcquirePermit() {
		return 0, false
	}
	return b.circuit.RemainingDelay(), true
}

func (b breaker) answered() { b.circuit.RecordSuccess() }

// unanswered reports whether the breaker is open now.
func (b breaker) unanswered() bool {
	b.circuit.RecordFailure()
	return b.circuit.IsOpen()
}

// abandoned is for a call whose caller gave up, which says nothing of WeChat. A
// trial must end somehow; it ends in another pause.
func (b breaker) abandoned() {
	if b.circuit.IsHalfOpen() {
		b.circuit.RecordFailure()
	}
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
