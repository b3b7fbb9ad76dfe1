// Package redistest starts real redis-server processes for tests: a server, a
// cluster of three, or sentinels with a master and a replica. Each listens on
// a free port of the loopback, keeps its files in the test's own folder, and
// ends with the test. A machine without redis-server fails the test.
package redistest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a process may take to come up, and a cluster or a
// failover to come about. A test that has to wait longer has failed.
const patience = 20 * time.Second

// attempts is how often another port is tried when somebody else was quicker
// to take the one that was found free.
const attempts = 5

// A Server is one redis-server process. Its methods fail the test when they
// cannot do what they say; all but Do must not be called concurrently.
type Server struct {
	Addr string // host:port

	t    testing.TB
	args []string // without the executable
	dir  string

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan struct{} // closed once cmd has been waited for
}

// Start runs a redis-server without persistence. Further arguments are added
// to its command line, as "--requirepass", "secret".
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return launch(t, func(port int) []string {
		return append([]string{"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"}, args...)
	})
}

// launch starts a process on a port of its own. Args makes its command line.
func launch(t testing.TB, args func(port int) []string) *Server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Fatalf("redis-server is needed to run this test: %v", err)
	}
	var err error
	for range attempts {
		port := freePort(t)
		s := &Server{Addr: addr(port), t: t, args: args(port), dir: t.TempDir()}
		if err = s.run(); err == nil {
			t.Cleanup(s.end)
			return s
		}
	}
	t.Fatalf("start redis-server: %v", err)
	return nil
}

func addr(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func freePort(t testing.TB) int {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("find a free port: %v", err)
	}
	defer func() { _ = l.Close() }() // a port that stays taken shows at once
	a, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("a tcp listener has the address %v", l.Addr())
	}
	return a.Port
}

// run starts the process and returns once it serves, or with what it printed
// if it does not.
func (s *Server) run() error {
	cmd := exec.CommandContext(context.Background(), "redis-server", s.args...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = dieWithParent()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("read its output: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the process: %w", err)
	}
	ready, ended := make(chan error, 1), make(chan struct{})
	go func() {
		ready <- watch(out)
		_, _ = io.Copy(io.Discard, out) // ends with the process
		_ = cmd.Wait()                  // the tests end it by signals
		close(ended)
	}()
	s.mu.Lock()
	s.cmd, s.ended = cmd, ended
	s.mu.Unlock()
	select {
	case err = <-ready:
	case <-time.After(patience):
		err = errors.New("it did not become ready in time")
	}
	if err != nil {
		s.end()
	}
	return err
}

// watch reads a server's log up to the line that says that it serves.
func watch(out io.Reader) error {
	var lines []string
	for scan := bufio.NewScanner(out); scan.Scan(); {
		line := scan.Text()
		if strings.Contains(line, "Ready to accept connections") || strings.Contains(line, "Sentinel ID is") {
			return nil
		}
		lines = append(lines, line)
	}
	return fmt.Errorf("it ended with: %s", strings.Join(lines, "\n"))
}

// end kills the process, a frozen one too, and waits for its end.
func (s *Server) end() {
	s.mu.Lock()
	cmd, ended := s.cmd, s.ended
	s.mu.Unlock()
	_ = cmd.Process.Kill() // fails only if it has ended already
	<-ended
}

// Kill ends the process as a crash does; connections break, its port is closed.
func (s *Server) Kill() { s.end() }

// Restart kills the process and starts it anew on the same port. What it held
// is gone, unless the arguments of Start made it persistent.
func (s *Server) Restart() {
	s.t.Helper()
	s.end()
	if err := s.run(); err != nil {
		s.t.Fatalf("restart redis-server on %s: %v", s.Addr, err)
	}
}

// Pause freezes the process: it still accepts connections and answers nothing.
func (s *Server) Pause() { s.t.Helper(); s.signal(syscall.SIGSTOP) }

// Resume lets a frozen process go on.
func (s *Server) Resume() { s.t.Helper(); s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig os.Signal) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatalf("signal redis-server: %v", err)
	}
}

// FlushScripts makes the server forget every script it was sent.
func (s *Server) FlushScripts() { s.t.Helper(); s.MustDo("SCRIPT", "FLUSH") }

// MustDo is Do for a command that must not fail.
func (s *Server) MustDo(args ...string) string {
	s.t.Helper()
	reply, err := s.Do(args...)
	if err != nil {
		s.t.Fatalf("%s on %s: %v", args[0], s.Addr, err)
	}
	return reply
}

// Do sends one command on a connection of its own and gives its reply, if that
// is a single value; of an array it gives the length. An error reply is an error.
func (s *Server) Do(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return do(ctx, s.Addr, args)
}
