package presence

import (
	"errors"
	"math"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

func (b *Board) register(reg prometheus.Registerer) {
	b.polls = promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "kefud_presence_polls_total",
		Help: "Questions to WeChat who is online, by outcome: ok, or what went wrong.",
	}, []string{"app", "outcome"})
	if reg != nil {
		reg.MustRegister(newGauges(b))
	}
}

// outcome gives a poll's outcome. An error may have a stable word for itself.
func outcome(err error) string {
	var named interface{ Reason() string }
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &named) && named.Reason() != "":
		return named.Reason()
	}
	return "error"
}

// gauges are what changes with time alone, taken when it is asked for.
type gauges struct {
	board       *Board
	age, online *prometheus.Desc
}

func newGauges(b *Board) gauges {
	return gauges{
		board: b,
		age: prometheus.NewDesc("kefud_presence_age_seconds",
			"Age of the list of agents online at an app's desk; +Inf if there is none.", []string{"app"}, nil),
		online: prometheus.NewDesc("kefud_presence_online",
			"Agents known to be present for customers of an app.", []string{"app"}, nil),
	}
}

// Describe sends the descriptions of all gauges.
func (g gauges) Describe(ch chan<- *prometheus.Desc) {
	ch <- g.age
	ch <- g.online
}

// Collect sends all gauges as they are now.
func (g gauges) Collect(ch chan<- prometheus.Metric) {
	for app, s := range g.board.State() {
		age := math.Inf(1)
		if !s.At.IsZero() {
			age = s.Age.Seconds()
		}
		ch <- prometheus.MustNewConstMetric(g.age, prometheus.GaugeValue, age, string(app))
	}
	table, roster := g.board.table(), g.board.Roster(g.board.now())
	for i := range table.Apps {
		if app := table.Apps[i].ID; !table.Apps[i].Switchboard {
			ch <- prometheus.MustNewConstMetric(g.online, prometheus.GaugeValue, float64(roster.Online(app)), string(app))
		}
	}
}
