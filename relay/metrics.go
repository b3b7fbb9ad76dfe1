package relay

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"kefud/kefu"
)

type metrics struct {
	forwarded *prometheus.CounterVec
	heard     *prometheus.CounterVec
	moved     *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, t *kefu.Table) metrics {
	with := promauto.With(reg)
	m := metrics{
		forwarded: with.NewCounterVec(prometheus.CounterOpts{
			Name: "kefud_relay_forwarded_total",
			Help: "Customers' messages brought to agents' chats, by what became of them: sent, held (until the agent writes), refused (by the chat's state), failed.",
		}, []string{"app", "outcome"}),
		heard: with.NewCounterVec(prometheus.CounterOpts{
			Name: "kefud_relay_heard_total",
			Help: "Messages in switchboards, by what they were: say, a command's name, code, stranger, cannot, follow, unfollow.",
		}, []string{"app", "kind"}),
		moved: with.NewCounterVec(prometheus.CounterOpts{
			Name: "kefud_relay_moved_total",
			Help: "Conversations whose agent had not answered in time, by what became of them: moved, nobody, failed.",
		}, []string{"app", "outcome"}),
	}
	// What has not happened yet is 0, so that its first time is seen as an increase.
	for i := range t.Apps {
		if app := string(t.Apps[i].ID); !t.Apps[i].Switchboard {
			m.forwarded.WithLabelValues(app, "failed")
			m.moved.WithLabelValues(app, "nobody")
		}
	}
	return m
}
