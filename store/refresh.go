package store

import (
	"context"
	"time"

	"kefud/kefu"
)

const (
	refreshRoom  = 4096 // that may wait for the refresher
	refreshBatch = 128  // in one round trip
)

// A refresh keeps the seat of a conversation that goes on.
type refresh struct {
	customer kefu.CustomerID
	agent    kefu.AgentID
	at       time.Time // of the customer's push
	idle     time.Duration
	version  int64 // of the conversation
}

// A refresher keeps seats in the background, so that no answer waits for it.
type refresher struct {
	*Store
	asked chan *refresh // by reference: most of the time nobody waits, and the collector looks through the room
}

// ask hands a refresh over. If too many wait it is dropped: the customer's next
// push a twentieth of idle later asks again.
func (r *refresher) ask(f *refresh) {
	select {
	case r.asked <- f:
	default:
		r.meter.refreshes.WithLabelValues("dropped").Inc()
	}
}

func (r *refresher) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-r.asked:
			r.all(ctx, r.more(f))
		}
	}
}

// more takes what waits besides the first, up to a batch.
func (r *refresher) more(first *refresh) []*refresh {
	out := []*refresh{first}
	for len(out) < refreshBatch {
		select {
		case f := <-r.asked:
			out = append(out, f)
		default:
			return out
		}
	}
	return out
}

// all refreshes seats. A conversation whose seat is lost for good is taken from
// its agent, so that its next push is decided anew and no agent has more
// customers than seats.
func (r *refresher) all(ctx context.Context, some []*refresh) {
	jobs := make([]job, len(some))
	for i, f := range some {
		free := r.scores.next(f.at.Add(seatFor(f.idle)))
		jobs[i] = job{
			op: "refresh", place: r.agents(), script: r.scripts.refresh,
			names: []string{r.keys.seats(f.agent), r.keys.known()},
			args:  []any{markNumber(f.customer), millis(f.at), free, seatTTL(f.idle), string(f.agent)},
		}
	}
	replies, err := r.runAll(ctx, jobs)
	if err != nil {
		r.meter.refreshes.WithLabelValues("dropped").Add(float64(len(some)))
		return
	}
	for i, f := range some {
		if replies[i] == int64(1) {
			r.meter.refreshes.WithLabelValues("kept").Inc()
			continue
		}
		r.meter.refreshes.WithLabelValues("lost").Inc()
		// If this fails the next refresh finds the seat lost again.
		p := r.keys.partition(f.customer)
		_, _ = r.Store.run(ctx, job{
			op: "unserve", place: p, script: r.scripts.unserve,
			names: []string{r.keys.customer(f.customer), r.keys.bucket(f.customer)},
			args:  []any{string(f.agent), f.version, member(f.customer), millis(r.now())},
		})
	}
}
