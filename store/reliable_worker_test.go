package store_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kefud/kefu"
	"kefud/store"
)

// asWorker in the environment makes the test binary a worker: a process that
// does rounds of calls on a store as it is told to on its standard input, and
// writes down on its standard output what it saw. Its value is an employment.
const asWorker = "KEFUD_TEST_AS_WORKER"

func TestMain(m *testing.M) {
	if job := os.Getenv(asWorker); job != "" {
		if err := work(job, os.Stdin, os.Stdout); err != nil {
			panic(err)
		}
		return
	}
	m.Run()
}

// An employment is what a worker needs to know.
type employment struct {
	Addr, Prefix string
	Worker       int
	Timeout      time.Duration
	Lies         bool // settles whatever has happened since, and says that nothing had
}

const (
	workerClients = 2 // of each worker, at the same time
	clientSteps   = 4 // of each client, in a round
	workerDoubts  = 2 // after so many calls without an answer a client ends its round
	sharedPushes  = 12
	sharedSeats   = 2 // agents, of whom the first has one seat and the second two
	sharedPeople  = 4 // who want them
)

// What a worker does to the objects of a round: one customer's conversation, and
// the seats of two agents for others.
const (
	callReceive = "receive"
	callSettle  = "settle"
	callEnd     = "end"
	callSeat    = "seat"
	callRelease = "release"
)

// An event is one call of a worker. Times are those of the machine's monotonic
// clock, in nanoseconds.
type event struct {
	Round, Client int
	Kind          string
	Push          int              // receive, settle
	Version       int64            // settle
	Agent         kefu.AgentID     // settle, end
	Person        int              // seat, release
	Order         [sharedSeats]int // seat
	Seat          kefu.Seat        // release; the answer of seat
	Answer        outcome          // of receive, settle, end
	Call, Return  int64            // Return 0: nobody knows what became of it
	Over          bool             // no call: this is all of the worker's round
}

func monotonic() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err) // every machine has this clock
	}
	return t.Nano()
}

// work does the rounds whose numbers come in, a line each.
func work(job string, in io.Reader, out io.Writer) error {
	var e employment
	if err := json.Unmarshal([]byte(job), &e); err != nil {
		return fmt.Errorf("read employment: %w", err)
	}
	ctx := context.Background()
	s, err := store.Open(ctx, store.Options{
		Addrs: []string{e.Addr}, Prefix: e.Prefix, Timeout: e.Timeout, Now: func() time.Time { return start },
	})
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	lines := json.NewEncoder(out)
	for scan := bufio.NewScanner(in); scan.Scan(); {
		var round int
		if err := json.Unmarshal(scan.Bytes(), &round); err != nil {
			return fmt.Errorf("read round: %w", err)
		}
		clients := make([]*workerClient, workerClients)
		var all sync.WaitGroup
		for i := range clients {
			number := e.Worker*workerClients + i
			clients[i] = &workerClient{
				s: s, lies: e.Lies, round: round, number: number,
				rng: rand.New(rand.NewPCG(uint64(round), uint64(number))),
			}
			all.Go(func() { clients[i].walk(ctx) })
		}
		all.Wait()
		for _, c := range clients {
			for _, seen := range c.seen {
				if err := lines.Encode(seen); err != nil {
					return fmt.Errorf("write event: %w", err)
				}
			}
		}
		if err := lines.Encode(event{Round: round, Over: true}); err != nil {
			return fmt.Errorf("write event: %w", err)
		}
	}
	return nil
}

// A workerClient makes one call after the other.
type workerClient struct {
	s             *store.Store
	lies          bool
	round, number int
	rng           *rand.Rand
	seen          []event
	doubts        int
}

func (c *workerClient) walk(ctx context.Context) {
	for range clientSteps {
		if c.doubts >= workerDoubts {
			return
		}
		c.converse(ctx)
		if c.doubts < workerDoubts {
			c.sit(ctx)
		}
	}
}

// call makes a call and writes down what is known of it: nothing of one that was
// not made, which is made again a moment later.
func (c *workerClient) call(in event, f func(*event) error) (event, bool) {
	for {
		in.Round, in.Client, in.Call = c.round, c.number, monotonic()
		err := f(&in)
		in.Return = monotonic()
		switch {
		case errors.Is(err, store.ErrRefused):
			<-time.After(20 * time.Millisecond)
			continue
		case err != nil:
			in.Return, in.Answer = 0, outcome{}
			c.doubts++
		}
		c.seen = append(c.seen, in)
		return in, err == nil
	}
}

// customer is the one whose conversation the round is about.
func (c *workerClient) customer() kefu.CustomerID {
	return kefu.CustomerID{App: "shop", User: fmt.Sprintf("c%d", c.round)}
}

