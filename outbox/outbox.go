// Package outbox delivers what is owed by the customer-service API: notices and
// agents' answers to customers, customers' messages to agents' own chats. It
// leases recipients' lanes from a queue, makes the text of each lane's head from
// the configuration as it is now, sends it, and tells the queue what became of
// it.
//
// A lane is with one worker at a time, so a recipient's messages stay in order.
// Workers are shared by all apps; however slow an app is, it leaves workers to
// the others. A delivery is sent at least once: when a worker dies between the
// sending and the telling, its lease lapses and the delivery is sent again.
package outbox

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"kefud/kefu"
)

// A Queue keeps what is owed, in partitions.
type Queue interface {
	// Partitions is how many there are; their numbers begin at 0.
	Partitions() int
	// Wake gives the number of a partition in which something came to be owed.
	// It may lose some: every partition is asked each second anyway.
	Wake() <-chan int
	// Due gives the partitions in which something is due, in one request, and all of
	// them if it cannot tell: whoever leases there hears why.
	Due(ctx context.Context, at time.Time) []int
	// Lease takes lanes that have something due, at most as many as asked for.
	Lease(ctx context.Context, r kefu.LeaseRequest) ([]kefu.Lane, error)
	// Finish ends the lease of a lane.
	Finish(ctx context.Context, l kefu.Lane, v kefu.Verdict) error
}

// A Sender sends to a customer, or to an agent in his chat. What its errors mean
// is asked through Fault.
type Sender interface {
	SendText(ctx context.Context, to kefu.CustomerID, text string) error
	SendImage(ctx context.Context, to kefu.CustomerID, m kefu.Media) error
}

// A Witness is told of what people said to each other when it has been sent, when
// it never will be, and when WeChat says that it may not be sent now (OutcomeWait),
// before the queue is told. It may be told twice.
type Witness interface {
	Ended(ctx context.Context, d kefu.Delivery, v kefu.Verdict)
}

// Options is what an Outbox is made of. Queue, Backlog, Sender and Table are required;
// for the rest, zero means the default.
type Options struct {
	Queue   Queue
	Backlog func(context.Context) (kefu.Backlog, error) // of Queue, for State and the gauges
	Sender  Sender
	Witness Witness            // nil = nobody
	Table   func() *kefu.Table // never nil, cheap, safe for concurrent use

	// Workers is how many lanes are worked on at once, 64 by default. One app
	// alone gets at most half of them, rounded up.
	Workers int
	// Lease is how long a lane is a worker's, 9 s by default. A send is given
	// up after two thirds of it, so this bounds how long Run takes to return.
	Lease       time.Duration
	MaxAttempts int // sends of one delivery before it is buried, 20 by default
	// Insist is how long after it came to be owed an agent's answer is not buried
	// for its attempts, 24 h by default: an API that is down for the night, or a
	// quota that comes back in the morning, is no fault of the answer's.
	Insist  time.Duration
	Backoff Backoff // between the sends of one delivery, 200 ms to 30 s by default

	Now        func() time.Time
	Logger     zerolog.Logger
	Registerer prometheus.Registerer // nil = no metrics
}

// The pace of looking.
const (
	lookEvery    = time.Second
	measureEvery = 10 * time.Second
)

// tellFor is how long after its lease the queue is still told of a delivery
// that was sent.
const tellFor = time.Minute

// tellAtOnce is how long Deliver waits for witness and queue, before it leaves
// them to the background.
const tellAtOnce = 200 * time.Millisecond

// untoldPartition stands for the partition of whatever Deliver could not tell.
const untoldPartition = -2

// An Outbox delivers. Its methods are safe for concurrent use.
type Outbox struct {
	queue       Queue
	backlog     func(context.Context) (kefu.Backlog, error)
	sender      Sender
	witness     Witness
	table       func() *kefu.Table
	lease       time.Duration
	maxAttempts int
	insist      time.Duration
	backoff     Backoff
	now         func() time.Time

	askAgain, tellAgain Backoff // between requests that the queue refuses

	pool    *pool
	health  *health
	trouble *trouble
	metrics metrics
	lanes   sync.WaitGroup // lanes with a worker
}

