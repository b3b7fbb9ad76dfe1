package sink

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kefud/internal/race"
)

// A stuckWriter takes lines while it is open.
type stuckWriter struct {
	open chan struct{}
	err  error
	mu   sync.Mutex
	text strings.Builder

	writes int
}

func (w *stuckWriter) Write(line []byte) (int, error) {
	<-w.open
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writes++
	if w.err != nil {
		return 0, w.err
	}
	w.text.Write(line)
	return len(line), nil
}

func TestSinkPassesOnInOrder(t *testing.T) {
	t.Parallel()
	w := &stuckWriter{open: make(chan struct{})}
	close(w.open)
	s := New(w)
	var want strings.Builder
	line := make([]byte, 0, 16)
	for i := range 1000 {
		line = fmt.Appendf(line[:0], "line %d\n", i) // who writes uses his buffer again
		want.Write(line)
		if n, err := s.Write(line); n != len(line) || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
	s.Close()
	s.Close()
	if w.text.String() != want.String() || s.dropped.Load() != 0 {
		t.Errorf("passed on %d bytes of %d, dropped %d", w.text.Len(), want.Len(), s.dropped.Load())
	}
}

func TestSinkDropsAndCountsWhatFindsNoRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &stuckWriter{open: make(chan struct{})}
		s := New(w)
		const over = 1000
		const held = together/5 + 1 // lines that may be in the writer's hands, and the next
		for range most + over {
			if _, err := s.Write([]byte("line\n")); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.dropped.Load(); got < over-held || got > over {
			t.Errorf("dropped %d, want %d to %d", got, over-held, over)
		}
		began := time.Now()
		s.Close()
		if took := time.Since(began); took != within {
			t.Errorf("its end waits %s for a writer that is stuck", took)
		}
		close(w.open)
		<-s.empty
		if got := int64(strings.Count(w.text.String(), "line\n")) + s.dropped.Load(); got != most+over {
			t.Errorf("passed on or dropped %d lines of %d", got, most+over)
		}
	})
}

func TestSinkCountsWhatTheWriterRefuses(t *testing.T) {
	t.Parallel()
	w := &stuckWriter{open: make(chan struct{}), err: errors.New("no space left on device")}
	close(w.open)
	s := New(w)
	for range 3 {
		if _, err := s.Write([]byte("line\n")); err != nil {
			t.Errorf("Write = %v; nobody can do anything about it", err)
		}
	}
	s.Close()
	if s.dropped.Load() != 3 {
		t.Errorf("dropped %d, want 3", s.dropped.Load())
	}
}

func TestSinkJoinsWhatWaits(t *testing.T) {
	t.Parallel()
	w := &stuckWriter{open: make(chan struct{})}
	s := New(w)
	const lines = 1000
	var want strings.Builder
	for i := range lines {
		line := fmt.Sprintf("line %d\n", i)
		want.WriteString(line)
		if _, err := s.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	long := strings.Repeat("x", 2*together) + "\n"
	want.WriteString(long)
	if _, err := s.Write([]byte(long)); err != nil {
		t.Fatal(err)
	}
	close(w.open)
	s.Close()
	if w.text.String() != want.String() {
		t.Errorf("passed on %d bytes of %d, or in another order", w.text.Len(), want.Len())
	}
	// A thousand lines fill three writes; the first may have gone out alone.
	if w.writes > 6 {
		t.Errorf("%d lines took %d writes", lines, w.writes)
	}
}

// A line is queued in memory that held one before.
func TestSinkAllocatesLittle(t *testing.T) { //nolint:paralleltest // allocations are counted over all goroutines
	w := make(passedOn)
	s := New(w)
	defer s.Close()
	line := []byte(strings.Repeat("x", 300) + "\n")
	most := 0.0
	if race.Enabled {
		most = 2 // pools forget on purpose
	}
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := s.Write(line); err != nil {
			t.Error(err)
		}
		<-w
	}); n > most {
		t.Errorf("%.0f allocations a line", n)
	}
}

// passedOn tells of each write.
type passedOn chan struct{}

func (w passedOn) Write(text []byte) (int, error) {
	w <- struct{}{}
	return len(text), nil
}
