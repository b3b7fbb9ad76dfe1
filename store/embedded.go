package store

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// clockTick is how exact the times are after which an embedded server forgets.
// It looks at every key then, so it does not do so with every command.
const clockTick = 200 * time.Millisecond

// inProcess starts a server within the process, and gives the way to connect to
// it and to end it. It opens no port.
func inProcess() (func(context.Context, string, string) (net.Conn, error), func()) {
	server := miniredis.NewMiniRedis()
	server.SetTime(time.Now())
	server.ClockTTL(true)
	if _, err := newStage(server); err != nil {
		panic(err) // it is not the library that this was written for
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticks := time.NewTicker(clockTick)
		defer ticks.Stop()
		for {
			select {
			case <-stop:
				return
			case now := <-ticks.C:
				server.SetTime(now)
			}
		}
	}()
	dial := func(context.Context, string, string) (net.Conn, error) {
		conn, err := server.Dial()
		if err != nil {
			return nil, fmt.Errorf("connect to the embedded server: %w", err)
		}
		return newEager(conn), nil
	}
	end := sync.OnceFunc(func() {
		close(stop)
		<-stopped
		server.Close()
	})
	return dial, end
}

// An eager connection takes whatever is written at once. The server's own is a
// net.Pipe, which holds nothing: a client that writes a long pipeline and a
// server that answers its beginning would wait for each other forever.
type eager struct {
	net.Conn
	mu      sync.Mutex
	changed *sync.Cond
	pending []byte
	err     error // of writing to Conn, or net.ErrClosed
}

func newEager(conn net.Conn) *eager {
	e := &eager{Conn: conn}
	e.changed = sync.NewCond(&e.mu)
	go e.pump()
	return e
}

// Write implements net.Conn. An error of the connection is that of a later Write.
func (e *eager) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err != nil {
		return 0, e.err
	}
	e.pending = append(e.pending, p...)
	e.changed.Signal()
	return len(p), nil
}

// Close implements net.Conn.
func (e *eager) Close() error {
	e.fail(net.ErrClosed)
	return e.Conn.Close()
}

// SetDeadline implements net.Conn. Writing never waits, so that it needs none.
func (e *eager) SetDeadline(t time.Time) error { return e.SetReadDeadline(t) }

// SetWriteDeadline implements net.Conn.
func (e *eager) SetWriteDeadline(time.Time) error { return nil }

func (e *eager) fail(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err == nil {
		e.err = err
	}
	e.changed.Signal()
}

// pump writes what is pending, until the connection fails or is closed.
func (e *eager) pump() {
	for {
		e.mu.Lock()
		for len(e.pending) == 0 && e.err == nil {
			e.changed.Wait()
		}
		some, err := e.pending, e.err
		e.pending = nil
		e.mu.Unlock()
		if err != nil {
			return
		}
		if _, err := e.Conn.Write(some); err != nil {
			e.fail(err)
		}
	}
}
