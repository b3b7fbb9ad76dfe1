package handler

import (
	"bufio"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// A counted connection counts the deadlines that it is told.
type counted struct {
	net.Conn
	told int
}

func (c *counted) SetReadDeadline(t time.Time) error {
	c.told++
	return c.Conn.SetReadDeadline(t)
}

// newGuest gives a connection of a Crowd, what is below it, and its other end.
func newGuest() (*guest, *counted, net.Conn) {
	theirs, mine := net.Pipe()
	c := &counted{Conn: theirs}
	return NewCrowd(1, zerolog.Nop(), prometheus.NewRegistry()).admit(c), c, mine
}

func TestGuestKeepsTheDeadlineAskedForLast(t *testing.T) {
	t.Parallel()
	const s = time.Second
	for name, c := range map[string]struct {
		first  []time.Duration // asked for before it reads
		later  []time.Duration // asked for after a second of reading, counted from the start
		passes time.Duration
	}{
		"one":                          {first: []time.Duration{10 * s}, passes: 10 * s},
		"a later one":                  {first: []time.Duration{10 * s, 60 * s}, passes: 60 * s},
		"a sooner one":                 {first: []time.Duration{60 * s, 5 * s}, passes: 5 * s},
		"later, sooner, later":         {first: []time.Duration{10 * s, 60 * s, 5 * s, 30 * s}, passes: 30 * s},
		"moved on while it reads":      {first: []time.Duration{10 * s}, later: []time.Duration{30 * s}, passes: 30 * s},
		"moved up while it reads":      {first: []time.Duration{60 * s}, later: []time.Duration{3 * s}, passes: 3 * s},
		"in the past while it reads":   {first: []time.Duration{60 * s}, later: []time.Duration{-time.Hour}, passes: s},
		"passed already":               {first: []time.Duration{-time.Hour}, passes: 0},
		"passes at once":               {first: []time.Duration{0}, passes: 0},
		"as far as can be":             {first: []time.Duration{math.MaxInt64, 5 * s}, passes: 5 * s},
		"passed, and then a later one": {first: []time.Duration{-time.Hour, 7 * s}, passes: 7 * s},
		"on and on while it reads":     {first: []time.Duration{2 * s}, later: []time.Duration{3 * s, 4 * s, 50 * s}, passes: 50 * s},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g, _, mine := newGuest()
				began := time.Now()
				ask := func(all []time.Duration) {
					for _, d := range all {
						if err := g.SetDeadline(began.Add(d)); err != nil {
							t.Error(err)
						}
					}
				}
				ask(c.first)
				go func() {
					<-time.After(s)
					ask(c.later)
				}()
				for name, do := range map[string]func([]byte) (int, error){"Read": g.Read, "Write": g.Write} {
					n, err := do(make([]byte, 8))
					took := time.Since(began)
					if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || took != c.passes {
						t.Errorf("%s = %d, %v after %s, want a deadline after %s", name, n, err, took, c.passes)
					}
				}
				<-time.After(2 * s) // whoever asks later is done
				if err := errors.Join(mine.Close(), g.Close()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// net/http ends a wait by a deadline in the past, which has no reading of the monotonic clock.
func TestGuestEndsAWaitByADeadlineLongAgo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, _, mine := newGuest()
		for range 100 {
			go func() { _ = g.SetReadDeadline(time.Unix(1, 0)) }() // seen by the reader, who waits for ever else
			if n, err := g.Read(make([]byte, 2)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("Read = %d, %v", n, err)
			}
			synctest.Wait()
			if err := g.SetReadDeadline(time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(mine.Close(), g.Close()); err != nil {
			t.Error(err)
		}
	})
}

// Of one who begins to wait and one who sets a deadline at the same moment, one tells it.
func TestPatienceTellsADeadlineThatIsSetWhileSomebodyBegins(t *testing.T) {
	t.Parallel()
	const rounds, past = 100_000, -1
	tell := func(int64) error { return nil }
	var turn, done atomic.Int64
	all := make([]patience, rounds+1)
	go func() {
		for round := int64(1); round <= rounds; round++ {
			for turn.Load() < round {
				runtime.Gosched()
			}
			for range round % 32 { // now a little sooner, now a little later
			}
			_ = all[round].set(past, tell)
			done.Store(round)
		}
	}()
	defer turn.Store(rounds + 1) // whoever sets has an end
	for round := int64(1); round <= rounds; round++ {
		turn.Store(round)
		for range round % 64 / 2 {
		}
		_ = all[round].begin(tell)
		for done.Load() != round {
			runtime.Gosched()
		}
		if got := all[round].told.Load(); got != past {
			t.Fatalf("in round %d nobody told the deadline", round)
		}
	}
}

func TestGuestWithoutDeadlineWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, _, mine := newGuest()
		// As net/http takes a deadline back, before and after it has passed.
		for _, passed := range []time.Duration{0, 2 * time.Hour} {
			if err := g.SetDeadline(time.Now().Add(90 * time.Minute)); err != nil {
				t.Fatal(err)
			}
			<-time.After(passed)
			if err := g.SetDeadline(time.Time{}); err != nil {
				t.Fatal(err)
			}
			go func() {
				<-time.After(time.Hour)
				_, _ = mine.Read(make([]byte, 2)) // half of it, and
				<-time.After(time.Hour)
				_, _ = mine.Read(make([]byte, 2)) // the rest; seen by the writer below
			}()
			if n, err := g.Write([]byte("four")); n != 4 || err != nil {
				t.Errorf("Write = %d, %v", n, err)
			}
			go func() {
				<-time.After(time.Hour)
				_, _ = io.WriteString(mine, "hello") // seen by the reader below
			}()
			b := make([]byte, 8)
			if n, err := g.Read(b); err != nil || string(b[:n]) != "hello" {
				t.Errorf("Read = %q, %v", b[:n], err)
			}
		}
		if err := errors.Join(mine.Close(), g.Close()); err != nil {
			t.Error(err)
		}
	})
}

