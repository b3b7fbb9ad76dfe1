package store_test

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"kefud/kefu"
	"kefud/store"
)

// lease leases what is due in the person's partition.
func (p *person) lease(d time.Duration) []kefu.Lane {
	p.Helper()
	lanes, err := p.s.Lease(p.Context(), kefu.LeaseRequest{Partition: p.s.Partition(p.id), At: p.now, For: d, Max: 100})
	if err != nil {
		p.Fatalf("lease: %v", err)
	}
	return lanes
}

// one leases the only lane that is due.
func (p *person) one() kefu.Lane {
	p.Helper()
	lanes := p.lease(time.Minute)
	if len(lanes) != 1 {
		p.Fatalf("%d lanes are due, want 1", len(lanes))
	}
	return lanes[0]
}

func (p *person) finish(l kefu.Lane, v kefu.Verdict) {
	p.Helper()
	if err := p.s.Finish(p.Context(), l, v); err != nil {
		p.Fatalf("finish: %v", err)
	}
}

func sent(l kefu.Ledger) kefu.Verdict { return kefu.Verdict{Outcome: kefu.OutcomeSent, Ledger: l} }

// owed takes the deliveries owed to the person out of his lane and compares
// them, whatever their ids.
func (p *person) owed(what string, want ...kefu.Delivery) {
	p.Helper()
	var got []kefu.Delivery
	for {
		lanes := p.lease(time.Minute)
		if len(lanes) == 0 {
			break
		}
		p.finish(lanes[0], sent(kefu.LedgerRefund))
		lanes[0].Delivery.ID = ""
		got = append(got, lanes[0].Delivery)
	}
	same(p, what, got, want)
}

func (p *person) notice(kind kefu.NoticeKind) kefu.Delivery {
	return kefu.Delivery{To: p.id, Notice: kind, Entry: "cs1", At: p.now, Expires: p.now.Add(time.Hour)}
}

func testLaneOrder(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	p.settle(p.push().Conversation, "wang", owing(p.notice("a"), p.notice("b")))
	p.settle(p.push(within("")).Conversation, "li", owing(p.notice("c")))
	ids := map[string]bool{}
	for _, want := range []kefu.NoticeKind{"a", "b", "c"} {
		l := p.one()
		if l.Delivery.Notice != want || ids[l.Delivery.ID] {
			t.Errorf("delivery %+v, want %s with an id of its own", l.Delivery, want)
		}
		ids[l.Delivery.ID] = true
		if more := p.lease(time.Minute); len(more) != 0 {
			t.Errorf("leased twice: %+v", more)
		}
		p.finish(l, sent(kefu.LedgerSpent))
	}
	if more := p.lease(time.Minute); len(more) != 0 {
		t.Errorf("still owed: %+v", more)
	}
}

func testLaneFields(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	d := kefu.Delivery{
		To: p.id, Notice: kefu.NoticeWaiting, Entry: "order: *\"引\" {1}", Agent: "wang", Position: 7, Once: true,
		At: p.now.Add(time.Millisecond), Expires: p.now.Add(time.Hour),
	}
	bare := kefu.Delivery{To: p.id, Notice: kefu.NoticeClosed}
	p.settle(p.push().Conversation, "", owing(d, bare))
	if l := p.one(); !l.Lease.Equal(p.now.Add(time.Minute)) || l.Delivery.ID == "" {
		t.Errorf("lane %+v, want a lease of a minute and an id", l)
	}
	p.later(time.Minute)
	p.owed("deliveries", d, bare)
}

func testLaneOnce(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	once := p.notice(kefu.NoticeWaiting)
	once.Once = true
	other := p.notice("wait")
	other.Once = true
	p.settle(p.push().Conversation, "", owing(once, once, other))
	p.owed("first", once, other)
	p.later(idle)
	p.settle(p.push().Conversation, "", owing(once, other))
	p.owed("in the same conversation")
	p.later(idle + time.Millisecond)
	once.At = p.now
	p.settle(p.push().Conversation, "", owing(once))
	p.owed("in another conversation", once)
}

