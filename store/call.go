package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// Where a call goes, for its breaker: a customer's partition, or agents() for
// everything else.
func (s *Store) agents() int { return s.keys.partitions }

// A job is one script to be run for some keys.
type job struct {
	op     string // its name in metrics and errors
	place  int
	script *program
	names  []string // of keys
	args   []any
	room   []any // empty, to write the command down in; nil = some is made
}

// run runs a script: one command, or two if Redis does not know the script.
func (s *Store) run(ctx context.Context, j job) (any, error) {
	var reply any
	err := s.do(ctx, j.op, j.place, func(ctx context.Context) error {
		var err error
		reply, err = s.joint.run(ctx, j)
		return err
	})
	return reply, err
}

// runAll runs jobs of one kind and place in one round trip, and gives the
// replies in their order.
func (s *Store) runAll(ctx context.Context, jobs []job) ([]any, error) {
	if len(jobs) == 0 {
		return nil, nil
	}
	out := make([]any, len(jobs))
	err := s.do(ctx, jobs[0].op, jobs[0].place, func(ctx context.Context) error {
		cmds := make([]*redis.Cmd, len(jobs))
		pipe := s.rdb.Pipeline()
		for i, j := range jobs {
			cmds[i] = j.command(ctx, "evalsha", j.script.hash)
			_ = pipe.Process(ctx, cmds[i]) // it is only noted; exec sends it
		}
		if err := exec(ctx, pipe); err != nil {
			return err
		}
		for i, cmd := range cmds {
			var err error
			if out[i], err = cmd.Result(); err != nil && redis.HasErrorPrefix(err, "NOSCRIPT") {
				out[i], err = s.joint.run(ctx, jobs[i])
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// exec sends a pipeline. Every command keeps its own error; the one it returns
// is that of a connection that Redis refused, which no command is told of.
func exec(ctx context.Context, pipe redis.Pipeliner) error {
	cmds, err := pipe.Exec(ctx)
	for _, cmd := range cmds {
		if cmd.Err() != nil {
			return nil
		}
	}
	return err
}

// do makes one call to Redis. Its errors hold no secret. redis.Nil, which only
// says that a key is not there, passes through.
func (s *Store) do(ctx context.Context, op string, place int, f func(context.Context) error) error {
	start := time.Now()
	err := s.guarded(ctx, start, s.breakers[place%len(s.breakers)], f)
	if errors.Is(err, redis.Nil) {
		s.meter.observe(op, nil, time.Since(start))
		return redis.Nil
	}
	s.meter.observe(op, err, time.Since(start))
	if err != nil {
		return fmt.Errorf("redis %s: %w", op, err)
	}
	return nil
}

func (s *Store) guarded(ctx context.Context, now time.Time, b *breaker, f func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if l := s.layout.Load(); l != nil && l.wrong != nil {
		return l.wrong
	}
	if !b.allow(now) {
		return errRefused
	}
	within, cancel := s.clock.Within(ctx, now, s.timeout)
	defer cancel()
	err := s.lay(within)
	if err == nil {
		err = f(within)
	}
	if errors.Is(err, redis.Nil) || errors.Is(err, errLayout) {
		b.succeeded()
		return err
	}
	err = s.fault(ctx, err)
	switch {
	case err == nil || errors.Is(err, errReply):
		b.succeeded()
	case !errors.Is(err, context.Canceled):
		b.failed(time.Now())
	}
	return err
}
