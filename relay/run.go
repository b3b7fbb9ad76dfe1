package relay

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"kefud/kefu"
)

// How customers who wait too long are looked for.
const (
	lookMost  = time.Second
	lookLeast = 50 * time.Millisecond
	moveLease = 10 * time.Second
	moveAtOne = 32 // of one partition, in one look
	quiet     = 10 * time.Second
)

// Run moves conversations on whose agents have not answered in time, until ctx
// ends; then it returns nil, after the hints on their way. It is called once.
func (r *Relay) Run(ctx context.Context) error {
	for ctx.Err() == nil && r.every() == never { // once, not in each partition: it is waking up that costs
		_ = pause(ctx, never)
	}
	var loops sync.WaitGroup
	for p := range r.Store.Partitions() {
		loops.Go(func() { r.watch(ctx, p) })
	}
	loops.Wait()
	r.hints.Wait()
	return nil
}

func (r *Relay) watch(ctx context.Context, partition int) {
	var logged time.Time
	for {
		every := r.every()
		if pause(ctx, every*3/4+rand.N(every/2)) != nil {
			return
		}
		if every == never {
			continue
		}
		if err := r.look(ctx, partition); err != nil && ctx.Err() == nil && time.Since(logged) > quiet {
			logged = time.Now()
			r.Logger.Warn().Err(err).Int("partition", partition).Msg("conversations without an answer not moved")
		}
	}
}

// never is the pace where there is no switchboard; the configuration is looked
// at again in that time.
const never = 2 * time.Second

// every is the pace: often enough for the shortest answer timeout.
func (r *Relay) every() time.Duration {
	table, boards, least := r.Table(), false, lookMost
	for i := range table.Apps {
		boards = boards || table.Apps[i].Switchboard
		for _, e := range table.Apps[i].Entries {
			if e.AnswerTimeout > 0 {
				least = min(least, e.AnswerTimeout/4)
			}
		}
	}
	if !boards {
		return never
	}
	return max(least, lookLeast)
}

// look moves who is overdue. While nothing is known of agents' chats, as for a
// moment after an outage of the store, they keep their agents: nobody could take
// them, and they would be nobody's.
func (r *Relay) look(ctx context.Context, partition int) error {
	if !r.Board.Knows(r.Now()) {
		return nil
	}
	overdue, err := r.Store.Overdue(ctx, kefu.LeaseRequest{Partition: partition, At: r.Now(), For: moveLease, Max: moveAtOne})
	if err != nil {
		return err
	}
	var errs []error
	for _, o := range overdue {
		if ctx.Err() != nil || !r.Now().Before(o.Lease) {
			break // another replica goes on, and knows better by then who still waits
		}
		errs = append(errs, r.moveOn(ctx, o)) // one that cannot be moved keeps nobody else
	}
	return errors.Join(errs...)
}

// moveOn brings a customer to the next agent.
func (r *Relay) moveOn(ctx context.Context, o kefu.Overdue) error {
	within, cancel := context.WithTimeout(ctx, moveLease/2)
	defer cancel()
	moved, err := r.Move(within, kefu.Move{Customer: o.Customer, From: o.Agent, Missed: true, Since: o.Since, At: r.Now()})
	outcome := "moved"
	switch {
	case err != nil:
		outcome = "failed"
	case moved.Changed:
		return nil
	case moved.Agent == "":
		outcome = "nobody"
	}
	r.metrics.moved.WithLabelValues(string(o.Customer.App), outcome).Inc()
	if err == nil {
		r.Logger.Info().Stringer("customer", o.Customer).Str("from", string(o.Agent)).Str("agent", string(moved.Agent)).
			Msg("conversation moved, its agent had not answered")
	}
	return err
}
