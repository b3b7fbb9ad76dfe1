// Package sink writes log lines without ever making who writes them wait.
package sink

import (
	"bytes"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

const (
	// most is how many lines wait for a reader that is behind: seconds of a
	// busy server, and no more than a few MiB.
	most = 8192
	// together is how many bytes of lines that wait go out in one write: as many as
	// a pipe takes as a whole, whoever else writes to it (POSIX, PIPE_BUF on Linux).
	together = 4096
	// within is how long the end of the process waits for the reader.
	within = 300 * time.Millisecond
)

// A Sink passes what is written to it on to a writer that may be slow, stuck or
// broken, in order and each as a whole, and never makes who writes wait: what
// finds no room is dropped, and so is what the writer refuses. Nobody who answers
// customers may hang on whoever reads the log.
//
// It is not zerolog's diode: that one learns what it dropped only when the reader
// comes back, then drops everything that waits, and prints to stderr on its own.
type Sink struct {
	to      io.Writer
	lines   chan *bytes.Buffer
	spare   sync.Pool // of the buffers of lines
	dropped atomic.Int64
	stop    func()
	stopped chan struct{} // no more lines are waited for
	empty   chan struct{} // closed when those that waited are passed on
}

// Register makes the count of dropped lines a metric.
func (s *Sink) Register(r prometheus.Registerer) {
	promauto.With(r).NewCounterFunc(prometheus.CounterOpts{
		Name: "kefud_log_lines_dropped_total", Help: "Log lines that stderr did not take: whoever reads it is too slow, or its disk is full.",
	}, func() float64 { return float64(s.dropped.Load()) })
}

// New starts to pass on; Close ends it.
func New(to io.Writer) *Sink {
	s := &Sink{to: to, lines: make(chan *bytes.Buffer, most), stopped: make(chan struct{}), empty: make(chan struct{})}
	s.spare.New = func() any { return new(bytes.Buffer) }
	s.stop = sync.OnceFunc(func() { close(s.stopped) })
	go s.pass()
	return s
}

// Write takes a line. It never fails, and never waits.
func (s *Sink) Write(line []byte) (int, error) {
	held, _ := s.spare.Get().(*bytes.Buffer) // nothing else is in it
	held.Write(line)
	select {
	case s.lines <- held:
	default:
		s.putBack(held)
		s.dropped.Add(1)
	}
	return len(line), nil
}

// putBack lets a buffer be used again, unless its line was longer than lines are.
func (s *Sink) putBack(held *bytes.Buffer) {
	if held.Cap() <= together {
		held.Reset()
		s.spare.Put(held)
	}
}

func (s *Sink) pass() {
	defer close(s.empty)
	text := make([]byte, 0, together)
	for {
		select {
		case line := <-s.lines:
			text = s.put(text[:0], line)
			continue
		case <-s.stopped:
		}
		select {
		case line := <-s.lines:
			text = s.put(text[:0], line)
		default:
			return
		}
	}
}

// put passes on a line and those that wait behind it, in writes of whole lines; whoever
// can run comes first, and may have another. It gives back text, which it uses, for the
// next time.
func (s *Sink) put(text []byte, line *bytes.Buffer) []byte {
	runtime.Gosched()
	lines := int64(0)
	for {
		if lines > 0 && len(text)+line.Len() > together {
			s.write(text, lines)
			text, lines = text[:0], 0
		}
		text = append(text, line.Bytes()...)
		lines++
		s.putBack(line)
		select {
		case line = <-s.lines:
		default:
			s.write(text, lines)
			return text
		}
	}
}

// write counts as dropped what the writer refuses, and what it takes in part.
func (s *Sink) write(text []byte, lines int64) {
	if n, err := s.to.Write(text); err != nil {
		whole := int64(bytes.Count(text[:min(n, len(text))], []byte("\n")))
		s.dropped.Add(lines - min(whole, lines)) // there is nowhere to tell but the metric
	}
}

// Close passes on what waits, as far as that can be done in within.
func (s *Sink) Close() {
	s.stop()
	select {
	case <-s.empty:
	case <-time.After(within):
	}
}
