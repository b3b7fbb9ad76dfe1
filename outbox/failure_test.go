package outbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"kefud/kefu"
)

func TestQueueDownAndBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, s := newFakeQueue(t, 4), &fakeSender{}
		var lines bytes.Buffer
		o, stop := run(t, Options{Queue: q, Sender: s, Logger: zerolog.New(&lines)})
		defer stop()
		up := o.State()
		if !up.OK || up.Err != nil {
			t.Fatalf("State() = %+v, want OK", up)
		}
		after(5 * time.Second)
		q.set(func() { q.down = errDown })
		before, start := q.requests(), time.Now()
		for range 300 {
			q.wake <- 0
			after(100 * time.Millisecond)
		}
		down := o.State()
		if down.OK || !errors.Is(down.Err, errDown) || down.Since.Before(start) || down.Since.After(start.Add(2*time.Second)) {
			t.Errorf("State() = %+v, want not OK since %v with %v", down, start, errDown)
		}
		if n := q.requests() - before; n < 4*5 || n > 4*40 {
			t.Errorf("%d requests in 30 s of outage on 4 partitions, want a backoff up to 5 s", n)
		}
		if n := strings.Count(lines.String(), `"level":"warn"`); n < 2 || n > 4 {
			t.Errorf("%d warnings in 30 s, want one each 10 s:\n%s", n, lines.String())
		}
		q.owe(0, greeting("shop", "a", "1"))
		q.set(func() { q.down = nil })
		after(15 * time.Second)
		if back := o.State(); !back.OK || back.Err != nil || !back.Since.After(down.Since) {
			t.Errorf("State() = %+v, want OK again", back)
		}
		if n := strings.Count(lines.String(), "outbox queue answers"); n != 2 {
			t.Errorf("%d lines say that the queue answers, want one at start and one after the outage", n)
		}
		if len(s.sent()) != 1 {
			t.Errorf("sent %d after the outage, want 1", len(s.sent()))
		}
	})
}

func TestStateBeforeTheFirstAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := New(Options{Queue: newFakeQueue(t, 1), Sender: &fakeSender{}, Table: testTable(t)})
		if got := o.State(); got.OK || got.Err != nil || !got.Since.Equal(time.Now()) {
			t.Errorf("State() = %+v, want not OK, no error, since now", got)
		}
	})
}

func TestTellsTheQueueAgain(t *testing.T) {
	t.Parallel()
	for name, outage := range map[string]time.Duration{"within the lease": 3 * time.Second, "after it": 30 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 30 { // chance decides whether telling or asking comes first
				synctest.Test(t, func(t *testing.T) { tellAfter(t, outage) })
			}
		})
	}
}

// tellAfter has the queue fail just when all that it gave out is sent.
func tellAfter(t *testing.T, outage time.Duration) {
	t.Helper()
	q := newFakeQueue(t, 1)
	s := &fakeSender{answer: func(context.Context, kefu.CustomerID) error {
		elapse(time.Millisecond)
		q.set(func() { q.down = errDown })
		return nil
	}}
	for i := range 9 {
		q.owe(0, greeting("shop", fmt.Sprint("user", i), "1"))
	}
	o, stop := run(t, Options{Queue: q, Sender: s})
	defer stop()
	after(outage)
	if o.State().OK {
		t.Error("State().OK while the queue cannot be told")
	}
	q.set(func() { q.down = nil })
	after(20 * time.Second)
	if n := len(s.sent()); q.owed("shop") != 0 || q.finishes < 3*9 || n != 9 {
		t.Errorf("%d owed, told %d times, sent %d; want all told repeatedly and sent once", q.owed("shop"), q.finishes, n)
	}
}

func TestGivesUpTellingWithItsLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(t, 1)
		s := &fakeSender{answer: func(context.Context, kefu.CustomerID) error {
			q.set(func() { q.down = errDown })
			return nil
		}}
		q.owe(0, greeting("shop", "a", "1"))
		start := time.Now()
		_, stop := run(t, Options{Queue: q, Sender: s, Lease: 6 * time.Second})
		stop()
		if d := time.Since(start); d != 6*time.Second {
			t.Errorf("Run ended after %v, want with the lease of 6s", d)
		}
	})
}

func TestStopWaitsForTheSendInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(t, 1)
		s := &fakeSender{answer: func(context.Context, kefu.CustomerID) error {
			elapse(2 * time.Second)
			return nil
		}}
		q.owe(0, greeting("shop", "a", "1"))
		q.owe(0, greeting("shop", "a", "2"))
		start := time.Now()
		_, stop := run(t, Options{Queue: q, Sender: s})
		stop()
		if d := time.Since(start); d != 2*time.Second {
			t.Errorf("Run ended after %v, want 2s", d)
		}
		if diff := cmp.Diff([]string{"1 sent "}, q.verdicts()); diff != "" {
			t.Errorf("verdicts (-want +got):\n%s", diff)
		}
	})
}

// Where nothing is due any more, the queue that did not hear a verdict is looked at
// all the same, or its failure would last in the State.
func TestStateAfterAVerdictUntold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(t, 1)
		d := greeting("shop", "a", "1")
		d.Expires = time.Time{} // never, so that it is sent again an hour later
		q.owe(0, d)
		s := &fakeSender{answer: func(context.Context, kefu.CustomerID) error { return errDown }}
		o, stop := run(t, Options{Queue: deafQueue{q}, Sender: s, Backoff: Backoff{Base: time.Hour, Cap: time.Hour}})
		defer stop()
		after(time.Second)
		if o.State().OK {
			t.Error("State().OK while the queue cannot be told")
		}
		after(20 * time.Second)
		if got := o.State(); !got.OK {
			t.Errorf("State() = %+v after the lease, want OK", got)
		}
	})
}

// deafQueue forgets a lane instead of finishing it.
type deafQueue struct{ *fakeQueue }

func (q deafQueue) Finish(_ context.Context, lane kefu.Lane, _ kefu.Verdict) error {
	q.set(func() { delete(q.lanes, lane.Delivery.To) })
	return errDown
}

func TestSendEndsWellInsideTheLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(t, 1)
		s := &fakeSender{answer: func(ctx context.Context, _ kefu.CustomerID) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		q.owe(0, greeting("shop", "a", "1"))
		start := time.Now()
		_, stop := run(t, Options{Queue: q, Sender: s, Lease: 6 * time.Second})
		stop()
		if d := time.Since(start); d != 4*time.Second {
			t.Errorf("Run ended after %v, want 4s of a lease of 6s", d)
		}
		got := q.finished[0].Verdict
		if got.Outcome != kefu.OutcomeRetry || got.Ledger != kefu.LedgerRefund {
			t.Errorf("verdict %+v, want a retry that may have been sent", got)
		}
	})
}

// slowQueue answers a lease only after a while.
type slowQueue struct {
	*fakeQueue
	takes time.Duration
	deaf  bool // to the end of the context, as when the machine slept
}

func (q slowQueue) Lease(ctx context.Context, r kefu.LeaseRequest) ([]kefu.Lane, error) {
	lanes, err := q.fakeQueue.Lease(ctx, r)
	elapse(q.takes)
	if ctx.Err() != nil && !q.deaf {
		return nil, ctx.Err() // and the lanes are leased all the same
	}
	return lanes, err
}

func TestPutsBackWhatItLeasedTooLate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		takes time.Duration
		stop  bool
		want  string
	}{
		"the process ends meanwhile": {takes: time.Second, stop: true, want: "1 wait stopping"},
		"most of the lease is gone":  {takes: 7 * time.Second, want: "1 wait late"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q, s := newFakeQueue(t, 1), &fakeSender{}
				q.owe(0, greeting("shop", "a", "1"))
				_, stop := run(t, Options{Queue: slowQueue{q, tt.takes, !tt.stop}, Sender: s})
				if !tt.stop {
					after(tt.takes)
				}
				stop()
				if got := q.finished[0]; q.verdicts()[0] != tt.want || got.Verdict.Ledger != kefu.LedgerRefund {
					t.Errorf("verdict %q with ledger %v, want %q with a refund", q.verdicts()[0], got.Verdict.Ledger, tt.want)
				}
				if len(s.sent()) != 0 {
					t.Error("sent all the same")
				}
			})
		})
	}
}

// A partition that the queue does not answer keeps no other from being served.
func TestPartitionThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, s := newFakeQueue(t, 4), &fakeSender{}
		_, stop := run(t, Options{Queue: hangingQueue{q}, Sender: s, Workers: 8})
		defer stop()
		q.owe(3, greeting("shop", "a", "1"))
		q.wake <- 3
		synctest.Wait()
		if len(s.sent()) != 1 {
			t.Error("partition 3 is not served while 0 to 2 hang")
		}
	})
}

type hangingQueue struct{ *fakeQueue }

func (q hangingQueue) Lease(ctx context.Context, r kefu.LeaseRequest) ([]kefu.Lane, error) {
	if r.Partition < 3 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return q.fakeQueue.Lease(ctx, r)
}