func testLeaseExpires(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	p.settle(p.push().Conversation, "", owing(p.notice("a")))
	first := p.one()
	p.later(time.Minute - time.Millisecond)
	if got := p.lease(time.Minute); len(got) != 0 {
		t.Errorf("leased twice: %+v", got)
	}
	p.later(time.Millisecond)
	if second := p.one(); second.Delivery.ID != first.Delivery.ID {
		t.Errorf("after the lease %+v, want the same delivery", second)
	}
}

func testLeaseMax(t *testing.T, b backend) {
	s := b.open(t, func(o *store.Options) { o.Partitions = 1 })
	for i := range 5 {
		p := newPerson(t, s, fmt.Sprintf("u%d", i))
		p.later(time.Duration(5-i) * time.Second)
		p.settle(p.push().Conversation, "", owing(p.notice("a")))
	}
	lease := func(limit int) []string {
		lanes, err := s.Lease(t.Context(), kefu.LeaseRequest{At: start.Add(time.Minute), For: time.Minute, Max: limit})
		if err != nil {
			t.Fatalf("lease: %v", err)
		}
		var who []string
		for _, l := range lanes {
			who = append(who, l.Delivery.To.User)
		}
		return who
	}
	same(t, "longest overdue", lease(2), []string{"u4", "u3"})
	same(t, "the rest", lease(10), []string{"u2", "u1", "u0"})
}

func testLeaseOfVanishedLane(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	p.settle(p.push().Conversation, "", owing(p.notice("a")))
	p.delete(p.s.LaneKey(p.id))
	if got := p.lease(time.Minute); len(got) != 0 {
		t.Errorf("leased %+v", got)
	}
	same(t, "lanes left", p.backlog().Lanes, 0)
}

func (p *person) backlog() kefu.Backlog {
	p.Helper()
	b, err := p.s.Backlog(p.Context())
	if err != nil {
		p.Fatalf("backlog: %v", err)
	}
	return b
}

// A worker who comes back after his lease ran out takes away what he sent, and
// nothing else.
func testFinishLate(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	p.settle(p.push().Conversation, "", owing(p.notice("a"), p.notice("b")))
	late := p.one()
	p.later(time.Minute)
	second := p.one()
	p.finish(late, kefu.Verdict{Outcome: kefu.OutcomeRetry, Due: p.now, Ledger: kefu.LedgerRefund})
	if got := p.lease(time.Minute); len(got) != 0 {
		t.Errorf("the late worker opened another's lease: %+v", got)
	}
	p.finish(late, sent(kefu.LedgerSpent))
	if got := p.lease(time.Minute); len(got) != 0 {
		t.Errorf("the late worker opened another's lease: %+v", got)
	}
	p.finish(second, sent(kefu.LedgerSpent))
	if got := p.lease(time.Minute); len(got) != 0 {
		t.Errorf("finishing what is gone opened the lane: %+v", got)
	}
	p.later(time.Minute)
	if l := p.one(); l.Delivery.Notice != "b" {
		t.Errorf("delivery %+v, want b", l.Delivery)
	}
}

func testFinishRetryAndWait(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	p.settle(p.push().Conversation, "", owing(p.notice("a"), p.notice("b")))
	for i, c := range []struct {
		outcome  kefu.Outcome
		attempts int
	}{{kefu.OutcomeRetry, 1}, {kefu.OutcomeWait, 1}, {kefu.OutcomeRetry, 2}} {
		due := p.now.Add(10 * time.Second)
		p.finish(p.one(), kefu.Verdict{Outcome: c.outcome, Due: due, Ledger: kefu.LedgerRefund})
		p.now = due.Add(-time.Millisecond)
		if got := p.lease(time.Minute); len(got) != 0 {
			t.Errorf("%d: due too early: %+v", i, got)
		}
		p.now = due
		got := p.one()
		if got.Delivery.Notice != "a" || got.Delivery.Attempts != c.attempts || !got.Delivery.At.Equal(start) {
			t.Errorf("%d: delivery %+v, want a with %d attempts", i, got.Delivery, c.attempts)
		}
		p.later(time.Minute) // the lease runs out
	}
	p.finish(p.one(), kefu.Verdict{Outcome: kefu.OutcomeDropped, Reason: "expired"})
	if l := p.one(); l.Delivery.Notice != "b" {
		t.Errorf("after a drop %+v, want b", l.Delivery)
	}
}

