package main

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kefud/internal/redistest"
	"kefud/internal/simulator"
)

// relayOutage is how long WeChat's API is down in a test of that. More than 20 s
// wants more patience than a test has by itself.
var relayOutage = flag.Duration("relay-outage", 2*time.Second, "how long the API is down in the middle of relayed conversations")

// The API does not work for a while, in both directions of the relay. Pushes are
// answered in time, every message is in a chat or at the desk, agents' words
// arrive in order when the API works again. Only what may have arrived is sent
// twice.
func TestRelayOutlivesAnOutageOfTheAPI(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		broken simulator.APIBreak
		none   bool // what failed had no effect, which is plain without waiting
	}{
		{"500", simulator.APIBreak{Status: 500}, true},
		{"reset", simulator.APIBreak{Path: sendPath, Reset: true}, true},
		{"hangs", simulator.APIBreak{Path: sendPath, Latency: time.Minute, Status: 504}, false},
		{"hangs and works", simulator.APIBreak{Path: sendPath, Latency: time.Minute}, false},
		{"busy", simulator.APIBreak{Path: sendPath, ErrCode: -1}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			timeout := "1s"
			if tt.none {
				timeout = "10s" // a call that works but takes long is in doubt too
			}
			r := start(t, rigOptions{config: playConfig, redis: redistest.Start(t), env: map[string]string{"API_TIMEOUT": timeout, "ALLOWED": "1000"}})
			chats := r.bound("wang", "li")
			r.outage = *relayOutage
			b := &bustle{r: r}
			b.begin(chats, slices.Concat(r.patrons(1, "one"), r.patrons(1, "two"), r.patrons(2, "both")))
			b.more(20)
			heal := r.box.BreakAPI(tt.broken)
			<-time.After(*relayOutage)
			heal()
			b.more(20)
			b.relayedAgain() // no sooner than the client tries again
			b.stop()
			b.inTime()
			sum := b.tell()
			stalled := time.Duration(b.stalled.Load())
			t.Logf("%+v, stalled for %s", sum, stalled)
			if sum.readTwice > sum.marked {
				t.Errorf("agents read %d messages twice, and %d were marked", sum.readTwice, sum.marked)
			}
			// Calls that the machine was too slow for may have worked. A callback's time may be
			// over after less of a stall than is noticed.
			late := strings.Contains(r.log.String(), `the caller's time is over`)
			steady := stalled < 100*time.Millisecond && !late
			if steady && tt.none && (sum.heardTwice > 0 || sum.readTwice > 0) {
				t.Errorf("%d answers and %d messages came twice, although none of the failures had an effect", sum.heardTwice, sum.readTwice)
			}
			r.well()
		})
	}
}

// What may have arrived is sent again. An agent is told so by a mark; a customer
// gets the words a second time, and no third.
func TestRelayMarksWhatMayHaveArrived(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		broken simulator.APIBreak
		had    int // times that it arrived when it failed
		doubt  bool
	}{
		{"refused", simulator.APIBreak{ErrCode: -1}, 0, false},
		{"reset", simulator.APIBreak{Reset: true}, 0, true},
		{"reset too late", simulator.APIBreak{Reset: true, Late: true}, 1, true},
		{"half an answer", simulator.APIBreak{Truncate: true}, 1, true},
		{"no answer in time", simulator.APIBreak{Latency: time.Minute}, 1, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			timeout := "10s"
			if tt.broken.Latency > 0 {
				timeout = "300ms"
			}
			r := start(t, rigOptions{config: playConfig, env: map[string]string{"API_TIMEOUT": timeout, "BUDGET": "4s"}})
			wang := r.bound("wang")[0]
			p := r.patrons(1, "one")[0]
			p.relayed(6) // 4 come, word that there is more, and 2 are held
			r.await("word that there is more comes", func() bool { return slices.Contains(from(wang.user, simulator.FromAPI), moreWaits) })
			broken := tt.broken
			broken.Path, broken.Account, broken.Calls = sendPath, r.accounts["board"], 1
			r.box.BreakAPI(broken)
			wang.says("列表")
			mark := ""
			if tt.doubt {
				mark = doubtText
			}
			var want []string
			for range tt.had {
				want = append(want, held("", p, 5, 6))
			}
			want = append(want, held(mark, p, 5, 6))
			r.await("what was held comes", func() bool { return slices.Contains(from(wang.user, simulator.FromAPI)[5:], want[len(want)-1]) })
			p.relayed(1)
			want = append(want, held("", p, 7, 7))
			if got := from(wang.user, simulator.FromAPI)[5:]; !slices.Equal(got, want) {
				t.Errorf("he has\n%q\nwant\n%q", got, want)
			}

			broken.Account = r.accounts["shop"]
			r.box.BreakAPI(broken)
			wang.says("答复")
			r.await("the customer has it", func() bool { return len(p.heard()) > tt.had })
			wang.says("又一条")
			r.hears(p.user, "又一条")
			heard := slices.Repeat([]string{"答复"}, tt.had+1)
			if got := p.heard(); !slices.Equal(got, append(heard, "又一条")) {
				t.Errorf("the customer heard %q", got)
			}
			r.well()
		})
	}
}

// held is what an agent is sent of messages of a customer that go out in one.
func held(mark string, p *patron, from, to int) string {
	text := ""
	for n := from; n <= to; n++ {
		text += fmt.Sprintf("#1 售前 · %s%s-%04d\n", mark, p.name, n)
	}
	return text[:len(text)-1]
}
