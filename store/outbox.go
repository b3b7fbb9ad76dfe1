package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"kefud/kefu"
)

// Lease gives the lanes of one partition that are due, longest overdue first,
// to one worker, each with its first delivery and one message of the customer's
// allowance reserved for it if there is one. A lane nobody finishes is due
// again when its lease ends. To whom it was leased is told by Lane.Lease.
func (s *Store) Lease(ctx context.Context, r kefu.LeaseRequest) ([]kefu.Lane, error) {
	due, err := s.due(ctx, r)
	if err != nil {
		return nil, err
	}
	customers := make([]kefu.CustomerID, len(due))
	end := instant(millis(r.At.Add(r.For)))
	jobs := make([]job, len(due))
	for i, m := range due {
		if customers[i], err = customer(m); err != nil {
			return nil, fmt.Errorf("lease lane: %w", err)
		}
		jobs[i] = job{
			op: "lease", place: r.Partition, script: s.scripts.lease,
			names: []string{s.keys.lanes(r.Partition), s.keys.lane(customers[i]), s.keys.customer(customers[i])},
			args:  []any{m, millis(r.At), millis(end)},
		}
	}
	replies, err := s.runAll(ctx, jobs)
	if err != nil {
		return nil, err
	}
	var out []kefu.Lane
	for i, reply := range replies {
		l := asList(reply)
		if len(l) == 0 {
			continue // another worker has it
		}
		d, err := parseDelivery(customers[i], l.text(0))
		if err != nil {
			return nil, fmt.Errorf("lease lane: %w", err)
		}
		out = append(out, kefu.Lane{Delivery: d, Lease: end, Allowed: l.yes(1)})
	}
	return out, nil
}

// due lists the members of a partition's lanes that are due; another worker may
// lease them first.
func (s *Store) due(ctx context.Context, r kefu.LeaseRequest) ([]string, error) {
	var due []string
	err := s.do(ctx, "due", r.Partition, func(ctx context.Context) error {
		var err error
		due, err = s.rdb.ZRangeArgs(ctx, redis.ZRangeArgs{
			Key: s.keys.lanes(r.Partition), ByScore: true, Start: "-inf", Stop: millis(r.At), Count: int64(r.Max),
		}).Result()
		return err
	})
	return due, err
}

// Finish ends a lease. Sent, dropped and buried deliveries leave their lane,
// whose next one is due at once; the others stay until Verdict.Due. If the
// delivery is gone, or the lease has run out and another worker has the lane,
// nothing more is done than to take away what was sent.
func (s *Store) Finish(ctx context.Context, lane kefu.Lane, v kefu.Verdict) error {
	d := lane.Delivery
	p := s.keys.partition(d.To)
	now := s.now()
	burial := ""
	if v.Outcome == kefu.OutcomeBuried {
		b, err := json.Marshal(newGrave(d, v.Reason, now))
		if err != nil {
			return fmt.Errorf("encode burial: %w", err)
		}
		burial = string(b)
	}
	ledger := v.Ledger
	if !lane.Allowed {
		ledger = kefu.LedgerSpent // nothing was reserved
	}
	reply, err := s.run(ctx, job{
		op: "finish", place: p, script: s.scripts.finish,
		names: []string{s.keys.lanes(p), s.keys.lane(d.To), s.keys.customer(d.To), s.keys.buried(p)},
		args: []any{
			member(d.To), d.ID, millis(lane.Lease), millis(now), stays(v.Outcome), millis(v.Due), ledgerWord(ledger),
			burial, buriedKept, buriedTTL.Milliseconds(), laneTTL.Milliseconds(),
		},
	})
	if err != nil {
		return err
	}
	if lost, ok := reply.(int64); ok && lost > 0 {
		s.meter.burials.Add(float64(lost))
	}
	return nil
}

func stays(o kefu.Outcome) string {
	switch o {
	case kefu.OutcomeRetry:
		return "retry"
	case kefu.OutcomeWait:
		return "wait"
	}
	return "pop"
}

func ledgerWord(l kefu.Ledger) string {
	switch l {
	case kefu.LedgerRefund:
		return "refund"
	case kefu.LedgerEmpty:
		return "empty"
	}
	return "spent"
}

// Backlog tells what is still owed, in all partitions, as of now.
func (s *Store) Backlog(ctx context.Context) (kefu.Backlog, error) {
	lanes := make([]*redis.IntCmd, s.keys.partitions)
	first := make([]*redis.ZSliceCmd, s.keys.partitions)
	buried := make([]*redis.IntCmd, s.keys.partitions)
	err := s.do(ctx, "backlog", s.agents(), func(ctx context.Context) error {
		_, err := s.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for p := range lanes {
				lanes[p] = pipe.ZCard(ctx, s.keys.lanes(p))
				first[p] = pipe.ZRangeWithScores(ctx, s.keys.lanes(p), 0, 0)
				buried[p] = pipe.LLen(ctx, s.keys.buried(p))
			}
			return nil
		})
		return err
	})
	if err != nil {
		return kefu.Backlog{}, err
	}
	var b kefu.Backlog
	now := s.now()
	for p := range lanes {
		b.Lanes += int(lanes[p].Val())
		b.Buried += int(buried[p].Val())
		for _, z := range first[p].Val() {
			due := instant(int64(z.Score))
			if !due.After(now) && (b.Oldest.IsZero() || due.Before(b.Oldest)) {
				b.Oldest = due
			}
		}
	}
	return b, nil
}

// Buried lists burials of all partitions, newest first, at most max.
func (s *Store) Buried(ctx context.Context, limit int) ([]kefu.Burial, error) {
	if limit <= 0 {
		return nil, nil
	}
	cmds := make([]*redis.StringSliceCmd, s.keys.partitions)
	err := s.do(ctx, "buried", s.agents(), func(ctx context.Context) error {
		_, err := s.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for p := range cmds {
				cmds[p] = pipe.LRange(ctx, s.keys.buried(p), 0, int64(limit-1))
			}
			return nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	var out []kefu.Burial
	for _, cmd := range cmds {
		for _, text := range cmd.Val() {
			var g grave
			if err := json.Unmarshal([]byte(text), &g); err != nil {
				return nil, fmt.Errorf("decode burial: %w", err)
			}
			out = append(out, g.burial())
		}
	}
	slices.SortStableFunc(out, func(a, b kefu.Burial) int { return b.At.Compare(a.At) })
	return out[:min(len(out), limit)], nil
}
