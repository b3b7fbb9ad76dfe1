package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A generator sends the pushes of a mold over its connections, one at a time on each.
type generator struct {
	mold  *mold
	want  []byte // stands in every answer
	conns []*conn
	next  atomic.Int64
}

type conn struct {
	net.Conn
	out, in []byte
}

func newGenerator(ctx context.Context, addr string, m *mold, want string, conns int) (*generator, error) {
	g := &generator{mold: m, want: []byte(want)}
	if err := g.connect(ctx, addr, conns); err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}

// connect opens connections. It is done shortly before they are needed: a server does
// not wait for the first request for long.
func (g *generator) connect(ctx context.Context, addr string, conns int) error {
	for range conns {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err != nil {
			return fmt.Errorf("connect: %w", err)
		}
		g.conns = append(g.conns, &conn{Conn: c, out: bytes.Clone(g.mold.request), in: make([]byte, 8<<10)})
	}
	return nil
}

func (g *generator) close() {
	for _, c := range g.conns {
		_ = c.Close()
	}
}

// push sends the next push and reads its answer.
func (g *generator) push(c *conn) error {
	g.mold.fill(c.out, g.next.Add(1)-1)
	if _, err := c.Write(c.out); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	for n := 0; ; {
		got, err := c.Read(c.in[n:])
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		n += got
		if whole, err := complete(c.in[:n], g.want); whole || err != nil {
			return err
		}
	}
}

// complete reports whether an answer has come as a whole. One that is not what is
// wanted is an error.
func complete(answer, want []byte) (bool, error) {
	end := length(answer)
	if end == 0 || len(answer) < end {
		return false, nil
	}
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 200")) || !bytes.Contains(answer, want) {
		return false, fmt.Errorf("unexpected answer: %q", answer)
	}
	return true, nil
}

var lengthMark = []byte("Content-Length: ")

// length tells how long an answer is; 0 = not known yet.
func length(b []byte) int {
	head := bytes.Index(b, []byte("\r\n\r\n"))
	at := bytes.Index(b, lengthMark)
	if head < 0 || at < 0 {
		return 0
	}
	digits, _, _ := bytes.Cut(b[at+len(lengthMark):], []byte("\r"))
	n, _ := strconv.Atoi(string(digits))
	return head + 4 + n
}

// each runs one goroutine a connection and gives the first error.
func (g *generator) each(run func(i int, c *conn) error) error {
	var all sync.WaitGroup
	errs := make(chan error, len(g.conns))
	for i, c := range g.conns {
		all.Go(func() {
			if err := run(i, c); err != nil {
				errs <- err
			}
		})
	}
	all.Wait()
	close(errs)
	return <-errs
}

// first sends so many pushes.
func (g *generator) first(count int) error {
	left := atomic.Int64{}
	left.Store(int64(count))
	return g.each(func(_ int, c *conn) error {
		for left.Add(-1) >= 0 {
			if err := g.push(c); err != nil {
				return err
			}
		}
		return nil
	})
}

// open sends at a rate whatever the server does, and gives the latencies in order,
// counted from when each push was due.
func (g *generator) open(rate float64, d time.Duration) ([]time.Duration, error) {
	total := int(rate * d.Seconds())
	due := make(chan time.Time, total)
	took := make([][]time.Duration, len(g.conns))
	paced := make(chan error, 1)
	go func() {
		defer close(due)
		paced <- pace(time.Duration(float64(time.Second)/rate), total, due)
	}()
	err := g.each(func(i int, c *conn) error {
		for at := range due {
			if err := g.push(c); err != nil {
				return err
			}
			took[i] = append(took[i], time.Since(at))
		}
		return nil
	})
	if e := <-paced; err == nil {
		err = e
	}
	all := slices.Concat(took...)
	slices.Sort(all)
	return all, err
}

// pace gives out due times. Go's timers wake up to a millisecond late; the kernel's,
// read like a connection, do not.
func pace(interval time.Duration, total int, due chan<- time.Time) error {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("timer: %w", err)
	}
	f := os.NewFile(uintptr(fd), "timer")
	defer func() { _ = f.Close() }()
	every := unix.NsecToTimespec(interval.Nanoseconds())
	begin := time.Now()
	if err := unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Interval: every, Value: every}, nil); err != nil {
		return fmt.Errorf("set timer: %w", err)
	}
	var ticks [8]byte
	for sent := 0; sent < total; {
		if _, err := f.Read(ticks[:]); err != nil {
			return fmt.Errorf("read timer: %w", err)
		}
		for range binary.NativeEndian.Uint64(ticks[:]) {
			if sent++; sent <= total {
				due <- begin.Add(time.Duration(sent) * interval)
			}
		}
	}
	return nil
}
