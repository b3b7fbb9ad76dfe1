package wechat

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kefud/kefu"
)

// A Stop is an operation of an app whose calls are not made at present, but for
// one now and then.
type Stop struct {
	Op    string    // as in APIError
	Why   string    // "unanswered", "quota" or "ip_not_allowed"
	Since time.Time // when the first was not made
	Err   error     // of the last that was made
}

// unansweredWhy is the Why of a breaker. Others are reasons of errcode.go.
const unansweredWhy = "unanswered"

// stopLife is how long a stop is told of after the last call that failed. Whatever
// is owed tries once a minute at the least; after this nobody has asked any more,
// and whether the call would work nobody knows.
const stopLife = 5 * time.Minute

// Stopped tells which of an app's calls are stopped, by operation and reason.
func (c *Client) Stopped(app kefu.AppID) []Stop {
	a := c.account(app)
	if a == nil {
		return nil
	}
	return a.stops.all()
}

// stops keeps the stops of one app with one credential.
type stops struct {
	gauge  *prometheus.GaugeVec // without the app's label
	remove func()               // what the gauge shows of the app

	mu   sync.Mutex
	now  map[[2]string]Stop
	ends map[[2]string]*time.Timer // of what now holds
	over bool                      // the app is gone, or has another credential: calls that are still under way tell nobody
}

func newStops(app kefu.AppID, gauge *prometheus.GaugeVec) *stops {
	mine := prometheus.Labels{"app": string(app)}
	s := &stops{gauge: gauge.MustCurryWith(mine), remove: func() { gauge.DeletePartialMatch(mine) }, now: map[[2]string]Stop{}, ends: map[[2]string]*time.Timer{}}
	s.gauge.WithLabelValues(opSend, unansweredWhy).Set(0) // there from the start, for whoever watches it
	return s
}

// retire takes back what the gauge shows.
func (s *stops) retire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	for key := range s.now {
		s.forget(key)
	}
	s.remove()
}

// begin notes that calls are stopped, or why they still are.
func (s *stops) begin(op, why string, e *APIError, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	key := [2]string{op, why}
	stop, ok := s.now[key]
	if !ok {
		stop = Stop{Op: op, Why: why, Since: at}
		s.gauge.WithLabelValues(op, why).Set(1)
		s.ends[key] = time.AfterFunc(stopLife, func() { s.end(op, why) })
	}
	s.ends[key].Reset(stopLife)
	stop.Err = e
	s.now[key] = stop
}

func (s *stops) end(op, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := [2]string{op, why}
	if _, ok := s.now[key]; ok {
		s.forget(key)
		s.gauge.WithLabelValues(op, why).Set(0)
	}
}

// forget takes a stop out. Locked.
func (s *stops) forget(key [2]string) {
	s.ends[key].Stop()
	delete(s.now, key)
	delete(s.ends, key)
}

func (s *stops) all() []Stop {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.now), func(a, b Stop) int { return a.Since.Compare(b.Since) })
}
