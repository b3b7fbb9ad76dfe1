package outbox

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"kefud/kefu"
)

// A partition is one partition's loop as others can reach it.
type partition struct {
	id     int
	nudged chan struct{}
	untold atomic.Int32 // deliveries sent of which the queue does not know yet
}

func newPartition(id int) *partition {
	return &partition{id: id, nudged: make(chan struct{}, 1)}
}

// nudge has the partition looked at as soon as its loop is free to.
func (p *partition) nudge() {
	select {
	case p.nudged <- struct{}{}:
	default: // it is going to be looked at already
	}
}

// nudgeIn nudges after d, unless the regular look comes no later anyway.
func (p *partition) nudgeIn(d time.Duration) {
	switch {
	case d <= 0:
		p.nudge()
	case d < lookEvery:
		time.AfterFunc(d, p.nudge)
	}
}

// wait ends with a nudge, or with ctx.
func (p *partition) wait(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-p.nudged:
	}
}

// watch is a partition's loop: it looks at first and whenever nudged, as
// long as there is a worker for what it may find.
func (o *Outbox) watch(ctx context.Context, p *partition) {
	for fails := 0; ; {
		if fails > 0 && p.untold.Load() > 0 { // or what was sent would be given out again
			if !pause(ctx, o.tellAgain.Base) {
				return
			}
			continue
		}
		room := o.pool.reserve(ctx)
		if room == 0 {
			return
		}
		more, err := o.look(ctx, p, room)
		switch {
		case err != nil: // nudges do not shorten this: they are no reason to hope
			pause(ctx, o.askAgain.delay(fails, 0))
			fails++
		case !more:
			fails = 0
			p.wait(ctx)
		default:
			fails = 0
		}
	}
}

// look leases lanes for the workers reserved and sets them to work. It reports
// whether the partition may have more due.
func (o *Outbox) look(ctx context.Context, p *partition, room int) (bool, error) {
	lanes, err := o.take(ctx, kefu.LeaseRequest{Partition: p.id, At: o.now(), For: o.lease, Max: room})
	o.health.note(p.id, err, o.now())
	o.pool.unreserve(room - len(lanes))
	if err != nil {
		return false, err
	}
	for _, lane := range lanes {
		admitted := o.pool.begin(lane.Delivery.To.App)
		o.lanes.Go(func() { o.work(ctx, p, lane, admitted) })
	}
	return len(lanes) == room, nil
}

// take leases even when ctx has just ended: a request cut off on its way may
// have taken lanes that nobody would then give back.
func (o *Outbox) take(ctx context.Context, r kefu.LeaseRequest) ([]kefu.Lane, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.lease/3)
	defer cancel()
	lanes, err := o.queue.Lease(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("lease lanes: %w", err)
	}
	return lanes, nil
}

// work sees one lane's head to its verdict. Not admitted, the lane goes back
// to the queue untried.
func (o *Outbox) work(ctx context.Context, p *partition, lane kefu.Lane, admitted bool) {
	began := o.now()
	app := lane.Delivery.To.App
	v, err := o.decide(ctx, lane, admitted)
	o.report(ctx, lane.Delivery, v, err)
	o.finish(ctx, p, lane, v)

	now := o.now()
	o.pool.end(app, admitted, now.Sub(began))
	if v.Outcome == kefu.OutcomeRetry || v.Outcome == kefu.OutcomeWait {
		p.nudgeIn(v.Due.Sub(now))
		return
	}
	p.nudge() // the lane's next delivery, if any, is due
}

// report tells everybody but the queue.
func (o *Outbox) report(ctx context.Context, d kefu.Delivery, v kefu.Verdict, err error) {
	o.metrics.count(d, v, o.now())
	o.trouble.report(d, v, err, o.now())
	held := v.Outcome == kefu.OutcomeWait && v.Ledger == kefu.LedgerEmpty // WeChat says that no more may be sent
	if o.witness == nil || !said(d) && !d.More || v.Outcome == kefu.OutcomeRetry || v.Outcome == kefu.OutcomeWait && !held {
		return
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.lease/4)
	defer cancel()
	// What the witness does is worth nothing if it breaks, but the lane is.
	if err := safely(func() error { o.witness.Ended(within, d, v); return nil }); err != nil {
		o.trouble.report(d, kefu.Verdict{Outcome: kefu.OutcomeBuried, Reason: reasonPanic}, err, o.now())
	}
}

// Deliver sends what a lane that was leased elsewhere is to send, by the end of
// ctx, and tells the witness and the queue. It gives the verdict, and does not
// wait for long until both know; what the queue does not know when the lease
// ends is sent again.
func (o *Outbox) Deliver(ctx context.Context, lane kefu.Lane) kefu.Verdict {
	note, err := o.compose(lane.Delivery)
	v := unsent(lane, kefu.OutcomeBuried, note.refusal)
	if note.refusal == "" {
		err = o.send(ctx, lane.Delivery.To, note)
		v = o.judge(lane.Delivery, err)
	}
	told := make(chan struct{})
	o.lanes.Go(func() {
		defer close(told)
		o.report(ctx, lane.Delivery, v, err)
		leased, cancel := context.WithTimeout(context.WithoutCancel(ctx), lane.Lease.Sub(o.now()))
		defer cancel()
		o.tell(leased, newPartition(untoldPartition), lane, v)
	})
	enough := time.NewTimer(tellAtOnce)
	defer enough.Stop()
	select {
	case <-told:
	case <-enough.C:
	}
	return v
}

// finish tells the queue while the lease lasts, and longer if the delivery was
// sent: what was sent and not told is sent twice.
func (o *Outbox) finish(ctx context.Context, p *partition, lane kefu.Lane, v kefu.Verdict) {
	leased, cancel := context.WithTimeout(context.WithoutCancel(ctx), lane.Lease.Sub(o.now()))
	defer cancel()
	if v.Outcome != kefu.OutcomeSent {
		o.tell(leased, p, lane, v)
		return
	}
	p.untold.Add(1)
	defer p.untold.Add(-1)
	if o.tell(leased, p, lane, v) {
		return
	}
	late, cancel := context.WithTimeout(ctx, tellFor)
	defer cancel()
	o.tell(late, p, lane, v)
}

// tell tries until the queue has understood, which it reports, or ctx ends.
func (o *Outbox) tell(ctx context.Context, p *partition, lane kefu.Lane, v kefu.Verdict) bool {
	for try := 0; ctx.Err() == nil; try++ {
		err := o.queue.Finish(ctx, lane, v)
		if err != nil {
			err = fmt.Errorf("finish lane: %w", err)
		}
		o.health.note(p.id, err, o.now())
		if err == nil {
			return true
		}
		pause(ctx, o.tellAgain.delay(try, 0))
	}
	p.nudge() // or it would fail until something is due there
	return false
}