// New makes an Outbox, which does nothing before Run. It panics if the
// Registerer has the outbox's metrics already.
func New(opt Options) *Outbox {
	if opt.Workers <= 0 {
		opt.Workers = 64
	}
	if opt.Lease <= 0 {
		opt.Lease = 9 * time.Second
	}
	if opt.MaxAttempts <= 0 {
		opt.MaxAttempts = 20
	}
	if opt.Insist <= 0 {
		opt.Insist = 24 * time.Hour
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	return &Outbox{
		queue: opt.Queue, backlog: opt.Backlog, sender: opt.Sender, witness: opt.Witness, table: opt.Table,
		lease: opt.Lease, maxAttempts: opt.MaxAttempts, insist: opt.Insist, now: opt.Now,
		backoff:   opt.Backoff.orDefault(),
		askAgain:  Backoff{Base: 200 * time.Millisecond, Cap: 5 * time.Second},
		tellAgain: Backoff{Base: 100 * time.Millisecond, Cap: time.Second},
		pool:      newPool(opt.Workers),
		health:    newHealth(opt.Logger, opt.Now()),
		trouble:   newTrouble(opt.Logger),
		metrics:   newMetrics(opt.Registerer),
	}
}

// Run delivers until ctx ends and then returns nil, after the sends in flight
// have ended or were given up within their lease. It is called once.
func (o *Outbox) Run(ctx context.Context) error {
	parts := make([]*partition, o.queue.Partitions())
	var loops sync.WaitGroup
	for i := range parts {
		parts[i] = newPartition(i)
		loops.Go(func() { o.watch(ctx, parts[i]) })
	}
	loops.Go(func() { o.listen(ctx, parts) })
	loops.Go(func() { o.tick(ctx, parts) })
	loops.Go(func() { o.measure(ctx) })
	loops.Wait()
	o.lanes.Wait()
	return nil
}

// State is the outbox's condition, for readiness.
func (o *Outbox) State() State { return o.health.state() }

// listen passes the queue's wakes on to the partitions' loops.
func (o *Outbox) listen(ctx context.Context, parts []*partition) {
	wake := o.queue.Wake()
	for {
		select {
		case <-ctx.Done():
			return
		case i, ok := <-wake:
			if !ok {
				return
			}
			if i >= 0 && i < len(parts) {
				parts[i].nudge()
			}
		}
	}
}

// tick has partitions looked at in which something is due, each second or so. It asks
// for all at once: for a process with nothing to do, it is round trips that cost.
func (o *Outbox) tick(ctx context.Context, parts []*partition) {
	for pause(ctx, jitter(lookEvery)) {
		within, cancel := context.WithTimeout(ctx, o.lease/3)
		due := o.queue.Due(within, o.now())
		cancel()
		for _, p := range due {
			parts[p].nudge()
		}
	}
}

// measure reads the backlog for State and the gauges.
func (o *Outbox) measure(ctx context.Context) {
	for {
		b, err := o.readBacklog(ctx)
		if ctx.Err() != nil {
			return
		}
		now := o.now()
		o.health.note(backlogKey, err, now)
		if err == nil {
			o.health.keep(b)
			o.metrics.backlog(b, now)
		}
		if !pause(ctx, jitter(measureEvery)) {
			return
		}
	}
}

func (o *Outbox) readBacklog(ctx context.Context) (kefu.Backlog, error) {
	ctx, cancel := context.WithTimeout(ctx, o.lease/3)
	defer cancel()
	b, err := o.backlog(ctx)
	if err != nil {
		return kefu.Backlog{}, fmt.Errorf("read backlog: %w", err)
	}
	return b, nil
}

// pause waits, and reports whether ctx is still alive after that.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// jitter gives d, a quarter more or less.
func jitter(d time.Duration) time.Duration { return d*3/4 + rand.N(d/2) }
