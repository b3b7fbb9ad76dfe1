package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// sweepEvery is how long the sweeper sleeps between two looks. Who slept in
	// epoll_wait would be woken by every answer, which the server would pay for, the
	// more of it the slower it is: half of Gin's own cost of an answer. Pushes from
	// another machine cost no such thing.
	sweepEvery = 200 * time.Microsecond
	// sweepTime is how long a server may give no answer at all.
	sweepTime = 10 * time.Second
)

// A sweeper keeps a server saturated: one thread that now and then takes whatever
// answers have come, and sends the next push on each of their connections.
type sweeper struct {
	epoll int
	conns []*swept
	at    map[int32]*swept // by descriptor
}

type swept struct {
	fd      int
	out, in []byte
	got     int // of in
}

func newSweeper(addr string, m *mold, conns int) (*sweeper, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, fmt.Errorf("address: %w", err)
	}
	s := &sweeper{at: map[int32]*swept{}}
	if s.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	for range conns {
		c, err := dial(to)
		if err == nil {
			err = unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, c.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(c.fd)}) //nolint:gosec // small
		}
		if err != nil {
			s.close()
			return nil, fmt.Errorf("connect: %w", err)
		}
		c.out = bytes.Clone(m.request)
		s.conns, s.at[int32(c.fd)] = append(s.conns, c), c //nolint:gosec // small
	}
	return s, nil
}

func dial(to netip.AddrPort) (*swept, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	c := &swept{fd: fd, in: make([]byte, 8<<10)}
	return c, errors.Join(unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1), unix.SetNonblock(fd, true))
}

func (s *sweeper) close() {
	for _, c := range s.conns {
		_ = unix.Close(c.fd)
	}
	_ = unix.Close(s.epoll)
}

// run sends pushes as long as more says so and gives how many were answered, all of
// them rightly.
func (s *sweeper) run(g *generator, more func(sent int64) bool) (int64, error) {
	var sent, answered int64
	send := func(c *swept) error {
		g.mold.fill(c.out, g.next.Add(1)-1)
		sent++
		n, err := unix.Write(c.fd, c.out)
		if err == nil && n < len(c.out) {
			err = errors.New("the connection takes a part only")
		}
		return err
	}
	for _, c := range s.conns {
		if err := send(c); err != nil {
			return answered, fmt.Errorf("send: %w", err)
		}
	}
	events := make([]unix.EpollEvent, len(s.conns))
	last := time.Now()
	for answered < sent {
		n, err := unix.EpollWait(s.epoll, events, 0)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return answered, fmt.Errorf("wait: %w", err)
		}
		for _, e := range events[:max(n, 0)] {
			c := s.at[e.Fd]
			whole, err := c.receive(g.want)
			if err == nil && whole {
				if answered++; more(sent) {
					err = send(c)
				}
			}
			if err != nil {
				return answered, err
			}
		}
		switch {
		case n > 0:
			last = time.Now()
		case time.Since(last) > sweepTime:
			return answered, fmt.Errorf("no answer for %s", sweepTime)
		}
		pause := unix.NsecToTimespec(sweepEvery.Nanoseconds())
		_ = unix.Nanosleep(&pause, nil)
	}
	return answered, nil
}

// receive reads what has come, and reports whether that makes the answer whole.
func (c *swept) receive(want []byte) (bool, error) {
	n, err := unix.Read(c.fd, c.in[c.got:])
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("receive: %w", err)
	case n == 0:
		return false, errors.New("the server hung up")
	}
	c.got += n
	whole, err := complete(c.in[:c.got], want)
	if whole {
		c.got = 0
	}
	return whole, err
}
