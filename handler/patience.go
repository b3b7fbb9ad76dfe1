package handler

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// A patience is one direction's deadline of a connection. net/http sets deadlines
// several times a request, most of them while nobody waits, and to tell the runtime of
// one takes as long as to read a small request. So one is only noted, and told to whom it
// concerns: when somebody begins to wait, if it is sooner than what was told before, and
// when that has passed, which on a connection that is used is seldom.
type patience struct {
	mu      sync.Mutex
	until   time.Time // what was asked for; zero = for ever
	told    time.Time // what the runtime knows
	waiting bool
}

// set notes the deadline t, and tells it to who waits already.
func (p *patience) set(t time.Time, tell func(time.Time) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until = t
	if !p.waiting {
		return nil
	}
	return p.sooner(tell)
}

// begin is called before something is waited for.
func (p *patience) begin(tell func(time.Time) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = true
	return p.sooner(tell)
}

// sooner tells the deadline if what is told would be too late. Locked.
func (p *patience) sooner(tell func(time.Time) error) error {
	if p.until.IsZero() || !p.told.IsZero() && !p.until.Before(p.told) {
		return nil
	}
	p.told = p.until
	return tell(p.until)
}

// over is called after it, and reports whether err ends it. If err says that a deadline
// has passed that is not the one asked for any more, that one is told, and it is to be
// tried again.
func (p *patience) over(err error, tell func(time.Time) error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil && errors.Is(err, os.ErrDeadlineExceeded) && (p.until.IsZero() || time.Now().Before(p.until)) {
		p.told = p.until
		return tell(p.until) != nil
	}
	p.waiting = false
	return true
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
	if len(b) == 1 && !g.putOff.Swap(true) {
		return 0, nil
	}
	if err := g.reads.begin(g.Conn.SetReadDeadline); err != nil {
		return 0, err
	}
	for {
		n, err := g.Conn.Read(b)
		if n > 0 {
			g.putOff.Store(false)
		}
		if g.reads.over(err, g.Conn.SetReadDeadline) {
			return n, err
		}
	}
}

// Write writes.
func (g *guest) Write(b []byte) (int, error) {
	if err := g.writes.begin(g.Conn.SetWriteDeadline); err != nil {
		return 0, err
	}
	written := 0
	for {
		n, err := g.Conn.Write(b[written:])
		written += n
		if g.writes.over(err, g.Conn.SetWriteDeadline) {
			return written, err
		}
	}
}

var _ net.Conn = (*guest)(nil)
