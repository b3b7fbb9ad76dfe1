package wechat

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A stop of what nobody asks for any more is not told of for ever.
func TestStopThatNobodyTriesIsForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gauge := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "stopped"}, []string{"app", "op", "why"})
		reg := prometheus.NewRegistry()
		reg.MustRegister(gauge)
		s := newStops("shop", gauge)
		told := func(what string, want int) {
			t.Helper()
			synctest.Wait()
			families, err := reg.Gather()
			if err != nil {
				t.Fatal(err)
			}
			shown := 0.0
			for _, m := range families[0].GetMetric() {
				shown += m.GetGauge().GetValue()
			}
			if got := len(s.all()); got != want || shown != float64(want) {
				t.Errorf("%s: %d stops, and %v shown, want %d", what, got, shown, want)
			}
		}
		s.begin(opTyping, unansweredWhy, &APIError{}, time.Now())
		<-time.After(stopLife - time.Second)
		told("before its time", 1)
		s.begin(opTyping, unansweredWhy, &APIError{}, time.Now())
		<-time.After(stopLife - time.Second)
		told("tried again", 1)
		<-time.After(time.Second)
		told("not tried any more", 0)
		s.begin(opTyping, unansweredWhy, &APIError{}, time.Now())
		told("once more", 1)
		s.end(opTyping, unansweredWhy)
		told("ended", 0)
		s.begin(opTyping, unansweredWhy, &APIError{}, time.Now())
		s.retire()
	})
}
