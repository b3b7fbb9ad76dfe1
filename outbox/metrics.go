package outbox

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"kefud/kefu"
)

type metrics struct {
	deliveries *prometheus.CounterVec
	delay      prometheus.Histogram
	depth      prometheus.Gauge
	oldest     prometheus.Gauge
	buried     prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) metrics {
	with := promauto.With(reg)
	return metrics{
		deliveries: with.NewCounterVec(prometheus.CounterOpts{
			Name: "kefud_outbox_deliveries_total",
			Help: "Attempts at deliveries, by what became of them; wait means not tried yet.",
		}, []string{"app", "notice", "outcome", "reason"}),
		delay: with.NewHistogram(prometheus.HistogramOpts{
			Name:    "kefud_outbox_delay_seconds",
			Help:    "Time from when a message came to be owed until WeChat took it.",
			Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800},
		}),
		depth: with.NewGauge(prometheus.GaugeOpts{
			Name: "kefud_outbox_depth",
			Help: "Customers with something owed.",
		}),
		oldest: with.NewGauge(prometheus.GaugeOpts{
			Name: "kefud_outbox_oldest_seconds",
			Help: "How long the most overdue customer's message has been due.",
		}),
		buried: with.NewGauge(prometheus.GaugeOpts{
			Name: "kefud_outbox_buried",
			Help: "Deliveries that no retry can save, kept for a human.",
		}),
	}
}

// count takes one verdict. Apps that are not configured share one label.
func (m metrics) count(d kefu.Delivery, v kefu.Verdict, at time.Time) {
	app := string(d.To.App)
	if v.Reason == reasonNoApp {
		app = "unknown"
	}
	m.deliveries.WithLabelValues(app, kindOf(d), v.Outcome.String(), v.Reason).Inc()
	if v.Outcome == kefu.OutcomeSent && !d.At.IsZero() {
		m.delay.Observe(max(0, at.Sub(d.At).Seconds()))
	}
}

// kindOf names a delivery in metrics and logs: a notice by its name.
func kindOf(d kefu.Delivery) string {
	switch {
	case d.Answers():
		return "answer"
	case d.More:
		return "more"
	case len(d.Lines) > 0:
		return "line"
	}
	return string(d.Notice)
}

func (m metrics) backlog(b kefu.Backlog, at time.Time) {
	age := 0.0
	if !b.Oldest.IsZero() {
		age = max(0, at.Sub(b.Oldest).Seconds())
	}
	m.depth.Set(float64(b.Lanes))
	m.oldest.Set(age)
	m.buried.Set(float64(b.Buried))
}
