package handler

import (
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

// Listen gives a listener whose connections are of the Crowd.
func (c *Crowd) Listen(l net.Listener) net.Listener {
	return &entrance{Listener: l, crowd: c, closed: make(chan struct{})}
}

// An entrance is a Crowd's listener. Its Accept fails only for good.
type entrance struct {
	net.Listener
	crowd  *Crowd
	once   sync.Once
	err    error
	closed chan struct{}
}

// Close ends Accept, too.
func (e *entrance) Close() error {
	e.once.Do(func() {
		close(e.closed)
		e.err = e.Listener.Close()
	})
	return e.err
}

const (
	// courtesy is how long a connection is left alone, so that who comes in the middle
	// of a rush has the time to ask. The rush waits meanwhile, in the system's queue. It
	// is also how long the rest of a request is taken in that was answered unread.
	courtesy = 200 * time.Millisecond
	// shortage is how long Accept waits for room when nobody can be sent away.
	shortage = 50 * time.Millisecond
)

// errCrowded is why room is made without an error of the system.
var errCrowded = errors.New("the limit is reached")

// Accept waits for the next connection, and then for room for it: nobody is sent away
// before somebody else is there.
func (e *entrance) Accept() (net.Conn, error) {
	c := e.crowd
	for {
		conn, err := e.Listener.Accept()
		switch {
		case err == nil:
			if !e.clear() {
				return nil, errors.Join(net.ErrClosed, conn.Close())
			}
			return c.admit(conn), nil
		case errors.Is(err, syscall.ECONNABORTED): // he has left while he waited
		case !short(err):
			return nil, err
		case !c.makeRoom(err) && !e.wait():
			return nil, net.ErrClosed
		}
	}
}

// clear waits until there is room for one more; false when it is over.
func (e *entrance) clear() bool {
	for e.crowd.full() {
		if !e.crowd.makeRoom(errCrowded) && !e.wait() {
			return false
		}
	}
	return true
}

// wait waits until somebody leaves, or not for long; false when it is over.
func (e *entrance) wait() bool {
	pause := time.NewTimer(shortage)
	defer pause.Stop()
	select {
	case <-e.closed:
		return false
	case <-e.crowd.freed:
	case <-pause.C:
	}
	return true
}

// short reports whether an error says that the process or the machine has too little
// of something, which others may give back.
func short(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