// converse sees a push and, if it has to be, settles it. Now and then the agent
// who has the conversation ends it.
func (c *workerClient) converse(ctx context.Context) {
	got, ok := c.call(event{Kind: callReceive, Push: c.rng.IntN(sharedPushes)}, func(e *event) error { return c.receive(ctx, e) })
	switch {
	case !ok:
	case !got.Answer.Repeat && got.Answer.Agent == "":
		c.settle(ctx, got)
	case got.Answer.Agent != "" && c.rng.IntN(2) == 0:
		c.call(event{Kind: callEnd, Agent: got.Answer.Agent}, func(e *event) error { return c.end(ctx, e) })
	}
}

func (c *workerClient) settle(ctx context.Context, got event) {
	for version := got.Answer.Version; c.doubts < workerDoubts; {
		in := event{Kind: callSettle, Push: got.Push, Version: version, Agent: []kefu.AgentID{"wang", "li", "zhao"}[c.rng.IntN(3)]}
		settled, ok := c.call(in, func(e *event) error { return c.settleOnce(ctx, e) })
		if !ok || settled.Answer.Applied || settled.Answer.Agent != "" || settled.Answer.Serving != "" {
			return
		}
		version = settled.Answer.Version
	}
}

func (c *workerClient) receive(ctx context.Context, e *event) error {
	got, err := c.s.Receive(ctx, kefu.Receipt{
		Customer: c.customer(), Key: kefu.MessageKey(fmt.Sprint(e.Push)), At: start, Default: "cs1", DefaultSticky: sticky,
		Reach: everybody, Idle: idle, Allowance: allowance,
	})
	e.Answer = outcome{Repeat: got.Repeat, Agent: got.Answer.Agent, Version: got.Version}
	return err
}

func (c *workerClient) settleOnce(ctx context.Context, e *event) error {
	st := kefu.Settlement{
		Customer: c.customer(), Key: kefu.MessageKey(fmt.Sprint(e.Push)), At: start, Version: e.Version, Idle: idle,
		Entry: "cs1", Sticky: sticky, Agent: e.Agent, Owner: e.Agent, Answer: named(e.Agent),
	}
	got, err := c.s.Settle(ctx, st)
	for c.lies && err == nil && !got.Applied && got.Answer.Agent == "" {
		st.Version = got.Now.Version
		got, err = c.s.Settle(ctx, st)
	}
	e.Answer = outcome{Applied: got.Applied, Agent: got.Answer.Agent, Version: got.Now.Version, Serving: got.Now.Serving}
	return err
}

func (c *workerClient) end(ctx context.Context, e *event) error {
	done, err := c.s.End(ctx, kefu.Closing{Customer: c.customer(), Agent: e.Agent, At: start})
	e.Answer = outcome{Applied: done}
	return err
}

// sit takes a seat for somebody, and half of the time gives it back.
func (c *workerClient) sit(ctx context.Context) {
	in := event{Kind: callSeat, Person: c.rng.IntN(sharedPeople), Order: [sharedSeats]int{0, 1}}
	if c.rng.IntN(2) == 0 {
		in.Order = [sharedSeats]int{1, 0}
	}
	got, ok := c.call(in, func(e *event) error { return c.seat(ctx, e) })
	if !ok || got.Seat.Agent == "" || c.rng.IntN(2) == 0 || c.doubts >= workerDoubts {
		return
	}
	c.call(event{Kind: callRelease, Person: got.Person, Seat: got.Seat}, func(e *event) error {
		return c.s.Release(ctx, c.person(e.Person), e.Seat)
	})
}

func (c *workerClient) person(n int) kefu.CustomerID {
	return kefu.CustomerID{App: "shop", User: fmt.Sprintf("p%d-%d", c.round, n)}
}

// seated names an agent of a round.
func seated(round, agent int) kefu.AgentID { return kefu.AgentID(fmt.Sprintf("a%d-%d", round, agent)) }

// capacityOf is the capacity of an agent whose seats are shared.
func capacityOf(agent int) int { return agent + 1 }

func (c *workerClient) seat(ctx context.Context, e *event) error {
	r := kefu.SeatRequest{Customer: c.person(e.Person), Entry: "cs1", At: start, Idle: idle}
	for _, a := range e.Order {
		r.Candidates = append(r.Candidates, kefu.SeatCandidate{Agent: seated(c.round, a), Capacity: capacityOf(a)})
	}
	var err error
	e.Seat, err = c.s.Seat(ctx, r)
	return err
}

// scoreOf reads a token: the seat's score, and the one before it, 0 = none.
func scoreOf(s kefu.Seat) (float64, float64) {
	score, before, _ := strings.Cut(s.Token, " ")
	number := func(text string) float64 {
		f, _ := strconv.ParseFloat(text, 64) // "" = none
		return f
	}
	return number(score), number(before)
}
