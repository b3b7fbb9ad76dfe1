package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
)

// Health says whether Redis was there when it was last looked at, and since
// when that has been so.
type Health struct {
	OK       bool
	Since    time.Time
	Err      error // why not OK; holds no secret
	Embedded bool
}

// Health tells how Redis is. It is half a second old at most, if Run runs, or as
// old as Options.Timeout while Redis does not answer.
func (s *Store) Health() Health {
	h := s.health.get()
	h.Embedded = s.embedded
	return h
}

// lookEvery is the time between two looks at Redis.
const lookEvery = 400 * time.Millisecond

// watch looks at Redis again and again, until ctx ends.
func (s *Store) watch(ctx context.Context) {
	ticks := time.NewTicker(lookEvery)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			s.look(ctx)
		}
	}
}

// look finds out whether Redis is there and takes writes.
func (s *Store) look(ctx context.Context) {
	start := time.Now()
	within, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	single := len(s.breakers) == 1 // of a cluster it may be any part that fails
	if single {
		s.breakers[0].looking(start.Add(s.timeout + pause))
	}
	err := s.readLayout(within)
	if cluster, ok := s.rdb.(*redis.ClusterClient); ok {
		err = lookAround(within, cluster, err)
	}
	if l := s.layout.Load(); l != nil && l.wrong != nil {
		err = l.wrong
	} else {
		err = s.fault(ctx, err)
	}
	if ctx.Err() != nil {
		return // the end of the caller says nothing of Redis
	}
	s.meter.observe("look", err, time.Since(start))
	s.health.note(err, time.Now())
	for _, b := range s.breakers {
		switch {
		case err == nil || single && errors.Is(err, errReply):
			b.succeeded()
		case single:
			b.failed(time.Now())
		}
	}
}

// lookAround asks every node of a cluster, unless the first has failed. Then the
// client is told to ask anew which nodes there are: one that is dead does not say
// who has taken its place, and by itself the client asks once a minute.
func lookAround(ctx context.Context, cluster *redis.ClusterClient, err error) error {
	if err == nil {
		err = cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
			return node.Ping(ctx).Err()
		})
	}
	if err != nil {
		cluster.ReloadState(ctx)
	}
	return err
}

// A layout is how keys are spread, once that has been compared with Redis.
type layout struct {
	wrong error // nil: ours
}

// lay compares our layout with that of Redis, unless that has been done.
func (s *Store) lay(ctx context.Context) error {
	if s.layout.Load() == nil {
		if err := s.readLayout(ctx); err != nil {
			return err
		}
	}
	return s.layout.Load().wrong
}

// Check reports whether Redis holds the keys of another number of partitions, in
// which case every call would fail. A Redis that does not answer is none of its
// concern: the error is nil.
func (s *Store) Check(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if err := s.lay(within); errors.Is(err, errLayout) {
		return err
	}
	return nil
}

// readLayout reads how many partitions there are; whoever comes first says it.
// It writes, so that it fails where writing does.
func (s *Store) readLayout(ctx context.Context) error {
	pipe := s.rdb.Pipeline()
	wrote := pipe.SetNX(ctx, s.keys.layout(), s.keys.partitions, 0)
	read := pipe.Get(ctx, s.keys.layout())
	if err := exec(ctx, pipe); err != nil {
		return err
	}
	if err := wrote.Err(); err != nil {
		return err
	}
	there, err := read.Int()
	if err != nil {
		return err
	}
	l := &layout{}
	if there != s.keys.partitions {
		l.wrong = fmt.Errorf("%w: the keys under %s are spread over %d partitions, not %d: set partitions to %d, or use another prefix",
			errLayout, s.keys.prefix, there, s.keys.partitions, there)
	}
	if was := s.layout.Load(); was == nil || was.wrong == nil {
		s.layout.Store(l) // once wrong, always wrong: a restart reads the config again
	}
	return nil
}

// health remembers the last look and logs when it changes.
type health struct {
	mu     sync.Mutex
	logger zerolog.Logger
	state  Health
	apart  bool // clocks differ
}

func (h *health) start(l zerolog.Logger, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.logger, h.state = l, Health{OK: true, Since: now}
}

func (h *health) get() Health {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state
}

func (h *health) note(err error, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	was := h.state
	h.state.OK, h.state.Err = err == nil, err
	if was.OK != h.state.OK {
		h.state.Since = now
	}
	switch {
	case err == nil && !was.OK:
		h.logger.Info().Dur("away_ms", now.Sub(was.Since)).Msg("redis is back")
	case err != nil && (was.OK || was.Err.Error() != err.Error()):
		h.logger.Error().Err(err).Msg("redis unavailable")
	}
}

// clocks notes by how much another replica's clock is ahead of this one's. They
// agree again when they clearly do, since what is measured wavers.
func (h *health) clocks(ahead time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	was := h.apart
	h.apart = ahead.Abs() > skew || was && ahead.Abs() > skew/2
	switch {
	case h.apart && !was:
		h.logger.Error().Dur("ahead_ms", ahead).Msg("another replica's clock differs: set both by NTP, or notices get lost or are sent twice")
	case !h.apart && was:
		h.logger.Info().Msg("clocks agree again")
	}
}