// notices makes n deliveries.
func (p *person) notices(n int) []kefu.Delivery {
	var out []kefu.Delivery
	for i := range n {
		out = append(out, p.notice(kefu.NoticeKind(fmt.Sprintf("n%d", i))))
	}
	return out
}

// allowed sends until no message is allowed any more, and tells how many were.
func (p *person) allowed() int {
	p.Helper()
	for n := 0; ; n++ {
		l := p.one()
		if !l.Allowed {
			p.finish(l, kefu.Verdict{Outcome: kefu.OutcomeWait, Due: p.now, Ledger: kefu.LedgerRefund})
			return n
		}
		p.finish(l, sent(kefu.LedgerSpent))
	}
}

func testAllowance(t *testing.T, b backend) {
	message := func(*kefu.Receipt) {}
	for _, c := range []struct {
		name   string
		pushes []func(*kefu.Receipt)
		gap    time.Duration
		want   int
	}{
		{"message", []func(*kefu.Receipt){message}, 0, 5},
		{"message, at the end", []func(*kefu.Receipt){message}, 48*time.Hour - time.Millisecond, 5},
		{"message, over", []func(*kefu.Receipt){message}, 48 * time.Hour, 0},
		{"enter", []func(*kefu.Receipt){enter}, 0, 2},
		{"enter, over", []func(*kefu.Receipt){enter}, time.Minute, 0},
		{"two messages", []func(*kefu.Receipt){message, message}, 0, 5},
		{"enter, then message", []func(*kefu.Receipt){enter, message}, 0, 5},
		{"message, then enter", []func(*kefu.Receipt){message, enter}, time.Hour, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPerson(t, b.open(t), "u1")
			for _, f := range c.pushes {
				p.settle(p.push(f).Conversation, "", owing(p.notices(6)...))
			}
			p.later(c.gap)
			same(t, "messages allowed", p.allowed(), c.want)
		})
	}
}

func testAllowanceNotAdded(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	p.push()
	p.settle(p.push(enter).Conversation, "", owing(p.notices(9)...))
	same(t, "both at once", p.allowed(), 5)
	p.push(enter)
	same(t, "after entering again", p.allowed(), 2)
}

func testAllowanceRefund(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	p.settle(p.push(enter).Conversation, "", owing(p.notices(9)...))
	for range 5 {
		p.finish(p.one(), kefu.Verdict{Outcome: kefu.OutcomeRetry, Due: p.now, Ledger: kefu.LedgerRefund})
	}
	same(t, "after refunds", p.allowed(), 2)
	same(t, "after the wait", p.allowed(), 0) // what was not reserved is not given back
}

func testAllowanceEmpty(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	p.push(enter)
	p.settle(p.push().Conversation, "", owing(p.notices(9)...))
	p.finish(p.one(), kefu.Verdict{Outcome: kefu.OutcomeDropped, Ledger: kefu.LedgerEmpty})
	same(t, "after WeChat said that none is left", p.allowed(), 0)
	p.push()
	same(t, "after the next message", p.allowed(), 5)
}

