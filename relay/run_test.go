package relay

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"kefud/kefu"
)

// running starts the relay; the function it returns stops it and waits.
func running(t *testing.T, r *Relay) func() {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	synctest.Wait()
	return func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run() = %v, want nil", err)
		}
	}
}

func after(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
	synctest.Wait()
}

// While nothing is known of agents' chats, as for a moment after an outage of the
// store, nobody is taken from his agent: there would be nobody to bring him to.
func TestRunWaitsForKnowledge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, r := open(t)
		s.now = time.Now
		s.ignorant = true
		stop := running(t, r)
		defer stop()
		s.owe("a")
		after(5 * time.Second)
		if len(s.moves) > 0 {
			t.Errorf("moved %+v out of ignorance", s.moves)
		}
		s.mu.Lock()
		s.ignorant = false
		s.mu.Unlock()
		after(2 * time.Second)
		if len(s.moves) != 1 {
			t.Errorf("moved %+v, want the one who waits", s.moves)
		}
	})
}

func TestRunMoves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, r := open(t)
		s.now = time.Now
		reg := prometheus.NewRegistry()
		r.metrics = newMetrics(reg, r.Table())
		outcomes := map[string]kefu.Moved{"a": {Agent: "li"}, "b": {}, "c": {Changed: true}}
		s.moved = func(m kefu.Move) (kefu.Moved, error) {
			moved, ok := outcomes[m.Customer.User]
			if !ok {
				return kefu.Moved{}, errDown
			}
			return moved, nil
		}
		stop := running(t, r)
		defer stop()
		s.owe("x", "a", "b", "c", "y", "a")
		after(2 * time.Second)
		var got []string
		for _, m := range s.moves {
			if m.From != "wang" || !m.Missed || !m.Since.Equal(noon) || m.To != nil || m.At.IsZero() {
				t.Errorf("moved %+v", m)
			}
			got = append(got, m.Customer.User)
		}
		if diff := cmp.Diff("x a b c y a", strings.Join(got, " ")); diff != "" {
			t.Errorf("moved; whoever cannot be keeps nobody (-want +got):\n%s", diff)
		}
		for outcome, want := range map[string]float64{"moved": 2, "nobody": 1, "failed": 2} {
			if got := counted(t, reg, outcome); got != want {
				t.Errorf("%s: counted %v, want %v", outcome, got, want)
			}
		}
	})
}

func counted(t *testing.T, reg *prometheus.Registry, outcome string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "kefud_relay_moved_total" && m.GetLabel()[0].GetValue() == "shop" && m.GetLabel()[1].GetValue() == outcome {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// What a lease has run out of is left to whoever leases it next: the agent may
// have answered since.
func TestRunKeepsToItsLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, r := open(t)
		s.now = time.Now
		s.moved = func(kefu.Move) (kefu.Moved, error) {
			timer := time.NewTimer(moveLease / 2)
			<-timer.C
			return kefu.Moved{Agent: "li"}, nil
		}
		s.owe("a", "b", "c", "d")
		if err := r.look(t.Context(), 0); err != nil || len(s.moves) != 2 {
			t.Errorf("%v, %d moved; want 2, and the others left", err, len(s.moves))
		}
	})
}

func TestRunStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, r := open(t)
		s.now = time.Now
		ctx, cancel := context.WithCancel(t.Context())
		s.moved = func(kefu.Move) (kefu.Moved, error) { cancel(); return kefu.Moved{}, context.Canceled }
		s.owe("a", "b")
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		if err := <-ended; err != nil || len(s.moves) != 1 || s.log.String() != "" {
			t.Errorf("Run() = %v, %d moved, log %q; want it to stop in the midst, and quietly", err, len(s.moves), s.log.String())
		}
	})
}

func TestRunPace(t *testing.T) {
	t.Parallel()
	shop := func(timeout time.Duration) kefu.App {
		return kefu.App{ID: "shop", Default: "cs1", Entries: []kefu.Entry{{Tag: "cs1"}, {Tag: "cs2", AnswerTimeout: timeout}}}
	}
	board := kefu.App{ID: "board", Switchboard: true}
	for _, tt := range []struct {
		apps []kefu.App
		want time.Duration
	}{
		{[]kefu.App{shop(time.Minute)}, never},
		{[]kefu.App{shop(0), board}, lookMost},
		{[]kefu.App{shop(time.Hour), board}, lookMost},
		{[]kefu.App{shop(2 * time.Second), board}, 500 * time.Millisecond},
		{[]kefu.App{shop(time.Millisecond), board}, lookLeast},
	} {
		t.Run(fmt.Sprint(tt.want), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, r := open(t)
				s.now = time.Now
				table, err := kefu.NewTable(tt.apps, nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Table = func() *kefu.Table { return table }
				if got := r.every(); got != tt.want {
					t.Errorf("every %v, want %v", got, tt.want)
				}
				stop := running(t, r)
				after(10 * time.Second)
				stop()
				looks, want := float64(s.asked("overdue"))/float64(s.Partitions()), 10/tt.want.Seconds()
				if tt.want == never {
					want = 0
				}
				if looks < want*0.75-2 || looks > want*1.35+2 {
					t.Errorf("%v looks in 10 s, want about %v", looks, want)
				}
			})
		})
	}
}

// A switchboard that a reload brings is seen to.
func TestRunFromALaterSwitchboard(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, r := open(t)
		s.now = time.Now
		with, without := r.Table(), &kefu.Table{}
		began := time.Now()
		r.Table = func() *kefu.Table {
			if time.Since(began) < time.Minute {
				return without
			}
			return with
		}
		stop := running(t, r)
		defer stop()
		s.owe("a")
		after(time.Minute - time.Second)
		if n := s.asked("overdue"); n > 0 {
			t.Errorf("asked %d times without a switchboard", n)
		}
		after(5 * time.Second)
		if len(s.moves) != 1 {
			t.Errorf("moved %+v, want the one who waits", s.moves)
		}
	})
}

// A store that fails is asked on, and told of now and then.
func TestRunOutlastsTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, r := open(t)
		s.now = time.Now
		s.err["overdue"] = errDown
		stop := running(t, r)
		defer stop()
		after(30 * time.Second)
		if n := strings.Count(s.logged(t), "not moved"); n < 4 || n > 8 {
			t.Errorf("told %d times in 30 s by 2 partitions, want about 6", n)
		}
		s.mu.Lock()
		delete(s.err, "overdue")
		s.mu.Unlock()
		s.owe("a")
		after(2 * time.Second)
		if len(s.moves) != 1 {
			t.Errorf("moved %+v", s.moves)
		}
	})
}