func TestGuestTellsOfFewDeadlines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, c, mine := newGuest()
		for range 10_000 { // requests, a minute of them
			for _, d := range []time.Duration{10 * time.Second, 20 * time.Second, 0, 2 * time.Minute} {
				at := time.Now().Add(d)
				if d == 0 {
					at = time.Time{}
				}
				if err := g.SetReadDeadline(at); err != nil {
					t.Fatal(err)
				}
			}
			go func() { _, _ = mine.Write([]byte{1}) }() // seen by the reader
			if n, err := g.Read(make([]byte, 2)); n != 1 || err != nil {
				t.Fatalf("Read = %d, %v", n, err)
			}
			<-time.After(6 * time.Millisecond)
		}
		if c.told > 20 {
			t.Errorf("the runtime was told of %d deadlines in a minute, want two in ten seconds at most", c.told)
		}
		if err := errors.Join(mine.Close(), g.Close()); err != nil {
			t.Error(err)
		}
	})
}

// Whoever asks for a single byte gets it, unless he is content with none: net/http's
// reader may have room for no more than one.
func TestGuestReadsWhereverARequestIsCut(t *testing.T) {
	t.Parallel()
	// The first lines are gone from the reader's 4096 bytes when the long one fills them.
	const first = len("GET / HTTP/1.1\r\nHost: x\r\n")
	for _, cut := range []int{1, first, 4095, 4096, 4094 + first, 4095 + first, 4096 + first, 8191 + first} {
		t.Run(strconv.Itoa(cut), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newCrowded(t, 4)
				mine := s.dial(t, "")
				request := "GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("x", 9000) + "\r\n\r\n"
				for range 3 {
					go func() {
						_, _ = io.WriteString(mine, request[:cut]) // without it there is no answer
						<-time.After(time.Millisecond)
						_, _ = io.WriteString(mine, request[cut:]) // as above
					}()
					if !answered(mine) {
						t.Fatal("no answer")
					}
				}
			})
		})
	}
}

func TestGuestAnswersRequestsThatComeTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newCrowded(t, 4)
		slow := strings.Replace(ask, "/", "/slow", 1)
		mine := s.dial(t, slow+slow+slow+ask)
		go func() {
			for range 3 {
				<-time.After(time.Second)
				s.let <- struct{}{}
			}
		}()
		r := bufio.NewReader(mine)
		for range 4 {
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil || string(body) != "here" || resp.Body.Close() != nil {
				t.Fatalf("answer %q, %v", body, err)
			}
		}
	})
}
