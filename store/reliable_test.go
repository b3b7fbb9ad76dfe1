package store_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"kefud/internal/redistest"
	"kefud/internal/soak"
	"kefud/kefu"
)

// The seats of a round's agents, as porcupine sees them.
type (
	seatAct struct {
		release bool
		person  int
		order   [sharedSeats]int
		seat    kefu.Seat // of release
	}
	seatAnswer struct {
		unknown bool
		round   int
		seat    kefu.Seat
	}
	// A score names a taking; 0 is none.
	seatState [sharedSeats][sharedPeople]float64
)

// unseen is the score of a taking whose answer nobody had.
const unseen = -1.0

func (s seatState) taken(agent int) int {
	n := 0
	for _, score := range s[agent] {
		if score != 0 {
			n++
		}
	}
	return n
}

func seatStep(s seatState, in seatAct, out seatAnswer) (bool, seatState) {
	if in.release {
		return true, s.release(in, out.round)
	}
	var loads []int
	for _, a := range in.order {
		held := s[a][in.person]
		if held == 0 && s.taken(a) >= capacityOf(a) {
			loads = append(loads, s.taken(a))
			continue
		}
		score, before := scoreOf(out.seat)
		if out.unknown {
			score = unseen
		}
		s[a][in.person] = score
		loads = append(loads, s.taken(a))
		same := before == held || (held == unseen && before != 0)
		return out.unknown || (out.seat.Agent == seated(out.round, a) && same && sameLoads(out.seat.Loads, loads)), s
	}
	return out.unknown || (out.seat.Agent == "" && sameLoads(out.seat.Loads, loads)), s
}

func sameLoads(got []kefu.Load, want []int) bool {
	return slices.EqualFunc(got, want, func(l kefu.Load, n int) bool { return l.Seats == n })
}

func (s seatState) release(in seatAct, round int) seatState {
	score, before := scoreOf(in.seat)
	for a := range s {
		if seated(round, a) == in.seat.Agent && s[a][in.person] == score {
			s[a][in.person] = before
		}
	}
	return s
}

// seating is the model of the seats of two agents.
var seating = porcupine.Model{
	Init: func() any { return seatState{} },
	Step: func(s, in, out any) (bool, any) {
		ok, next := seatStep(as[seatState](s), as[seatAct](in), as[seatAnswer](out))
		return ok, next
	},
}

// histories makes porcupine's two histories of a round's events. What nobody knows
// the end of may be carried out at any time after it was called.
func histories(events []event) ([]porcupine.Operation, []porcupine.Operation) {
	var talk, seats []porcupine.Operation
	for _, e := range events {
		op := porcupine.Operation{ClientId: e.Client, Call: e.Call, Return: e.Return}
		unknown := e.Return == 0
		if unknown {
			op.Return = math.MaxInt64
		}
		switch e.Kind {
		case callSeat, callRelease:
			in, out := seatAct{person: e.Person, order: e.Order}, seatAnswer{unknown: unknown, round: e.Round, seat: e.Seat}
			if e.Kind == callRelease {
				in.release, in.seat, out.seat = true, e.Seat, kefu.Seat{}
			}
			op.Input, op.Output = in, out
			seats = append(seats, op)
		default:
			e.Answer.Unknown = unknown
			op.Input = act{push: e.Push, settle: e.Kind == callSettle, end: e.Kind == callEnd, version: e.Version, agent: e.Agent}
			op.Output = e.Answer
			talk = append(talk, op)
		}
	}
	return talk, seats
}

// A crew is several worker processes on one Redis.
type crew struct {
	t       *testing.T
	workers []*crewWorker
	round   int
	calls   int
	doubts  int
}

type crewWorker struct {
	in  io.WriteCloser
	out *bufio.Scanner
}

// hire starts a crew of three, which ends with the test.
func hire(t *testing.T, redis *redistest.Server, lies bool) *crew {
	t.Helper()
	c := &crew{t: t}
	for n := range 3 {
		job, err := json.Marshal(employment{Addr: redis.Addr, Prefix: "crew", Worker: n, Timeout: workerTimeout, Lies: lies})
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env, cmd.Stderr = append(os.Environ(), asWorker+"="+string(job)), os.Stderr
		in, errIn := cmd.StdinPipe()
		out, errOut := cmd.StdoutPipe()
		if errIn != nil || errOut != nil {
			t.Fatalf("pipes of a worker: %v, %v", errIn, errOut)
		}
		if err := cmd.Start(); err != nil {
			t.Fatalf("start a worker: %v", err)
		}
		t.Cleanup(func() {
			_ = in.Close() // which ends it
			if err := cmd.Wait(); err != nil && t.Context().Err() == nil {
				t.Errorf("a worker ended with %v", err)
			}
		})
		c.workers = append(c.workers, &crewWorker{in: in, out: bufio.NewScanner(out)})
	}
	return c
}

// workerTimeout is what a worker gives a call, which is soon over on a machine
// that does nothing else.
const workerTimeout = 300 * time.Millisecond

// play lets all workers do one round at the same time, and gives what they saw.
func (c *crew) play() []event {
	c.t.Helper()
	c.round++
	for _, w := range c.workers {
		if _, err := fmt.Fprintln(w.in, c.round); err != nil {
			c.t.Fatalf("tell a worker: %v", err)
		}
	}
	var all []event
	for n, w := range c.workers {
		for {
			var e event
			if !w.out.Scan() {
				c.t.Fatalf("worker %d is gone: %v", n, w.out.Err())
			}
			if err := json.Unmarshal(w.out.Bytes(), &e); err != nil {
				c.t.Fatalf("read worker %d: %v", n, err)
			}
			if e.Over {
				break
			}
			all = append(all, e)
			c.calls++
			if e.Return == 0 {
				c.doubts++
			}
		}
	}
	return all
}

