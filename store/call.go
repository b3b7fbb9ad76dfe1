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

// run runs a script: one command, or two if Redis does not know the script.
func (s *Store) run(ctx context.Context, op string, place int, script *redis.Script, names []string, args []any) (any, error) {
	var reply any
	err := s.do(ctx, op, place, func(ctx context.Context) error {
		var err error
		reply, err = script.Run(ctx, s.rdb, names, args...).Result()
		return err
	})
	return reply, err
}

// A batch is one script, run for many keys in one round trip.
type batch struct {
	op     string
	place  int
	script *redis.Script
	names  [][]string
	args   [][]any
}

// runAll gives the replies in the order of the batch.
func (s *Store) runAll(ctx context.Context, b batch) ([]any, error) {
	out := make([]any, len(b.names))
	if len(out) == 0 {
		return nil, nil
	}
	err := s.do(ctx, b.op, b.place, func(ctx context.Context) error {
		cmds := make([]*redis.Cmd, len(b.names))
		pipe := s.rdb.Pipeline()
		for i := range cmds {
			cmds[i] = b.script.EvalSha(ctx, pipe, b.names[i], b.args[i]...)
		}
		if err := exec(ctx, pipe); err != nil {
			return err
		}
		for i, cmd := range cmds {
			if redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
				cmd = b.script.Run(ctx, s.rdb, b.names[i], b.args[i]...)
			}
			var err error
			if out[i], err = cmd.Result(); err != nil {
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
	err := s.guarded(ctx, s.breakers[place%len(s.breakers)], f)
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

func (s *Store) guarded(ctx context.Context, b *breaker, f func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if l := s.layout.Load(); l != nil && l.wrong != nil {
		return l.wrong
	}
	if !b.allow(time.Now()) {
		return errRefused
	}
	within, cancel := context.WithTimeout(ctx, s.timeout)
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
