package handler

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// A pipeListener hands out one end of a pipe for each dial, and errors.
type pipeListener struct {
	conns  chan net.Conn
	errs   chan error
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), errs: make(chan error, 100), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case err := <-l.errs:
		return nil, err
	default:
	}
	select {
	case conn := <-l.conns:
		return conn, nil
	case err := <-l.errs:
		return nil, err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// dial connects; the connection waits for the listener.
func (l *pipeListener) dial(t *testing.T, said string) net.Conn {
	t.Helper()
	mine, theirs := net.Pipe()
	go func() {
		select {
		case l.conns <- theirs:
		case <-l.closed:
		}
	}()
	if said != "" {
		go func() { _, _ = io.WriteString(mine, said) }() // fails if it is cut
	}
	return mine
}

// A crowded server lets requests to /slow wait until they are let go.
type crowded struct {
	*pipeListener
	crowd *Crowd
	reg   *prometheus.Registry
	log   *bytes.Buffer
	let   chan struct{}
}

// newCrowded serves at most so many connections, inside a bubble.
func newCrowded(t *testing.T, most int) *crowded {
	t.Helper()
	s := &crowded{pipeListener: newPipeListener(), reg: prometheus.NewRegistry(), log: &bytes.Buffer{}, let: make(chan struct{})}
	s.crowd = NewCrowd(most, zerolog.New(zerolog.SyncWriter(s.log)), s.reg)
	server := NewServer("", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-s.let
		}
		_, _ = io.WriteString(w, "here") // who has left does not hear it
	}))
	s.crowd.Attend(server)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(s.crowd.Listen(s.pipeListener)) // ends with Close
	}()
	t.Cleanup(func() {
		_ = server.Close() // nothing else ends it
		<-ended
	})
	return s
}

// value is a metric's.
func (s *crowded) value(t *testing.T, name string) float64 {
	t.Helper()
	families, err := s.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue() + f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// answered reports whether a connection gets an answer.
func answered(conn net.Conn) bool {
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return false
	}
	body, err := io.ReadAll(resp.Body)
	return err == nil && string(body) == "here" && resp.Body.Close() == nil
}

// cut reports whether a connection has been closed.
func cut(conn net.Conn) bool {
	_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond)) // a pipe can
	_, err := conn.Read(make([]byte, 1))
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe)
}

const ask = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

func TestCrowdMakesRoomForWhoAsksSomething(t *testing.T) {
	t.Parallel()
	for name, said := range map[string]string{"silent": "", "half a request": "GET / HTTP/1.1\r\nHo"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newCrowded(t, 4)
				var idlers []net.Conn
				for range 4 {
					idlers = append(idlers, s.dial(t, said))
					synctest.Wait()
					<-time.After(time.Millisecond)
				}
				began := time.Now()
				if !answered(s.dial(t, ask)) {
					t.Error("no answer while others hold all connections")
				}
				if took := time.Since(began); took > courtesy+shortage {
					t.Errorf("answered after %s while others hold all connections", took)
				}
				synctest.Wait()
				if !cut(idlers[0]) || cut(idlers[1]) || cut(idlers[3]) {
					t.Error("it is not the connection that has been quiet for the longest that makes room")
				}
				if open, cut := s.value(t, "kefud_connections"), s.value(t, "kefud_connections_cut_total"); open != 4 || cut != 1 {
					t.Errorf("counted %v connections open and %v cut, want 4 and 1", open, cut)
				}
			})
		})
	}
}

func TestCrowdNeverCutsWhoIsBeingAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newCrowded(t, 2)
		busy := []net.Conn{s.dial(t, strings.Replace(ask, "/", "/slow", 1)), s.dial(t, strings.Replace(ask, "/", "/slow", 1))}
		synctest.Wait()
		waits := s.dial(t, ask)
		<-time.After(time.Second)
		synctest.Wait()
		s.crowd.Hush(0)
		close(s.let)
		for _, conn := range append(busy, waits) {
			if !answered(conn) {
				t.Error("a request was not answered")
			}
		}
	})
}

// The same with the requests behind the first one, after a pause or together with it.
func TestCrowdNeverCutsWhoAsksAgain(t *testing.T) {
	t.Parallel()
	slow := strings.Replace(ask, "/", "/slow", 1)
	for name, said := range map[string][2]string{"after a pause": {ask, slow}, "together": {ask + slow, ""}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newCrowded(t, 1)
				mine := s.dial(t, said[0])
				r := bufio.NewReader(mine)
				first, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, first.Body); err != nil || first.Body.Close() != nil {
					t.Fatal(err)
				}
				if said[1] != "" {
					<-time.After(time.Second)
					go func() { _, _ = io.WriteString(mine, said[1]) }() // without it there is no answer
				}
				<-time.After(time.Second)
				s.crowd.Hush(0)
				waits := s.dial(t, ask)
				<-time.After(time.Second)
				close(s.let)
				if again, err := http.ReadResponse(r, nil); err != nil || again.Body.Close() != nil {
					t.Errorf("the second request was not answered: %v", err)
				}
				if !answered(waits) {
					t.Error("who waited was not answered")
				}
			})
		})
	}
}

func TestCrowdOutlivesAShortage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newCrowded(t, 100)
		for range 30 {
			s.errs <- &net.OpError{Op: "accept", Err: syscall.EMFILE}
		}
		s.errs <- syscall.ECONNABORTED
		began := time.Now()
		if !answered(s.dial(t, ask)) {
			t.Fatal("no answer after the shortage")
		}
		if took := time.Since(began); took < 20*shortage {
			t.Errorf("it asked 30 times in %s", took)
		}
		if n := strings.Count(s.log.String(), "too many connections"); n != 1 {
			t.Errorf("logged %d times in 3 s, want once: %s", n, s.log)
		}
	})
}

func TestCrowdsListenerEndsWhileItWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pipes := newPipeListener()
		c := NewCrowd(1, zerolog.Nop(), prometheus.NewRegistry())
		l := c.Listen(pipes)
		pipes.dial(t, "")
		first, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c.note(first, http.StateHijacked) // he cannot be sent away
		pipes.dial(t, "")
		ended := make(chan error, 1)
		go func() {
			_, err := l.Accept()
			ended <- err
		}()
		synctest.Wait()
		if err := errors.Join(l.Close(), l.Close()); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept = %v, want ErrClosed", err)
		}
		// What is wrong for good is an error.
		bad := newPipeListener()
		bad.errs <- context.Canceled
		if _, err := NewCrowd(1, zerolog.Nop(), prometheus.NewRegistry()).Listen(bad).Accept(); !errors.Is(err, context.Canceled) {
			t.Errorf("Accept = %v", err)
		}
	})
}

func TestUnreadSeesWhatNobodyHasRead(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }() // nothing else comes
	mine, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = mine.Close() }() // it is of no use any more
	theirs, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = theirs.Close() }() // as above
	if unread(theirs) {
		t.Error("something has come before anything was said")
	}
	if _, err := io.WriteString(mine, "x"); err != nil {
		t.Fatal(err)
	}
	for !unread(theirs) {
		select {
		case <-t.Context().Done():
			t.Fatal("what was said never comes")
		case <-time.After(time.Millisecond):
		}
	}
	if n, err := theirs.Read(make([]byte, 8)); n != 1 || err != nil || unread(theirs) {
		t.Errorf("read %d, %v; it is unread still: %t", n, err, unread(theirs))
	}
}
