package main

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"kefud/internal/redistest"
	"kefud/internal/simulator"
	"kefud/internal/soak"
)

// kill kills the only process of a fleet and starts another; pushes wait meanwhile.
func (f *fleet) kill(way *gate) {
	f.t.Helper()
	way.shut()
	p := f.processes[len(f.processes)-1]
	p.signal(syscall.SIGKILL)
	p.exit(patience)
	f.urls = nil
	f.add()
	f.take()
	way.open()
	f.url = f.urls[0]
}

// The server is killed again and again in the middle of conversations, and
// started anew. Whatever it had answered well is not lost, in neither direction,
// and in order; what was on its way may come twice.
func TestReliableRelayLosesNothingWhenTheServerIsKilled(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	slow := newLag(t, redis.Addr)
	f := launchFleet(t, 1, rigOptions{config: playConfig, redis: redis, addr: slow.addr, env: map[string]string{"ALLOWED": "100000"}})
	way := newGate(f.wire.next)
	f.wire.next = way
	chats := f.boundAll("wang", "li")
	slow.delay.Store(int64(10 * time.Millisecond)) // so that much is on its way at any time
	b := &bustle{r: f.rig, eager: true}
	b.begin(chats, slices.Concat(f.patrons(2, "one"), f.patrons(2, "two"), f.patrons(2, "both")))
	rng := rand.New(rand.NewPCG(1, 2))
	kills := soak.Pick(5, 200)
	for range kills {
		b.more(rng.Int64N(60))
		f.kill(way)
	}
	b.more(20)
	b.stop()
	sum := b.tell()
	soak.Measured(t, "sigkill-relay", "%d kills, Redis 10 ms away: of %d messages and %d answers that were taken none is missing or out of order; on their way at a kill, and so repeated: %d messages to agents (%d marked as such), %d answers to customers",
		kills, sum.written, sum.accepted, sum.readTwice, sum.marked, sum.heardTwice)
	f.well()
}

// The same while customers come and are greeted: whoever was taken in is greeted, and
// twice at most who was being greeted when the server was killed.
func TestReliableGreetingsOutliveAKill(t *testing.T) {
	t.Parallel()
	f := launchFleet(t, 1, rigOptions{
		config: everydayConfig, redis: redistest.Start(t), agent: func(o *simulator.AgentOptions) { o.Capacity = 0 },
		box: simulator.Options{Repushes: 10}, // the kills come faster after each other than WeChat's own three pushes
	})
	way := newGate(f.wire.next)
	f.wire.next = way
	f.box.BreakAPI(simulator.APIBreak{Path: sendPath, Latency: 20 * time.Millisecond}) // as far away as WeChat is
	const at = 8
	var came atomic.Int64
	var people []*simulator.Customer
	var mu sync.Mutex
	var runners sync.WaitGroup
	over := make(chan struct{})
	stop := sync.OnceFunc(func() { close(over) })
	defer stop()
	ticks := time.NewTicker(4 * time.Millisecond)
	defer ticks.Stop()
	for range at {
		runners.Go(func() {
			for {
				select {
				case <-over:
					return
				case <-ticks.C:
				}
				mu.Lock()
				c := f.somebody("shop")
				people = append(people, c)
				mu.Unlock()
				for _, push := range []*simulator.Push{c.Enter("cs1"), c.Text("hello")} {
					result, err := push.Send(t.Context())
					if n := len(result.Attempts); err != nil || n == 0 || result.Attempts[n-1].Wrong != "" {
						t.Errorf("a push was not answered well: %v, %+v", err, result.Attempts)
					}
				}
				f.leave(c)
				came.Add(1)
			}
		})
	}
	rng := rand.New(rand.NewPCG(3, 4))
	kills := soak.Pick(5, 200)
	for range kills {
		since := came.Load() + rng.Int64N(40)
		eventually(t, "customers come", func() bool { return came.Load() > since })
		f.kill(way)
	}
	stop()
	runners.Wait()
	twice := 0
	for _, c := range people {
		greetings := func() []string {
			return slices.DeleteFunc(notices(c), func(s string) bool { return !strings.HasPrefix(s, "greeting") })
		}
		f.await("the customer is greeted", func() bool { return len(greetings()) > 0 })
		twice += len(greetings()) - 1
	}
	if twice > kills*at {
		t.Errorf("greeted again %d times after %d kills: more than can have been on their way", twice, kills)
	}
	soak.Measured(t, "sigkill", "%d kills while %d customers came: each was answered and greeted; on their way at a kill, and so repeated: %d greetings",
		kills, len(people), twice)
	f.well()
}
