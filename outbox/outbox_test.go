package outbox

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"kefud/kefu"
)

func TestSendsAtOnceWhenWoken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, s, reg := newFakeQueue(t, 4), &fakeSender{}, prometheus.NewRegistry()
		_, stop := run(t, Options{Queue: q, Sender: s, Registerer: reg})
		defer stop()
		start := time.Now()
		q.owe(3, greeting("shop", "a", "1"))
		q.wake <- 99 // no such partition
		q.wake <- -1
		q.wake <- 3
		synctest.Wait()
		if diff := cmp.Diff([]string{"presale/Miss Wang/0"}, s.sent()); diff != "" {
			t.Errorf("sent (-want +got):\n%s", diff)
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("sent after %v, want at once", d)
		}
		want := []finished{{ID: "1", Verdict: kefu.Verdict{Outcome: kefu.OutcomeSent, Ledger: kefu.LedgerSpent}, At: start}}
		if diff := cmp.Diff(want, q.finished); diff != "" {
			t.Errorf("finished (-want +got):\n%s", diff)
		}
		if n := value(t, reg, "kefud_outbox_deliveries_total", "app", "shop", "notice", "greeting", "outcome", "sent", "reason", ""); n != 1 {
			t.Errorf("deliveries counted = %v, want 1", n)
		}
		if n := value(t, reg, "kefud_outbox_delay_seconds"); n != 1 {
			t.Errorf("delays observed = %v, want 1", n)
		}
	})
}

func TestLooksEachSecondUnwoken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, s := newFakeQueue(t, 16), &fakeSender{}
		_, stop := run(t, Options{Queue: q, Sender: s})
		defer stop()
		close(q.wake)
		for part := range 16 {
			q.owe(part, greeting("shop", fmt.Sprint("user", part), fmt.Sprint(part)))
		}
		after(1250 * time.Millisecond)
		if got := len(s.sent()); got != 16 {
			t.Errorf("sent %d of 16 within a second and a quarter", got)
		}
		asked, leases := q.questions(), q.requests()
		after(10 * time.Second)
		if n := q.questions() - asked; n < 8 || n > 14 {
			t.Errorf("asked %d times in 10 s what is due, want about 10", n)
		}
		if n := q.requests() - leases; n != 0 {
			t.Errorf("%d leases of 16 partitions without anything due, want none", n)
		}
	})
}

func TestEmptiesALaneInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, s := newFakeQueue(t, 1), &fakeSender{}
		_, stop := run(t, Options{Queue: q, Sender: s})
		defer stop()
		for i := range 5 {
			d := greeting("shop", "a", fmt.Sprint(i))
			d.Position = i
			q.owe(0, d)
		}
		q.wake <- 0
		synctest.Wait()
		want := []string{
			"presale/Miss Wang/0", "presale/Miss Wang/1", "presale/Miss Wang/2", "presale/Miss Wang/3", "presale/Miss Wang/4",
		}
		if diff := cmp.Diff(want, s.sent()); diff != "" {
			t.Errorf("sent without time passing (-want +got):\n%s", diff)
		}
	})
}

func TestBoundsTheSendsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(t, 3)
		s := &fakeSender{answer: func(context.Context, kefu.CustomerID) error { elapse(100 * time.Millisecond); return nil }}
		_, stop := run(t, Options{Queue: q, Sender: s, Workers: 8})
		defer stop()
		for i := range 60 {
			user := fmt.Sprint("user", i)
			q.owe(i%3, greeting("shop", user, user+"-1"))
			q.owe(i%3, greeting("shop", user, user+"-2"))
		}
		after(20 * time.Second)
		for _, v := range q.verdicts() {
			if !strings.HasSuffix(v, " sent ") && !strings.HasSuffix(v, " wait busy") {
				t.Errorf("verdict %q", v)
			}
		}
		if got := len(s.sent()); got != 120 {
			t.Errorf("sent %d of 120", got)
		}
		if s.mostly != 4 {
			t.Errorf("%d sends at once, want half of the 8 workers for a single app", s.mostly)
		}
		if s.overlap {
			t.Error("two sends to one customer at once")
		}
	})
}

// A slow app's backlog stands before another app's delivery in the same partition.
func TestSlowAppLeavesWorkersToOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(t, 1)
		var hangs atomic.Bool
		hangs.Store(true)
		s := &fakeSender{answer: func(ctx context.Context, to kefu.CustomerID) error {
			if to.App == "slow" && hangs.Load() {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}}
		for i := range 100 {
			q.owe(0, greeting("slow", fmt.Sprint("a", i), fmt.Sprint("slow", i)))
		}
		_, stop := run(t, Options{Queue: q, Sender: s, Workers: 8})
		defer stop()
		for range 20 {
			q.owe(0, greeting("shop", "z", "quick"))
			q.wake <- 0
			synctest.Wait()
			if q.owed("shop") != 0 {
				t.Fatal("a hanging app keeps another's delivery from being sent at once")
			}
			after(500 * time.Millisecond)
		}
		hangs.Store(false)
		after(20 * time.Second)
		if n := q.owed("slow"); n != 0 {
			t.Errorf("%d still owed after the app came back", n)
		}
	})
}

