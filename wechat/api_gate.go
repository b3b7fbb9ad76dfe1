package wechat

import (
	"sync"
	"time"

	"github.com/rs/zerolog"

	"kefud/kefu"
)

// How long calls rest that WeChat refuses to an app as a whole: the shorter time
// at first, twice that after each further refusal, the longer one at most. No page
// says when a day's quota comes back, and nobody tells us when an address is
// allowed: a call a minute finds out soon, and costs nothing that counts.
const (
	gateFirst = 5 * time.Second
	gateMost  = time.Minute
)

// A gate stops an app's calls of one operation while WeChat refuses them whatever
// is in them: the quota is used up, or our address is not allowed. It lets one
// through now and then to see whether that is still so.
type gate struct {
	app   kefu.AppID
	op    string
	now   func() time.Time
	log   zerolog.Logger
	stops *stops
	paced bool // calls are paced by whoever makes them: the gate only watches

	mu       sync.Mutex
	turn     uint64 // tells calls that were on their way when the gate was shut from those let through since
	refusals int    // in a row; 0 = the gate is open
	until    time.Time
	last     *APIError
}

// admit gives the turn of a call that may be made, or why it must not be and for
// how long.
func (g *gate) admit() (uint64, *APIError) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	switch {
	case g.refusals == 0 || g.paced:
		return g.turn, nil
	case !now.Before(g.until):
		g.rest(now) // the others, until this one has its answer
		return g.turn, nil
	}
	return 0, &APIError{
		Op: g.op, App: g.app, Code: g.last.Code, wait: g.until.Sub(now), untried: true,
		Msg: "not tried, WeChat refuses all such calls of the app",
	}
}

// settle takes the answer to a call that was let through. One by which WeChat
// refuses the app as a whole is told how long calls rest now.
func (g *gate) settle(turn uint64, e *APIError) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	whole := e != nil && e.verdict().class == classApp
	switch {
	case whole && turn == g.turn:
		if g.refusals > 0 && g.last.Reason() != e.Reason() {
			g.stops.end(g.op, g.last.Reason())
		}
		g.turn++
		g.refusals++
		last := *e
		g.last = &last
		g.rest(now)
		g.stops.begin(g.op, e.Reason(), &last, now)
		if g.refusals == 1 {
			g.log.Error().Err(e).Msg("WeChat refuses all calls of the app, they are stopped but for one now and then")
		} else {
			g.log.Warn().Err(e).Int("refusals", g.refusals).Msg("WeChat still refuses all calls of the app")
		}
	case !whole && turn == g.turn && g.refusals > 0 && (e == nil || e.taken()):
		g.reopen()
		g.log.Info().Msg("WeChat takes calls of the app again")
	}
	if whole && !g.paced {
		e.wait = max(0, g.until.Sub(now))
	}
}

// open lets all calls through again, until the next is refused.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.refusals > 0 {
		g.reopen()
	}
}

// reopen forgets the refusals. Locked.
func (g *gate) reopen() {
	g.turn++
	g.refusals = 0
	g.stops.end(g.op, g.last.Reason())
}

// rest puts the next call off. Locked.
func (g *gate) rest(now time.Time) {
	d := gateMost
	if n := max(g.refusals, 1) - 1; n < 4 {
		d = min(d, gateFirst<<n)
	}
	g.until = now.Add(d - jitter(d/4))
}
