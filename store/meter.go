package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kefud/internal/memo"
)

// meter counts calls; a nil Registerer makes one that nobody reads.
type meter struct {
	calls     *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	refreshes *prometheus.CounterVec
	burials   prometheus.Counter

	unreadable prometheus.Counter
	apart      prometheus.Gauge

	well memo.Memo[string, fine] // by operation
}

// fine is what a call that went well counts in: by far the most do, and to look it up
// in the vectors would take longer than to count.
type fine struct {
	calls   prometheus.Counter
	seconds prometheus.Observer
}

func newMeter(r prometheus.Registerer) (*meter, error) {
	m := &meter{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kefud_store_calls_total",
			Help: "Calls to Redis by operation and outcome: ok, error (Redis said no), silent (no answer in time), unreachable, refused (not tried), canceled.",
		}, []string{"op", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "kefud_store_call_seconds",
			Help:    "Time of a call to Redis, those not tried left out.",
			Buckets: []float64{.0002, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1},
		}, []string{"op"}),
		refreshes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kefud_store_seat_refreshes_total",
			Help: "Seats to be refreshed by outcome: kept, lost (somebody else has it), dropped (too many at once, or Redis failed).",
		}, []string{"outcome"}),
		burials: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kefud_store_burials_lost_total",
			Help: "Buried deliveries that had to make room for newer ones.",
		}),
		unreadable: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kefud_store_unreadable_total",
			Help: "Times that relayed words could not be read because their transcript key is not known any more.",
		}),
		apart: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "kefud_store_clocks_apart_seconds",
			Help: "By how much the clock of the replica that asks WeChat who is online is ahead of this one's; 0 within 3 s.",
		}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.calls, m.seconds, m.refreshes, m.burials, m.unreadable, m.apart} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

func (m *meter) observe(op string, err error, took time.Duration) {
	if err == nil {
		f := m.well.Get(op, m.fine)
		f.calls.Inc()
		f.seconds.Observe(took.Seconds())
		return
	}
	outcome := outcomeOf(err)
	m.calls.WithLabelValues(op, outcome).Inc()
	if outcome != outcomeRefused {
		m.seconds.WithLabelValues(op).Observe(took.Seconds())
	}
}

func (m *meter) fine(op string) fine {
	return fine{m.calls.WithLabelValues(op, outcomeOf(nil)), m.seconds.WithLabelValues(op)}
}

const outcomeRefused = "refused"

func outcomeOf(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, errReply):
		return "error"
	case errors.Is(err, errRefused), errors.Is(err, errLayout):
		return outcomeRefused
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, errSilent), errors.Is(err, context.DeadlineExceeded):
		return "silent"
	}
	return "unreachable"
}
