package main

import (
	"flag"
	"fmt"
	"strings"
	"sync"
	"testing"

	"kefud/internal/redistest"
	"kefud/internal/simulator"
)

const racers = 64

// raceRounds is how often a race is run. More than a few want the race detector
// off.
var raceRounds = flag.Int("race-rounds", 6, "rounds of each race between processes")

// seatRounds is as many, within the agents that a desk can have.
func seatRounds() int { return min(*raceRounds, 90) }

// raceConfig has an entry with one seat in all for each round, and one with
// four agents to choose from.
func raceConfig() string {
	var agents, entries strings.Builder
	for n := range seatRounds() {
		fmt.Fprintf(&agents, "  - {id: single%d, capacity: 1, desk: {app: shop, account: single%d@gh_shop}}\n", n, n)
		fmt.Fprintf(&entries, "      - {tag: one%d, steps: [{agent: single%d}]}\n", n, n)
	}
	for n := range 4 {
		fmt.Fprintf(&agents, "  - {id: many%d, capacity: 0, desk: {app: shop, account: many%d@gh_shop}}\n", n, n)
	}
	return rigHead + "agents:\n" + agents.String() + `
groups: [{name: many, agents: [many0, many1, many2, many3]}]
apps:
  - name: shop
    app_id: wx00000000000000a1
    app_secret: secret-of-shop
    original_id: gh_shop
    token: token-of-shop
    transfer_to_agent: always
    presence: {refresh: 100ms, stale_after: 30s}
    default_entry: many
    entries:
      - {tag: many, steps: [{group: many}]}
` + entries.String()
}

// launchRacers starts three processes on one Redis. The simulated desk takes
// nobody, so that every message of a customer comes to them.
func launchRacers(t *testing.T) *fleet {
	t.Helper()
	return launchFleet(t, 3, rigOptions{
		config: raceConfig(), redis: redistest.Start(t), env: map[string]string{"BUDGET": "4s"},
		account: func(o *simulator.AccountOptions) { o.Naming = simulator.NamingIgnored },
		agent:   func(o *simulator.AgentOptions) { o.Manual = true },
	})
}

// race sends pushes at the same time and gives their answers.
func (r *rig) race(pushes []*simulator.Push) []simulator.Answer {
	r.t.Helper()
	answers := make([]simulator.Answer, len(pushes))
	start := make(chan struct{})
	var runners sync.WaitGroup
	for i, push := range pushes {
		runners.Go(func() {
			<-start
			answers[i] = answer(r.t, r.send(push))
		})
	}
	close(start)
	runners.Wait()
	return answers
}

// count counts answers by the agent they name.
func count(answers []simulator.Answer) map[string]int {
	named := map[string]int{}
	for _, a := range answers {
		named[a.KfAccount]++
	}
	return named
}

func TestOneConversationHasOneAgentHoweverManyProcessesRace(t *testing.T) {
	t.Parallel()
	f := launchRacers(t)
	for round := range *raceRounds {
		c := f.somebody("shop")
		var pushes []*simulator.Push
		for n := range racers {
			pushes = append(pushes, c.Text(fmt.Sprintf("message %d", n)))
		}
		named := count(f.race(pushes))
		if len(named) != 1 || named[""] > 0 {
			t.Errorf("round %d: one customer's messages went to %v", round, named)
		}
	}
	f.notDegraded()
	f.well()
}

func TestOneFreeSeatIsTakenOnceHoweverManyProcessesRace(t *testing.T) {
	t.Parallel()
	f := launchRacers(t)
	for round := range seatRounds() {
		var people []*simulator.Customer
		var taps []*simulator.Push
		for range racers {
			c := f.somebody("shop")
			people = append(people, c)
			taps = append(taps, c.Enter(fmt.Sprintf("one%d", round)))
		}
		f.race(taps)
		// Twice: nobody gains or loses a seat by asking again.
		want := map[string]int{fmt.Sprintf("single%d@gh_shop", round): 1, "": racers - 1}
		for range 2 {
			var texts []*simulator.Push
			for _, c := range people {
				texts = append(texts, c.Text("hello"))
			}
			if named := count(f.race(texts)); fmt.Sprint(named) != fmt.Sprint(want) {
				t.Errorf("round %d: one seat and %d customers: %v, want %v", round, racers, named, want)
			}
		}
	}
	f.notDegraded()
	f.well()
}

func TestRepeatGetsTheSameAnswerFromAnotherProcess(t *testing.T) {
	t.Parallel()
	f := launchRacers(t)
	for range 20 {
		c := f.somebody("shop")
		push := c.Text("hello")
		first := count(f.race([]*simulator.Push{push, push, push}))
		again := count(f.race([]*simulator.Push{push, push, push}))
		if len(first) != 1 || fmt.Sprint(first) != fmt.Sprint(again) || first[""] > 0 {
			t.Errorf("the same push was answered with %v, then with %v", first, again)
		}
	}
	repeats := 0.0
	for _, url := range f.urls {
		repeats += metric(t, url, "kefud_decisions_total", `reason="repeat"`)
	}
	if repeats != 20*5 {
		t.Errorf("%v repeats counted, want 100", repeats)
	}
	f.notDegraded()
	f.well()
}

// notDegraded fails the test if any process answered by the fallback.
func (f *fleet) notDegraded() {
	f.t.Helper()
	for _, url := range f.urls {
		if n := metric(f.t, url, "kefud_degraded_total"); n > 0 {
			_, page := get(f.t, url+"/metrics", nil)
			for line := range strings.Lines(page) {
				if strings.HasPrefix(line, "kefud_degraded_total") {
					f.t.Errorf("degraded: %s", line)
				}
			}
		}
	}
}
