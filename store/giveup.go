package store

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"kefud/kefu"
)

const (
	giveUpRoom  = 4096 // that may wait
	giveUpDelay = 5 * time.Second
	giveUpPause = time.Second // between tries
)

// A leaver gives up seats in the background that a request took for nothing, or
// may have taken: its answer was lost, or what should have followed failed.
type leaver struct {
	*Store
	asked chan *leaving
	delay time.Duration // longer than a push is in work, so that what is unsettled then stays so
}

type leaving struct {
	request kefu.SeatRequest
	due     time.Time
}

// GiveUp gives up, some seconds later and until it succeeds or the seats have
// run out, what the request may have taken, except the seat of the agent who
// serves the customer then. It does not wait. If too much is waiting, the seats
// run out by themselves.
func (s *Store) GiveUp(r kefu.SeatRequest) {
	select {
	case s.leaver.asked <- &leaving{request: r, due: time.Now().Add(s.leaver.delay)}:
	default:
		s.meter.refreshes.WithLabelValues("dropped").Inc()
	}
}

func (l *leaver) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case left := <-l.asked:
			l.one(ctx, left)
		}
	}
}

// one works on one request until it succeeds, its seats have run out, or ctx
// ends.
func (l *leaver) one(ctx context.Context, left *leaving) {
	ends := time.Now().Add(left.request.Idle)
	for wait := time.Until(left.due); ; wait = giveUpPause {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		if err := l.vacate(ctx, left.request); err == nil || time.Now().After(ends) {
			return
		}
	}
}

// vacate takes the customer out of the candidates' seats, unless the seat has
// been taken or refreshed since the request, or its agent serves him. Nobody serves
// one who rests: his conversation is over.
func (l *leaver) vacate(ctx context.Context, r kefu.SeatRequest) error {
	var serving string
	err := l.do(ctx, "serving", l.keys.partition(r.Customer), func(ctx context.Context) error {
		var err error
		serving, err = l.rdb.HGet(ctx, l.keys.customer(r.Customer), fieldServing).Result()
		return err
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	var names []string
	for _, c := range r.Candidates {
		if c.Agent != "" && string(c.Agent) != serving {
			names = append(names, l.keys.seats(c.Agent))
		}
	}
	if len(names) == 0 {
		return nil
	}
	_, err = l.Store.run(ctx, job{
		op: "vacate", place: l.agents(), script: l.scripts.vacate,
		names: names, args: []any{markNumber(r.Customer), afterSeat(r.At, r.Idle)},
	})
	return err
}
