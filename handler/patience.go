package handler

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// A patience is one direction's deadline of a connection. net/http sets deadlines
// several times a request, each later than the one before, and to tell the runtime of
// one takes as long as to read a small request. So a later one is only noted, and told
// when the earlier one has passed, which on a connection that is used is seldom.
type patience struct {
	mu    sync.Mutex
	until time.Time // what was asked for; zero = for ever
	told  time.Time // what the runtime knows
}

// set notes the deadline t, and tells it if what is told would be too late.
func (p *patience) set(t time.Time, tell func(time.Time) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until = t
	if t.IsZero() || !p.told.IsZero() && !t.Before(p.told) {
		return nil
	}
	p.told = t
	return tell(t)
}

// over reports whether err ends what it came from. If it says that a deadline has passed
// that is not the one asked for any more, that one is told, and it is to be tried again.
func (p *patience) over(err error, tell func(time.Time) error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.until.IsZero() && !time.Now().Before(p.until) {
		return true
	}
	p.told = p.until
	return tell(p.until) != nil
}

// SetDeadline is both of the following.
func (g *guest) SetDeadline(t time.Time) error {
	return errors.Join(g.SetReadDeadline(t), g.SetWriteDeadline(t))
}

// SetReadDeadline lets Read fail from t on.
func (g *guest) SetReadDeadline(t time.Time) error {
	return g.reads.set(t, g.Conn.SetReadDeadline)
}

// SetWriteDeadline lets Write fail from t on.
func (g *guest) SetWriteDeadline(t time.Time) error {
	return g.writes.set(t, g.Conn.SetWriteDeadline)
}

// Read reads. While a request is being answered net/http reads one byte, to learn
// whether the client hangs up; it is told that there is nothing yet, and then leaves it
// at that. What was asked is done to its end either way, and a goroutine that waits for
// a byte which never comes, and is called back with every answer, takes a tenth of a
// push. Anybody else who has room for a byte only tries again.
func (g *guest) Read(b []byte) (int, error) {
	if len(b) == 1 && !g.put.Swap(true) {
		return 0, nil
	}
	for {
		n, err := g.Conn.Read(b)
		if n > 0 || err == nil {
			g.put.Store(false)
			return n, err
		}
		if g.reads.over(err, g.Conn.SetReadDeadline) {
			return n, err
		}
	}
}

// Write writes.
func (g *guest) Write(b []byte) (int, error) {
	written := 0
	for {
		n, err := g.Conn.Write(b[written:])
		written += n
		if err == nil || g.writes.over(err, g.Conn.SetWriteDeadline) {
			return written, err
		}
	}
}

var _ net.Conn = (*guest)(nil)
