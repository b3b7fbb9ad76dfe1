package wechat

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kefud/kefu"
)

// meter counts calls. Its labels are the apps of the configuration, the
// operations, and the reason words of errcode.go.
type meter struct {
	calls   *prometheus.CounterVec
	seconds *prometheus.HistogramVec
	stopped *prometheus.GaugeVec
}

func newMeter(reg prometheus.Registerer) (*meter, error) {
	m := &meter{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kefud_wechat_calls_total",
			Help: "Calls of WeChat's API by outcome: ok, or why they failed; those that failed before they were sent included.",
		}, []string{"app", "op", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "kefud_wechat_call_seconds",
			Help:    "Time of one HTTP exchange with WeChat's API.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2, 5},
		}, []string{"op"}),
		stopped: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "kefud_wechat_stopped",
			Help: "1 while an app's calls are stopped but for one now and then: unanswered, quota or ip_not_allowed.",
		}, []string{"app", "op", "why"}),
	}
	if reg == nil {
		return m, nil
	}
	return m, errors.Join(reg.Register(m.calls), reg.Register(m.seconds), reg.Register(m.stopped))
}

// count counts one call; nil is a success.
func (m *meter) count(app kefu.AppID, op string, e *APIError) {
	outcome := "ok"
	switch {
	case e == nil:
	case e.untried && e.fault != faultBreaker:
		outcome = "stopped"
	default:
		outcome = e.Reason()
	}
	m.calls.WithLabelValues(string(app), op, outcome).Inc()
}

func (m *meter) time(op string, d time.Duration) {
	m.seconds.WithLabelValues(op).Observe(d.Seconds())
}
