package handler

import (
	"container/list"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/rs/zerolog"
)

// A Crowd is all the connections that a server has open. It keeps their number
// below a limit, so that descriptors are left for Redis and WeChat's API: when the
// limit is reached, or descriptors are short, the connection that has been waited
// on for a request for the longest makes room for the next. Whoever holds thousands of
// connections open keeps no customer out.
type Crowd struct {
	most  int
	log   zerolog.Logger
	freed chan struct{} // somebody has left, since it was last read
	cut   prometheus.Counter
	start time.Time

	mu    sync.Mutex
	open  int
	all   *list.List // of *guest; of those who are quiet, who has been for the longest comes first
	told  time.Time  // when it was last logged that there is no room
	since int        // how many were cut since then
}

// A guest is one connection.
type guest struct {
	net.Conn
	crowd *Crowd
	gone  bool
	quiet bool          // no request of his is there, of which the head was read
	from  time.Duration // when he became quiet, by age
	place *list.Element // among all; nil before he is first quiet, and when he is gone

	reads, writes patience
	putOff        atomic.Bool // who asked for a single byte was told that there is none yet
}

// NewCrowd makes a Crowd for one server, of at most so many connections.
func NewCrowd(most int, log zerolog.Logger, r prometheus.Registerer) *Crowd {
	f := promauto.With(r)
	c := &Crowd{most: max(most, 1), log: log, freed: make(chan struct{}, 1), all: list.New(), start: time.Now()}
	c.cut = f.NewCounter(prometheus.CounterOpts{
		Name: "kefud_connections_cut_total", Help: "Idle connections closed to make room for others.",
	})
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "kefud_connections", Help: "Connections open."}, func() float64 {
		c.mu.Lock()
		defer c.mu.Unlock()
		return float64(c.open)
	})
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "kefud_connections_most", Help: "Connections open before idle ones are closed to make room.",
	}, func() float64 { return float64(c.most) })
	return c
}

// Attend has the server tell of its connections. It is called before it serves.
func (c *Crowd) Attend(s *http.Server) { s.ConnState = c.note }

// note takes in what the server says of a connection. It is active when net/http is done
// with the head of a request, right before it is answered or refused: before, nothing is
// asked yet.
func (c *Crowd) note(conn net.Conn, state http.ConnState) {
	g, ok := conn.(*guest)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateActive:
		g.quiet = false
	case http.StateIdle:
		c.hush(g)
	case http.StateHijacked, http.StateClosed:
		c.leave(g)
	case http.StateNew: // he is quiet since he came
	}
}

// age tells the time since the Crowd was made: to ask for that takes half as long as
// for the time.
func (c *Crowd) age() time.Duration { return time.Since(c.start) }

// hush notes that a guest is quiet from now on. Locked.
func (c *Crowd) hush(g *guest) {
	switch {
	case g.gone:
		return
	case g.place != nil:
		c.all.MoveToBack(g.place)
	default:
		g.place = c.all.PushBack(g)
	}
	g.quiet, g.from = true, c.age()
}

// leave takes a guest out. Locked.
func (c *Crowd) leave(g *guest) {
	if g.place != nil {
		c.all.Remove(g.place)
		g.place = nil
	}
}

// quietest is who has been quiet for the longest; nil if nobody is. Who is being
// answered keeps his place, for that is soon over. Locked.
func (c *Crowd) quietest() *guest {
	for e := c.all.Front(); e != nil; e = e.Next() {
		if g, _ := e.Value.(*guest); g.quiet { // nothing else is in it
			return g
		}
	}
	return nil
}

// Close ends the connection.
func (g *guest) Close() error {
	c := g.crowd
	c.mu.Lock()
	if !g.gone {
		g.gone = true
		c.open--
		c.leave(g)
	}
	c.mu.Unlock()
	err := g.Conn.Close() // before anybody counts on the descriptor
	select {
	case c.freed <- struct{}{}:
	default: // it is known already
	}
	return err
}

// CloseWrite lets the server end its half first, as it does after an answer that
// came before the whole request.
func (g *guest) CloseWrite() error {
	if half, ok := g.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Hush closes the connections that have been waited on for a request for so long.
func (c *Crowd) Hush(d time.Duration) {
	for {
		c.mu.Lock()
		g := c.quietest()
		late := g != nil && c.age()-g.from >= d
		c.mu.Unlock()
		if !late {
			return
		}
		_ = g.Close() // he is gone either way
	}
}

// makeRoom closes the connection that has been quiet for the longest, and reports
// whether there was one that has been for long enough. It logs that there is no room,
// now and then.
func (c *Crowd) makeRoom(cause error) bool {
	c.mu.Lock()
	c.since++
	if now := time.Now(); now.Sub(c.told) >= remindEvery {
		c.log.Warn().Err(cause).Int("open", c.open).Int("most", c.most).Int(keyMissed, c.since-1).
			Msg("too many connections: idle ones are closed to make room")
		c.told, c.since = now, 0
	}
	g := c.quietest()
	late := g != nil && c.age()-g.from >= courtesy
	if late && unread(g.Conn) { // he has asked, and is about to be heard
		c.hush(g)
		late = false
	}
	c.mu.Unlock()
	if !late {
		return false
	}
	c.cut.Inc()
	_ = g.Close() // he is gone either way
	return true
}

// full reports whether no more may come.
func (c *Crowd) full() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open >= c.most
}

// admit takes a connection in.
func (c *Crowd) admit(conn net.Conn) *guest {
	g := &guest{Conn: conn, crowd: c}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open++
	c.hush(g)
	return g
}