func TestRetriesUntilItWorks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(t, 1)
		var tries atomic.Int32
		s := &fakeSender{answer: func(context.Context, kefu.CustomerID) error {
			if tries.Add(1) < 4 {
				return fmt.Errorf("send: %w", faultError{retry: true, reason: "busy_there"})
			}
			return nil
		}}
		q.owe(0, greeting("shop", "a", "1"))
		_, stop := run(t, Options{Queue: q, Sender: s})
		defer stop()
		// At most 0.2 + 0.4 + 0.8 s of backoff, plus a look that may be late by 1.25 s each.
		after(5 * time.Second)
		want := []string{"1 retry busy_there", "1 retry busy_there", "1 retry busy_there", "1 sent "}
		if diff := cmp.Diff(want, q.verdicts()); diff != "" {
			t.Errorf("verdicts (-want +got):\n%s", diff)
		}
		if first := s.at[1].Sub(s.at[0]); first > 200*time.Millisecond {
			t.Errorf("first repetition after %v, want within 200ms", first)
		}
	})
}

func TestWaitsForAllowanceUntilExpired(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, s := newFakeQueue(t, 1), &fakeSender{}
		rich, poor := greeting("shop", "rich", "rich"), greeting("shop", "poor", "poor")
		rich.Expires, poor.Expires = time.Now().Add(10*time.Second), time.Now().Add(10*time.Second)
		q.owe(0, rich)
		q.owe(0, poor)
		q.lanes[rich.To].poor, q.lanes[poor.To].poor = true, true
		_, stop := run(t, Options{Queue: q, Sender: s})
		defer stop()
		after(5 * time.Second)
		if got := s.sent(); len(got) != 0 {
			t.Fatalf("sent %q without allowance", got)
		}
		q.set(func() { q.lanes[rich.To].poor = false })
		after(12 * time.Second)
		if got := s.sent(); len(got) != 1 {
			t.Errorf("sent %d with allowance for one, want 1", len(got))
		}
		ends := map[string]kefu.Verdict{}
		for _, f := range q.finished {
			ends[f.ID] = f.Verdict
			if f.Verdict.Outcome == kefu.OutcomeWait && (f.Verdict.Ledger != kefu.LedgerSpent || f.Verdict.Due.After(poor.Expires)) {
				t.Errorf("waits with %+v: nothing was reserved, and Due is at most %v", f.Verdict, poor.Expires)
			}
		}
		want := map[string]kefu.Verdict{
			"rich": {Outcome: kefu.OutcomeSent, Ledger: kefu.LedgerSpent},
			"poor": {Outcome: kefu.OutcomeDropped, Ledger: kefu.LedgerSpent, Reason: "expired"},
		}
		if diff := cmp.Diff(want, ends); diff != "" {
			t.Errorf("last verdicts (-want +got):\n%s", diff)
		}
	})
}

func TestPanicBuriesOneDelivery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, table := newFakeQueue(t, 1), testTable(t)
		var lines bytes.Buffer
		var tables atomic.Int32
		s := &fakeSender{answer: func(_ context.Context, to kefu.CustomerID) error {
			if to.User == "b" {
				panic("a customer's text")
			}
			return nil
		}}
		for _, user := range []string{"a", "b", "c"} {
			q.owe(0, greeting("shop", user, user))
		}
		_, stop := run(t, Options{Queue: q, Sender: s, Workers: 1, Logger: zerolog.New(&lines), Table: func() *kefu.Table {
			if tables.Add(1) == 1 {
				panic("another text")
			}
			return table()
		}})
		stop()
		want := []string{"a buried panic", "b buried panic", "c sent "}
		if diff := cmp.Diff(want, q.verdicts()); diff != "" {
			t.Errorf("verdicts (-want +got):\n%s", diff)
		}
		if a, b := q.finished[0].Verdict.Ledger, q.finished[1].Verdict.Ledger; a != kefu.LedgerRefund || b != kefu.LedgerSpent {
			t.Errorf("ledgers = %v, %v, want a refund before sending and none after", a, b)
		}
		log := lines.String()
		if n := strings.Count(log, "delivery buried"); n != 1 || !strings.Contains(log, `"level":"error"`) {
			t.Errorf("%d lines for two burials of one kind, want 1 error:\n%s", n, log)
		}
		if strings.Contains(log, "text\"") || !strings.Contains(log, "stack") {
			t.Errorf("the log shows the panic's value or no stack:\n%s", log)
		}
	})
}

func TestBacklogInStateAndGauges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, reg := newFakeQueue(t, 1), prometheus.NewRegistry()
		d := greeting("shop", "a", "1")
		d.Expires = time.Time{} // never
		q.owe(0, d)
		q.lanes[d.To].due = time.Now().Add(time.Second)
		q.lanes[d.To].lease = time.Now().Add(time.Hour) // another replica has it
		q.buried = 7
		o, stop := run(t, Options{Queue: q, Sender: &fakeSender{}, Registerer: reg})
		defer stop()
		after(31 * time.Second)
		if diff := cmp.Diff(kefu.Backlog{Lanes: 1, Oldest: q.lanes[d.To].due, Buried: 7}, o.State().Backlog); diff != "" {
			t.Errorf("State().Backlog (-want +got):\n%s", diff)
		}
		for name, want := range map[string]float64{"kefud_outbox_depth": 1, "kefud_outbox_buried": 7} {
			if got := value(t, reg, name); got != want {
				t.Errorf("%s = %v, want %v", name, got, want)
			}
		}
		if got := value(t, reg, "kefud_outbox_oldest_seconds"); got < 15 || got > 30 {
			t.Errorf("kefud_outbox_oldest_seconds = %v, want 30, or some seconds less", got)
		}
	})
}
