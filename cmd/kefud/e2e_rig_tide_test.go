package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kefud/internal/simulator"
)

// everydayConfig is a mini-program with three buttons whose customers go to
// WeChat's desk, and one whose customers an agent has in his own chat.
var everydayConfig = strings.Replace(unlimited(strings.NewReplacer(
	"log: {level: debug}", "log: {level: info}",
	"  - {id: wang, ", "  - {id: chen, capacity: 0, relay: {app: board}}\n  - {id: wang, ",
).Replace(smallConfig)), "      - {tag: cs1, ", "      - {tag: own, name: own, answer_timeout: 0s, steps: [{agent: chen}]}\n      - {tag: cs1, ", 1) + `
  - name: board
    kind: official_account
    role: switchboard
    app_id: wx00000000000000b1
    app_secret: secret-of-board
    original_id: gh_board
    token: token-of-board
    encoding_aes_key: abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG
    encryption: safe
    allowance: {after_message: 1000000, after_message_window: 48h}
`

// A tide is a load of pushes by the same people, as fast as it is told.
type tide struct {
	r       *rig
	people  []*simulator.Customer
	tags    []string
	every   atomic.Int64 // between two pushes; 0 = as fast as it goes
	pushes  atomic.Int64 // answered
	stalled *stall

	mu      sync.Mutex
	next    time.Time
	wrong   []string
	slowest time.Duration
}

// newTide makes so many people, each of whom has tapped one of the buttons.
func newTide(r *rig, people int, tags ...string) *tide {
	d := &tide{r: r, tags: tags}
	for i := range people {
		c := r.somebody("shop")
		r.tap(c, tags[i%len(tags)])
		d.people = append(d.people, c)
	}
	return d
}

// run lets so many people write at once, until ctx ends.
func (d *tide) run(ctx context.Context, workers int) {
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := w; d.wait(ctx); i += workers {
				c := d.people[i%len(d.people)]
				result, err := c.Text(fmt.Sprintf("%d: hello", i)).Send(context.WithoutCancel(ctx))
				d.r.leave(c)
				d.note(result, err)
			}
		})
	}
	all.Wait()
}

// wait waits for the moment of the next push, or reports that it is over.
func (d *tide) wait(ctx context.Context) bool {
	every := time.Duration(d.every.Load())
	if every == 0 {
		return ctx.Err() == nil
	}
	d.mu.Lock()
	if now := time.Now(); d.next.Before(now) {
		d.next = now
	}
	due := time.Until(d.next)
	d.next = d.next.Add(every)
	d.mu.Unlock()
	select {
	case <-ctx.Done():
		return false
	case <-time.After(due):
		return true
	}
}

// note keeps what a push came to, and how long the slowest took.
func (d *tide) note(result simulator.Result, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.wrong = append(d.wrong, err.Error())
	}
	for _, a := range result.Attempts {
		d.slowest = max(d.slowest, a.Took)
		if a.Wrong != "" {
			d.wrong = append(d.wrong, a.Wrong)
		}
	}
	d.pushes.Add(1)
}

// good fails the test unless every push was answered well and in time.
func (d *tide) good() {
	d.r.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.wrong) > 0 {
		d.r.t.Errorf("%d of %d pushes were not answered well, the first: %s", len(d.wrong), d.pushes.Load(), d.wrong[0])
	}
	if most := budget + slackTime + 3*d.stalled.longest(); d.slowest > most {
		d.r.t.Errorf("a push took %s, at most %s are allowed", d.slowest, most)
	}
}

// A stall watches how long the machine leaves this process waiting.
type stall struct{ most atomic.Int64 }

func watchStalls(t *testing.T) *stall {
	t.Helper()
	s := &stall{}
	ended := make(chan struct{})
	go func() {
		const every = 20 * time.Millisecond
		ticks := time.NewTicker(every)
		defer ticks.Stop()
		for last := time.Now(); ; last = time.Now() {
			select {
			case <-ended:
				return
			case <-ticks.C:
				s.most.Store(max(s.most.Load(), int64(time.Since(last)-every)))
			}
		}
	}()
	t.Cleanup(func() { close(ended) })
	return s
}

func (s *stall) longest() time.Duration { return time.Duration(s.most.Load()) }