// checkable is how long one history may take to be checked; it takes milliseconds.
const checkable = time.Minute

// ordered reports whether both histories of a round can be put into an order.
func (c *crew) ordered(events []event) bool {
	c.t.Helper()
	talk, seats := histories(events)
	for _, h := range []struct {
		model porcupine.Model
		ops   []porcupine.Operation
	}{{conversations, talk}, {seating, seats}} {
		switch porcupine.CheckOperationsTimeout(h.model, h.ops, checkable) {
		case porcupine.Illegal:
			return false
		case porcupine.Unknown:
			c.t.Fatalf("round %d: %d calls could not be checked within %s", c.round, len(h.ops), checkable)
		case porcupine.Ok:
		}
	}
	return true
}

// What processes see of conversations and seats can be put into one order, in
// which every call does what it is meant to do, at a moment between when it was
// made and when it was answered.
func TestReliableCallsOfProcessesAreOneAfterTheOther(t *testing.T) {
	t.Parallel()
	c := hire(t, redistest.Start(t), false)
	refusals := 0
	for range soak.Pick(60, 5000) {
		events := c.play()
		if !c.ordered(events) {
			t.Fatalf("cannot be put into an order: %+v", events)
		}
		if twice, ok := secondWinner(events); ok {
			refusals++
			if c.ordered(twice) {
				t.Fatalf("two settlements of one version seem to be in order: %+v", twice)
			}
		}
	}
	if c.doubts > 0 {
		t.Logf("%d calls were not answered in time", c.doubts) // the machine is slow
	}
	if refusals == 0 {
		t.Error("no two settlements were after the same version: these workers do not race")
	}
	soak.Measured(t, "linearizable", "%d calls in %d histories of 3 processes with 6 clients, all in order; each of %d histories with one answer changed was refused", c.calls, 2*c.round, refusals)
}

// secondWinner gives a history in which a settlement that came too late for its
// version has been applied all the same.
func secondWinner(events []event) ([]event, bool) {
	won := map[int64]bool{}
	for _, e := range events {
		if e.Kind == callSettle && e.Answer.Applied {
			won[e.Version] = true
		}
	}
	for i, e := range events {
		if e.Kind == callSettle && e.Return > 0 && !e.Answer.Applied && e.Answer.Agent == "" && won[e.Version] {
			out := slices.Clone(events)
			out[i].Answer = outcome{Applied: true}
			return out, true
		}
	}
	return nil, false
}

// Workers whose store answers wrongly are found out.
func TestReliableCheckerFindsAStoreThatLies(t *testing.T) {
	t.Parallel()
	c := hire(t, redistest.Start(t), true)
	for range 500 {
		if !c.ordered(c.play()) {
			soak.Measured(t, "linearizable-lies", "found in history %d", c.round)
			return
		}
	}
	t.Errorf("%d rounds of a store that overwrites what others settled can be put into an order", c.round)
}

// The same while Redis freezes, breaks connections and forgets its scripts: a call
// without an answer was carried out once, or never, and whenever that was, all
// others are in order.
func TestReliableCallsStayInOrderWhileRedisFails(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	c := hire(t, redis, false)
	stop, done := make(chan struct{}), make(chan map[string]int)
	go func() { done <- plague(redis, stop) }()
	end := time.Now().Add(soak.Pick(6*time.Second, 4*time.Minute))
	for time.Now().Before(end) {
		if events := c.play(); !c.ordered(events) {
			t.Errorf("cannot be put into an order: %+v", events)
			break
		}
	}
	close(stop)
	faults := <-done
	if c.doubts == 0 || faults["freezes"] == 0 {
		t.Errorf("%d calls without an answer, %v: nothing failed", c.doubts, faults)
	}
	soak.Measured(t, "linearizable-faults", "%d calls in %d histories, %d of them without an answer, under %d freezes, %d cuts of all connections and %d losses of all scripts: all in order", c.calls, 2*c.round, c.doubts, faults["freezes"], faults["cuts"], faults["losses"])
}

// plague does to Redis what can happen to it, until stop is closed, and counts
// that.
func plague(redis *redistest.Server, stop chan struct{}) map[string]int {
	faults := map[string]int{}
	between := func(least, most time.Duration) bool {
		select {
		case <-stop:
			return false
		case <-time.After(least + rand.N(most-least)):
			return true
		}
	}
	for between(20*time.Millisecond, 200*time.Millisecond) {
		switch rand.N(4) {
		case 0:
			faults["freezes"]++
			redis.Pause()
			between(workerTimeout/2, 2*workerTimeout)
			redis.Resume()
		case 1:
			faults["losses"]++
			redis.FlushScripts()
		default:
			faults["cuts"]++
			redis.MustDo("CLIENT", "KILL", "TYPE", "normal")
		}
	}
	return faults
}

// However long it is walked at random, the store does what the models do that say
// in plain Go what it promises of conversations and seats, and of agents' chats.
func TestReliableStoreDoesAsItsModels(t *testing.T) {
	t.Parallel()
	b := server(t)
	var calls, chat atomic.Int64
	for range soak.Pick(1, 25) {
		walkModel(t, b, &calls)
		walkChatModel(t, b, &chat)
	}
	soak.Measured(t, "model", "%d walks: %d calls about conversations and seats, %d about agents' chats", b.count.Load(), calls.Load(), chat.Load())
}