// What happens to an old allowance must not touch the one earned since.
func testAllowanceSinceRenewed(t *testing.T, b backend) {
	for _, ledger := range []kefu.Ledger{kefu.LedgerRefund, kefu.LedgerEmpty} {
		p := newPerson(t, b.open(t), "u1")
		p.settle(p.push().Conversation, "", owing(p.notices(9)...))
		l := p.one()
		p.later(time.Second)
		p.push()
		p.finish(l, kefu.Verdict{Outcome: kefu.OutcomeRetry, Due: p.now, Ledger: ledger})
		same(t, "renewed", p.allowed(), 5)
	}
}

func testBuried(t *testing.T, b backend) {
	clock := start
	s := b.open(t, func(o *store.Options) { o.Now = func() time.Time { return clock } })
	var want []kefu.Burial
	for i := range 5 {
		p := newPerson(t, s, fmt.Sprintf("u%d", i))
		d := p.notice(kefu.NoticeReassigned)
		d.Agent, d.Position, d.Once = "wang", i, true
		p.settle(p.push().Conversation, "wang", owing(d))
		clock = start.Add(time.Duration(i) * time.Second)
		l := p.one()
		p.finish(l, kefu.Verdict{Outcome: kefu.OutcomeBuried, Reason: "unauthorized"})
		want = append([]kefu.Burial{{Delivery: l.Delivery, Reason: "unauthorized", At: clock}}, want...)
		if more := p.lease(time.Minute); len(more) != 0 {
			t.Errorf("buried and still owed: %+v", more)
		}
	}
	for _, limit := range []int{0, 2, 5, 100} {
		got, err := s.Buried(t.Context(), limit)
		if err != nil {
			t.Fatalf("buried: %v", err)
		}
		if len(got) != min(limit, 5) {
			t.Errorf("%d burials of at most %d", len(got), limit)
		}
		for i := range got {
			same(t, "burial", got[i], want[i])
		}
	}
}

func testBuriedCap(t *testing.T, b backend) {
	s := b.open(t, func(o *store.Options) { o.Partitions = 1 })
	fill := make([]any, store.BuriedKept)
	for i := range fill {
		fill[i] = "old"
	}
	if err := s.Client().RPush(t.Context(), s.BuriedKey(0), fill...).Err(); err != nil {
		t.Fatalf("fill: %v", err)
	}
	p := newPerson(t, s, "u1")
	p.settle(p.push().Conversation, "", owing(p.notice("a")))
	p.finish(p.one(), kefu.Verdict{Outcome: kefu.OutcomeBuried, Reason: "unauthorized"})
	same(t, "buried", p.backlog().Buried, store.BuriedKept)
	got, err := s.Buried(t.Context(), 1)
	if err != nil || len(got) != 1 || got[0].Delivery.Notice != "a" {
		t.Errorf("newest %+v, %v; want the last", got, err)
	}
}

func testBacklog(t *testing.T, b backend) {
	clock := start
	s := b.open(t, func(o *store.Options) { o.Now = func() time.Time { return clock } })
	p, q := newPerson(t, s, "p"), newPerson(t, s, "another")
	same(t, "nothing", p.backlog(), kefu.Backlog{})
	q.later(time.Second)
	for _, x := range []*person{p, q} {
		x.settle(x.push().Conversation, "", owing(x.notice("a"), x.notice("b")))
	}
	clock = start.Add(time.Minute)
	same(t, "two lanes", p.backlog(), kefu.Backlog{Lanes: 2, Oldest: start})
	p.one()
	p.finish(q.one(), kefu.Verdict{Outcome: kefu.OutcomeRetry, Due: clock.Add(time.Millisecond)})
	clock = start.Add(time.Second)
	same(t, "leased and delayed", p.backlog(), kefu.Backlog{Lanes: 2})
}

