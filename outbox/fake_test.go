package outbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kefud/kefu"
)

var errDown = errors.New("connection refused")

// fakeQueue keeps lanes in memory and holds the outbox to the rules of leases.
type fakeQueue struct {
	t     *testing.T
	parts int
	wake  chan int

	mu       sync.Mutex
	lanes    map[kefu.CustomerID]*fakeLane
	asked    int // for what is due
	leases   int // requests
	down     error
	finishes int // requests
	finished []finished
	buried   int
}

type fakeLane struct {
	part  int
	owed  []kefu.Delivery
	due   time.Time
	lease time.Time
	poor  bool // no allowance
}

type finished struct {
	ID      string
	Verdict kefu.Verdict
	At      time.Time
}

func newFakeQueue(t *testing.T, parts int) *fakeQueue {
	t.Helper()
	return &fakeQueue{t: t, parts: parts, wake: make(chan int, 64), lanes: map[kefu.CustomerID]*fakeLane{}}
}

// owe adds a delivery, for the lane's partition, without waking anybody.
func (q *fakeQueue) owe(part int, d kefu.Delivery) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lanes[d.To]
	if l == nil {
		l = &fakeLane{part: part, due: time.Now()}
		q.lanes[d.To] = l
	}
	l.owed = append(l.owed, d)
}

func (q *fakeQueue) set(f func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	f()
}

func (q *fakeQueue) Partitions() int  { return q.parts }
func (q *fakeQueue) Wake() <-chan int { return q.wake }

func (q *fakeQueue) Due(_ context.Context, at time.Time) []int {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asked++
	var due []int
	for part := range q.parts {
		if q.down != nil || len(q.due(part, at)) > 0 {
			due = append(due, part)
		}
	}
	return due
}

// due gives a partition's lanes that are due, longest first.
func (q *fakeQueue) due(part int, at time.Time) []*fakeLane {
	var due []*fakeLane
	for _, l := range q.lanes {
		if l.part == part && len(l.owed) > 0 && !l.due.After(at) && !l.lease.After(at) {
			due = append(due, l)
		}
	}
	slices.SortFunc(due, func(a, b *fakeLane) int {
		return cmp.Or(a.due.Compare(b.due), cmp.Compare(a.owed[0].To.User, b.owed[0].To.User))
	})
	return due
}

func (q *fakeQueue) Lease(_ context.Context, r kefu.LeaseRequest) ([]kefu.Lane, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.leases++
	if q.down != nil {
		return nil, q.down
	}
	due := q.due(r.Partition, r.At)
	var got []kefu.Lane
	for _, l := range due[:min(len(due), r.Max)] {
		l.lease = r.At.Add(r.For)
		got = append(got, kefu.Lane{Delivery: l.owed[0], Lease: l.lease, Allowed: !l.poor})
	}
	return got, nil
}

func (q *fakeQueue) Finish(ctx context.Context, lane kefu.Lane, v kefu.Verdict) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.finishes++
	if q.down != nil {
		return q.down
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	l := q.lanes[lane.Delivery.To]
	if late := !time.Now().Before(lane.Lease); !l.lease.Equal(lane.Lease) || late && v.Outcome != kefu.OutcomeSent {
		q.t.Errorf("lane %v finished without its lease", lane.Delivery.To)
		return nil
	}
	q.finished = append(q.finished, finished{ID: lane.Delivery.ID, Verdict: v, At: time.Now()})
	l.lease, l.due = time.Time{}, v.Due
	switch v.Outcome {
	case kefu.OutcomeRetry:
		l.owed[0].Attempts++
	case kefu.OutcomeWait:
		if v.Ledger == kefu.LedgerEmpty {
			l.due = time.Now().Add(time.Hour) // held
		}
	case kefu.OutcomeBuried:
		q.buried++
		fallthrough
	default:
		l.owed = l.owed[1:]
	}
	return nil
}

func (q *fakeQueue) Backlog(context.Context) (kefu.Backlog, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	b := kefu.Backlog{Buried: q.buried}
	for _, l := range q.lanes {
		if len(l.owed) > 0 {
			b.Lanes++
			b.Oldest = l.due
		}
	}
	return b, q.down
}

// questions is how often it was asked what is due.
func (q *fakeQueue) questions() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.asked
}

func (q *fakeQueue) requests() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.leases
}

// owed gives how much is owed to the customers of an app.
func (q *fakeQueue) owed(app kefu.AppID) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for to, l := range q.lanes {
		if to.App == app {
			n += len(l.owed)
		}
	}
	return n
}

