package store

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"kefud/kefu"
)

// Say writes an agent's answer down, to be sent in order: one command. It is
// owed only if the conversation is the agent's, and only while WeChat may still
// take it. The same answer a second time does nothing and comes out the same.
func (s *Store) Say(ctx context.Context, u kefu.Utterance) (kefu.Said, error) {
	words, err := s.seal(u.Customer, u.Words)
	if err != nil {
		return kefu.Said{}, err
	}
	ref := kefu.FromAgent.Ref(u.Key)
	body, err := s.encodeBody(kefu.Delivery{To: u.Customer, Words: u.Words, Ref: ref, At: u.At})
	if err != nil {
		return kefu.Said{}, err
	}
	p := s.keys.partition(u.Customer)
	reply, err := s.run(ctx, job{
		op: "say", place: p, script: s.scripts.say,
		names: []string{
			s.keys.of("uttered", u.Customer) + ":" + string(u.Agent) + ":" + string(u.Key), s.keys.customer(u.Customer),
			s.keys.lane(u.Customer), s.keys.lanes(p), s.keys.said(u.Customer), s.keys.timers(p),
			s.keys.bucket(u.Customer),
		},
		args: []any{
			millis(u.At), string(u.Agent), member(u.Customer), pushTTL.Milliseconds(), laneTTL.Milliseconds(),
			u.Idle.Milliseconds(), slack.Milliseconds(), body, words, ref, u.Keep.Milliseconds(),
		},
	})
	if err != nil {
		return kefu.Said{}, err
	}
	l := asList(reply)
	switch l.number(0) {
	case 1:
		return kefu.Said{State: kefu.SaidNotHis, Agent: kefu.AgentID(l.text(1))}, nil
	case 2:
		return kefu.Said{State: kefu.SaidTooLate, Until: instant(l.number(1))}, nil
	}
	s.wakeUp(p)
	if l.yes(3) {
		s.refresher.ask(&refresh{customer: u.Customer, agent: u.Agent, at: u.At, idle: u.Idle, version: l.number(4)})
	}
	said := kefu.Said{Left: int(l.number(1)), Until: instant(l.number(2))}
	if said.Left < 0 {
		said.State, said.Left = kefu.SaidWaits, 0
	}
	return said, nil
}

// End ends a conversation for the agent who has it, frees his seat, and
// reports whether it was his.
func (s *Store) End(ctx context.Context, c kefu.Closing) (bool, error) {
	notice := []any{"", "", "", "", ""}
	if c.Notice != nil {
		var err error
		if notice, err = s.deliveryArgs(c.Customer, *c.Notice); err != nil {
			return false, err
		}
	}
	p := s.keys.partition(c.Customer)
	reply, err := s.run(ctx, job{
		op: "close", place: p, script: s.scripts.closing,
		names: []string{
			s.keys.customer(c.Customer), s.keys.customer(c.Customer), s.keys.lane(c.Customer), s.keys.lanes(p), s.keys.timers(p),
			s.keys.bucket(c.Customer),
		},
		args: []any{
			millis(c.At), string(c.Agent), member(c.Customer), laneTTL.Milliseconds(), slack.Milliseconds(), notice[0], notice[4],
		},
	})
	if err != nil || asList(reply).number(0) == 0 {
		return false, err
	}
	if asList(reply).number(1) > 0 {
		s.wakeUp(p)
	}
	// The conversation is over whatever becomes of the seat, which frees itself.
	_ = s.do(ctx, "vacate", s.agents(), func(ctx context.Context) error {
		return s.rdb.ZRem(ctx, s.keys.seats(c.Agent), markNumber(c.Customer)).Err()
	})
	return true, nil
}

// Overdue gives customers of one partition who have waited too long for their
// agent to one worker. Whoever is not moved, or answered, until Overdue.Lease is
// given out again.
func (s *Store) Overdue(ctx context.Context, r kefu.LeaseRequest) ([]kefu.Overdue, error) {
	var due []string
	err := s.do(ctx, "timers", r.Partition, func(ctx context.Context) error {
		var err error
		due, err = s.rdb.ZRangeArgs(ctx, redis.ZRangeArgs{
			Key: s.keys.timers(r.Partition), ByScore: true, Start: "-inf", Stop: millis(r.At), Count: int64(r.Max),
		}).Result()
		return err
	})
	if err != nil || len(due) == 0 {
		return nil, err
	}
	end := instant(millis(r.At.Add(r.For)))
	customers, jobs := make([]kefu.CustomerID, len(due)), make([]job, len(due))
	for i, m := range due {
		if customers[i], err = customer(m); err != nil {
			return nil, fmt.Errorf("read timers: %w", err)
		}
		jobs[i] = job{
			op: "overdue", place: r.Partition, script: s.scripts.overdue,
			names: []string{s.keys.timers(r.Partition), s.keys.customer(customers[i])},
			args:  []any{m, millis(r.At), millis(end)},
		}
	}
	replies, err := s.runAll(ctx, jobs)
	if err != nil {
		return nil, err
	}
	var out []kefu.Overdue
	for i, reply := range replies {
		if l := asList(reply); len(l) > 0 {
			out = append(out, kefu.Overdue{
				Customer: customers[i], Lease: end, Agent: kefu.AgentID(l.text(0)), Since: instant(l.number(1)),
			})
		}
	}
	return out, nil
}

// Hurry makes a customer overdue at once, if he waits for the agent, and reports
// whether he does.
func (s *Store) Hurry(ctx context.Context, c kefu.CustomerID, agent kefu.AgentID) (bool, error) {
	p := s.keys.partition(c)
	reply, err := s.run(ctx, job{
		op: "hurry", place: p, script: s.scripts.hurry, names: []string{s.keys.timers(p), s.keys.customer(c)},
		args: []any{member(c), millis(s.now()), string(agent), laneTTL.Milliseconds()},
	})
	return reply == int64(1), err
}