// What is due in all partitions is asked for in one round trip.
func testDue(t *testing.T, b backend) {
	s := b.open(t)
	p, q := newPerson(t, s, "p"), newPerson(t, s, "another")
	due := func(after time.Duration, want ...*person) {
		t.Helper()
		var parts []int
		for _, x := range want {
			parts = append(parts, s.Partition(x.id))
		}
		slices.Sort(parts)
		same(t, "due", s.Due(t.Context(), start.Add(after)), slices.Compact(parts))
	}
	due(time.Hour)
	q.later(time.Second)
	for _, x := range []*person{p, q} {
		x.settle(x.push().Conversation, "", owing(x.notice("a"), x.notice("b")))
	}
	due(-time.Millisecond) // there is a connection, beside the one of the scripts
	sent := 0
	s.Commands(func(string) { sent++ })
	due(-time.Millisecond)
	due(0, p)
	due(time.Second, p, q)
	if sent != 3 {
		t.Errorf("%d round trips, want 3", sent)
	}
	p.finish(p.one(), kefu.Verdict{Outcome: kefu.OutcomeRetry, Due: start.Add(time.Minute)})
	due(time.Second, q)
	due(time.Minute, p, q)
}

func testWake(t *testing.T, b backend) {
	s := b.open(t)
	p := newPerson(t, s, "u1")
	woken := func(what string, want bool) {
		t.Helper()
		select {
		case got := <-s.Wake():
			if !want || got != s.Partition(p.id) {
				t.Errorf("%s: woken for partition %d", what, got)
			}
		default:
			if want {
				t.Errorf("%s: not woken", what)
			}
		}
	}
	got := p.push()
	p.settle(got.Conversation, "wang")
	woken("nothing owed", false)
	once := p.notice("a")
	once.Once = true
	p.settle(p.push(within("")).Conversation, "wang", owing(once))
	woken("owed", true)
	p.settle(p.push(within("")).Conversation, "wang", owing(once))
	woken("skipped", false)
	p.push(enter, func(r *kefu.Receipt) { r.Greeting = &kefu.Delivery{To: p.id, Notice: kefu.NoticeGreeting} })
	woken("greeted", true)
}

func testWrongDelivery(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	got := p.push()
	for name, d := range map[string]kefu.Delivery{
		"to another":  {To: kefu.CustomerID{App: "shop", User: "u2"}},
		"broken line": {To: p.id, Entry: "a\nb"},
	} {
		if _, err := p.s.Settle(t.Context(), p.settlement(got.Conversation, "wang", owing(d))); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if _, err := p.s.Receive(t.Context(), p.receipt(func(r *kefu.Receipt) { r.Greeting = &d })); err == nil {
			t.Errorf("%s: accepted as a greeting", name)
		}
	}
}

// However many workers ask at once, one gets the lane.
func testLeaseOnce(t *testing.T, b backend) {
	s := b.open(t)
	for round := range 10 {
		p := newPerson(t, s, fmt.Sprintf("u%d", round))
		p.settle(p.push().Conversation, "", owing(p.notice("a")))
		var leased atomic.Int64
		together(func(int) bool {
			lanes, err := s.Lease(t.Context(), kefu.LeaseRequest{Partition: s.Partition(p.id), At: start, For: time.Minute, Max: 100})
			if err != nil {
				t.Errorf("lease: %v", err)
			}
			leased.Add(int64(len(lanes)))
			return true
		})
		same(t, "lanes leased", leased.Load(), int64(1))
	}
}

// What comes to be owed while a lane is leased, or waits, waits its turn.
func testOwedMeanwhile(t *testing.T, b backend) {
	p := newPerson(t, b.open(t), "u1")
	p.settle(p.push().Conversation, "", owing(p.notice("a")))
	l := p.one()
	p.settle(p.push().Conversation, "", owing(p.notice("b")))
	if got := p.lease(time.Minute); len(got) != 0 {
		t.Errorf("leased twice: %+v", got)
	}
	p.finish(l, kefu.Verdict{Outcome: kefu.OutcomeWait, Due: p.now.Add(time.Hour)})
	p.settle(p.push().Conversation, "", owing(p.notice("c")))
	if got := p.lease(time.Minute); len(got) != 0 {
		t.Errorf("due before its time: %+v", got)
	}
}