// verdicts gives what was finished so far, as "id outcome reason".
func (q *fakeQueue) verdicts() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	var got []string
	for _, f := range q.finished {
		got = append(got, fmt.Sprintf("%s %s %s", f.ID, f.Verdict.Outcome, f.Verdict.Reason))
	}
	return got
}

// fakeSender records what is sent, and answers as the test says.
type fakeSender struct {
	answer func(ctx context.Context, to kefu.CustomerID) error // nil = taken

	mu      sync.Mutex
	texts   []string
	at      []time.Time
	busy    int
	mostly  int // most sends at once
	running map[kefu.CustomerID]bool
	overlap bool // two sends to one customer at once
}

func (s *fakeSender) SendText(ctx context.Context, to kefu.CustomerID, text string) error {
	s.mu.Lock()
	s.texts, s.at = append(s.texts, text), append(s.at, time.Now())
	s.busy++
	s.mostly = max(s.mostly, s.busy)
	if s.running == nil {
		s.running = map[kefu.CustomerID]bool{}
	}
	s.overlap = s.overlap || s.running[to]
	s.running[to] = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.busy--
		s.running[to] = false
	}()
	if s.answer == nil {
		return nil
	}
	return s.answer(ctx, to)
}

func (s *fakeSender) SendImage(ctx context.Context, to kefu.CustomerID, m kefu.Media) error {
	return s.SendText(ctx, to, "[image "+m.ID+" of "+string(m.App)+"]")
}

func (s *fakeSender) sent() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.texts)
}

// faultError is an error that says all a Fault can say.
type faultError struct {
	retry, gone, maybe bool
	reason             string
	after              time.Duration
}

func (f faultError) Error() string             { return "wechat says " + f.reason }
func (f faultError) Retryable() bool           { return f.retry }
func (f faultError) Reason() string            { return f.reason }
func (f faultError) AllowanceGone() bool       { return f.gone }
func (f faultError) MaybeSent() bool           { return f.maybe }
func (f faultError) RetryAfter() time.Duration { return f.after }

func testTable(t *testing.T) func() *kefu.Table {
	t.Helper()
	notices, err := kefu.NewNotices(map[kefu.NoticeKind]string{
		kefu.NoticeGreeting: "{{.Entry}}/{{.Agent}}/{{.Position}}",
		kefu.NoticeWaiting:  "{{slice .Entry 0 .Position}}", // fails for a Position beyond the name
	})
	if err != nil {
		t.Fatal(err)
	}
	app := func(id kefu.AppID) kefu.App {
		return kefu.App{ID: id, Notices: notices, Default: "cs1", Entries: []kefu.Entry{{Tag: "cs1", Name: "presale"}}}
	}
	table, err := kefu.NewTable([]kefu.App{app("shop"), app("slow")}, []kefu.Agent{{ID: "wang", Name: "Miss Wang"}})
	if err != nil {
		t.Fatal(err)
	}
	return func() *kefu.Table { return table }
}

// greeting is a delivery that came to be owed now and is of use for a minute.
func greeting(app kefu.AppID, user, id string) kefu.Delivery {
	return kefu.Delivery{
		ID: id, To: kefu.CustomerID{App: app, User: user}, Notice: kefu.NoticeGreeting, Entry: "cs1", Agent: "wang",
		At: time.Now(), Expires: time.Now().Add(time.Minute),
	}
}

// run starts an outbox; the function it returns stops it and waits.
func run(t *testing.T, opt Options) (*Outbox, func()) {
	t.Helper()
	if opt.Table == nil {
		opt.Table = testTable(t)
	}
	if q, ok := opt.Queue.(interface {
		Backlog(ctx context.Context) (kefu.Backlog, error)
	}); ok {
		opt.Backlog = q.Backlog
	}
	o := New(opt)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- o.Run(ctx) }()
	synctest.Wait()
	return o, func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run() = %v, want nil", err)
		}
	}
}

// after lets the bubble's clock run, and then all that is due then happen.
func after(d time.Duration) {
	elapse(d)
	synctest.Wait()
}

func elapse(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
}

// value reads one sample of a metric: a counter, a gauge, or how many a
// histogram observed. Labels are given as names, each with its value after it.
func value(t *testing.T, reg *prometheus.Registry, name string, labels ...string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	samples:
		for _, m := range f.GetMetric() {
			has := map[string]string{}
			for _, l := range m.GetLabel() {
				has[l.GetName()] = l.GetValue()
			}
			for i := 0; i < len(labels); i += 2 {
				if has[labels[i]] != labels[i+1] {
					continue samples
				}
			}
			return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return 0
}
