package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"kefud/kefu"
)

// Lease gives the lanes of one partition that are due, longest overdue first,
// to one worker, each with its first delivery and one message of the recipient's
// allowance reserved for it if there is one. A lane nobody finishes is due
// again when its lease ends. To whom it was leased is told by Lane.Lease. Of an
// agent's chat, the delivery is what goes out in one message, as Draw gives it.
func (s *Store) Lease(ctx context.Context, r kefu.LeaseRequest) ([]kefu.Lane, error) {
	due, err := s.due(ctx, r)
	if err != nil {
		return nil, err
	}
	end := instant(millis(r.At.Add(r.For)))
	jobs := make([]job, len(due))
	for i, m := range due {
		if jobs[i], err = s.leaseJob(m, r, end); err != nil {
			return nil, fmt.Errorf("lease lane: %w", err)
		}
	}
	replies, err := s.runAll(ctx, jobs)
	if err != nil {
		return nil, err
	}
	var out []kefu.Lane
	for i, reply := range replies {
		lane, ok, err := s.leased(due[i], asList(reply), end)
		if err != nil {
			return nil, fmt.Errorf("lease lane: %w", err)
		}
		if ok {
			out = append(out, lane)
		}
	}
	return out, nil
}

// leaseJob asks for the lane of a member of lanes.
func (s *Store) leaseJob(m string, r kefu.LeaseRequest, end time.Time) (job, error) {
	name, isChat := strings.CutPrefix(m, "@")
	to, err := customer(name)
	if err != nil {
		return job{}, err
	}
	if isChat {
		return s.drawJob(kefu.Draw{Chat: to, At: r.At, For: r.For}), nil
	}
	return job{
		op: "lease", place: r.Partition, script: s.scripts.lease,
		names: []string{s.keys.lanes(r.Partition), s.keys.lane(to), s.keys.customer(to)},
		args:  []any{m, millis(r.At), millis(end)},
	}, nil
}

// leased reads what leaseJob came to; false if there is nothing to do.
func (s *Store) leased(m string, l list, end time.Time) (kefu.Lane, bool, error) {
	name, isChat := strings.CutPrefix(m, "@")
	to, err := customer(name)
	if err != nil || len(l) == 0 {
		return kefu.Lane{}, false, err
	}
	if isChat {
		drawn, err := s.drawn(to, l, end)
		return drawn.Lane, drawn.State == kefu.DrawMine, err
	}
	d, err := s.parseDelivery(to, l.text(0))
	return kefu.Lane{Delivery: d, Lease: end, Allowed: l.yes(1), Over: l.yes(2)}, true, err
}

// due lists the members of a partition's lanes that are due; another worker may
// lease them first.
func (s *Store) due(ctx context.Context, r kefu.LeaseRequest) ([]string, error) {
	var due []string
	err := s.do(ctx, "due", r.Partition, func(ctx context.Context) error {
		var err error
		due, err = s.rdb.ZRangeArgs(ctx, s.dueLanes(r.Partition, r.At, r.Max)).Result()
		return err
	})
	return due, err
}

// Due gives the partitions in which something is due, and all of them if it cannot
// tell: a lease tells why.
func (s *Store) Due(ctx context.Context, at time.Time) []int {
	first := make([]*redis.StringSliceCmd, s.keys.partitions)
	err := s.do(ctx, "due_all", s.everywhere(), func(ctx context.Context) error {
		_, err := s.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for p := range first {
				first[p] = pipe.ZRangeArgs(ctx, s.dueLanes(p, at, 1))
			}
			return nil
		})
		return err
	})
	var due []int
	for p, cmd := range first {
		if err != nil || len(cmd.Val()) > 0 {
			due = append(due, p)
		}
	}
	return due
}

func (s *Store) dueLanes(partition int, at time.Time, count int) redis.ZRangeArgs {
	return redis.ZRangeArgs{Key: s.keys.lanes(partition), ByScore: true, Start: "-inf", Stop: millis(at), Count: int64(count)}
}

// Finish ends a lease. Sent, dropped and buried deliveries leave their lane,
// whose next one is due at once; the others stay until Verdict.Due. If the
// delivery is gone, or the lease has run out and another worker has the lane,
// nothing more is done than to take away what was sent.
func (s *Store) Finish(ctx context.Context, lane kefu.Lane, v kefu.Verdict) error {
	d := lane.Delivery
	if d.Lines != nil || d.More {
		return s.finishChat(ctx, lane, v)
	}
	p := s.keys.partition(d.To)
	now := s.now()
	burial := ""
	if v.Outcome == kefu.OutcomeBuried {
		var err error
		if burial, err = s.bury(d, v, now); err != nil {
			return err
		}
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
	err := s.do(ctx, "backlog", s.everywhere(), func(ctx context.Context) error {
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
			out = append(out, s.burial(g))
		}
	}
	slices.SortStableFunc(out, func(a, b kefu.Burial) int { return b.At.Compare(a.At) })
	return out[:min(len(out), limit)], nil
}
