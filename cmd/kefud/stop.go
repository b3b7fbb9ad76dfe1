package main

import (
	"context"
	"errors"
	"net"
	"time"

	"golang.org/x/sync/errgroup"
)

// Stopping takes less than 10 s in all, which leaves the log's own time: first
// nothing changes but that /readyz says no, for shutdown_delay; then the callbacks
// under way are answered; then the workers end what they have in hand.
const (
	stopTime   = 9500 * time.Millisecond
	drainTime  = 5 * time.Second
	quietTime  = time.Second // a request that is on its way is there by then
	workerTime = time.Second // at least; a worker has all that the others left of stopTime
)

// linger goes on serving while balancers take the server out. Each answer ends its
// connection, so that by and by nobody has one open on which he may ask again at the
// very moment it is closed.
func (s *server) linger(failed <-chan struct{}) {
	select {
	case <-time.After(s.routing.Load().config.ShutdownDelay):
	case <-failed:
	}
}

// drain ends HTTP. The listener comes first, and alone: once Serve has returned,
// every connection that was accepted is known to Shutdown, which waits for it.
func (s *server) drain(work context.Context, l net.Listener, served <-chan struct{}, until time.Time) error {
	last := time.Now().Add(drainTime)
	if latest := until.Add(-workerTime); latest.Before(last) {
		last = latest
	}
	drain, cancel := context.WithDeadline(work, last)
	defer cancel()
	err := l.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil // Serve closes it when it fails
	}
	<-served
	go s.hush(drain)
	shut := s.http.Shutdown(drain)
	if errors.Is(shut, context.DeadlineExceeded) {
		// Whatever was asked by then has been answered: reply_budget is shorter than
		// this. Who is left has not said what he wants.
		s.log.Info().Msg("connections without a request cut")
		shut = s.http.Close()
	}
	return errors.Join(err, shut, s.admin.stop(drain))
}

// hush cuts the connections on which nobody asks anything. Shutdown itself waits 5 s
// for whoever has not said anything yet.
func (s *server) hush(ctx context.Context) {
	ticks := time.NewTicker(quietTime / 10)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			s.crowd.Hush(quietTime)
		}
	}
}

// rest ends the workers and, after them, the store.
func (s *server) rest(g *errgroup.Group, stopWork func(), until time.Time) error {
	stopWork()
	done := make(chan error, 1)
	go func() { done <- g.Wait() }()
	var err error
	select {
	case err = <-done:
	case <-time.After(time.Until(until)):
		s.log.Warn().Msg("workers did not stop in time; what they had in hand is taken up again when its lease ends")
	}
	err = errors.Join(err, s.store.Close())
	s.log.Info().Msg("stopped")
	return err
}
