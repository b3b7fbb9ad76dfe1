package handler

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A patience is one direction's deadline of a connection. net/http sets deadlines
// several times a request, most of them while nobody waits, and to tell the runtime of
// one takes as long as to read a small request. So one is only noted, and told to whom it
// concerns: when somebody begins to wait, if it is sooner than what was told before, and
// when that has passed, which on a connection that is used is seldom.
//
// To note one takes no lock: who sets a deadline writes it down before he looks whether
// somebody waits, and who begins to wait says so before he looks at the deadline, so that
// one of them sees the other.
type patience struct {
	until   atomic.Int64 // what was asked for, an instant
	waiting atomic.Bool
	telling sync.Mutex
	told    atomic.Int64 // what the runtime knows, an instant; changed by who is telling
}

// Instants are nanoseconds since the Crowd was made, so that they can be noted without a
// lock. never is that of a deadline that there is not.
const never = 0

// set notes the deadline until, and tells it to who waits already.
func (p *patience) set(until int64, tell func(int64) error) error {
	p.until.Store(until)
	if !p.waiting.Load() {
		return nil
	}
	return p.hurry(tell)
}

// begin is called before something is waited for.
func (p *patience) begin(tell func(int64) error) error {
	p.waiting.Store(true)
	if _, late := p.late(); !late {
		return nil
	}
	return p.hurry(tell)
}

// late gives the deadline, and reports whether what is told is later.
func (p *patience) late() (int64, bool) {
	until, told := p.until.Load(), p.told.Load()
	return until, until != never && (told == never || until < told)
}

// hurry tells the deadline if what is told would be too late. What it tells is sooner in
// any case: that what is told becomes later is for over alone, while somebody waits.
func (p *patience) hurry(tell func(int64) error) error {
	p.telling.Lock()
	defer p.telling.Unlock()
	until, late := p.late()
	if !late {
		return nil
	}
	p.told.Store(until)
	return tell(until)
}

// over is called after it, and reports whether err ends it. If err says that a deadline
// has passed that is not the one asked for any more, that one is told, and it is to be
// tried again.
func (p *patience) over(err error, now func() int64, tell func(int64) error) bool {
	if err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		p.telling.Lock()
		defer p.telling.Unlock()
		if until := p.until.Load(); until == never || now() < until {
			p.told.Store(until)
			return tell(until) != nil
		}
	}
	p.waiting.Store(false)
	return true
}

// instant gives the instant of a deadline.
func (c *Crowd) instant(t time.Time) int64 {
	if t.IsZero() {
		return never
	}
	if d := int64(t.Sub(c.start)); d != never {
		return d
	}
	return never - 1
}

// deadline is the other way round.
func (c *Crowd) deadline(instant int64) time.Time {
	if instant == never {
		return time.Time{}
	}
	return c.start.Add(time.Duration(instant))
}

func (g *guest) now() int64 { return int64(g.crowd.age()) }

func (g *guest) tellReads(until int64) error { return g.Conn.SetReadDeadline(g.crowd.deadline(until)) }

func (g *guest) tellWrites(until int64) error {
	return g.Conn.SetWriteDeadline(g.crowd.deadline(until))
}

// SetDeadline is both of the following.
func (g *guest) SetDeadline(t time.Time) error {
	return errors.Join(g.SetReadDeadline(t), g.SetWriteDeadline(t))
}

// SetReadDeadline lets Read fail from t on.
func (g *guest) SetReadDeadline(t time.Time) error {
	return g.reads.set(g.crowd.instant(t), g.tellReads)
}

// SetWriteDeadline lets Write fail from t on.
func (g *guest) SetWriteDeadline(t time.Time) error {
	return g.writes.set(g.crowd.instant(t), g.tellWrites)
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
	if err := g.reads.begin(g.tellReads); err != nil {
		return 0, err
	}
	for {
		n, err := g.Conn.Read(b)
		if n > 0 {
			g.putOff.Store(false)
		}
		if g.reads.over(err, g.now, g.tellReads) {
			return n, err
		}
	}
}

// Write writes.
func (g *guest) Write(b []byte) (int, error) {
	if err := g.writes.begin(g.tellWrites); err != nil {
		return 0, err
	}
	written := 0
	for {
		n, err := g.Conn.Write(b[written:])
		written += n
		if g.writes.over(err, g.now, g.tellWrites) {
			return written, err
		}
	}
}

var _ net.Conn = (*guest)(nil)
