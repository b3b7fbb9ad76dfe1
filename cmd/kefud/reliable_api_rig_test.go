package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kefud/handler"
	"kefud/internal/redistest"
	"kefud/internal/simulator"
	"kefud/internal/soak"
	"kefud/kefu"
)

// apiConfig is playConfig, and another mini-program, whose customers are greeted
// and whose agent is at WeChat's desk.
var apiConfig = strings.NewReplacer("apps:", `  - {id: zhao, desk: {app: front, account: kf1@gh_front}}
apps:
  - name: front
    app_id: wx00000000000000c1
    app_secret: secret-of-front
    original_id: gh_front
    token: token-of-front
    presence: {refresh: 1s, stale_after: 10m}
    notices: {greeting: "greeting of {{.Entry}}", waiting: ""}
    default_entry: cs1
    entries: [{tag: cs1, name: front, steps: [{agent: zhao}]}]
`, "key_prefix: e2e", "key_prefix: ${PREFIX:-e2e}").Replace(playConfig)

// An apiFault is something that WeChat's API suffers from.
type apiFault struct {
	row    string // in docs/reliability.md
	broken simulator.APIBreak
	strike func(*rig) (heal func()) // instead of broken
	front  bool                     // it strikes the app front alone
	stops  string                   // why calls are stopped; "" = they must not be
	twice  bool                     // what fails may have had an effect
	env    map[string]string
}

// An apiTrial is one fault with a server and traffic of its own.
type apiTrial struct {
	*rig
	apiFault
	traffic *bustle
	watch   *stopwatch
	heal    func()

	visitors  int
	before    map[string]float64 // deliveries by outcome when it struck
	stoppedAt time.Time          // when calls were first seen to be stopped
	hits      int                // calls for sends until then, and later since then
	struck    time.Time
	healed    time.Time
	owed      map[string]bool // what waited when it was healed
	kept      int
	written   []int         // how much each customer had written then
	recovered time.Duration // from then until nothing of it waited
}

// newAPITrial starts a server, and traffic of three customers and two agents.
func newAPITrial(t *testing.T, redis *redistest.Server, f apiFault) *apiTrial {
	t.Helper()
	// A call that works but takes long would be in doubt too.
	env := map[string]string{"PREFIX": f.row, "ALLOWED": "100000", "API_TIMEOUT": "10s"}
	maps.Copy(env, f.env)
	r := start(t, rigOptions{config: apiConfig, redis: redis, env: env})
	r.outage = outageOf()
	a := &apiTrial{rig: r, apiFault: f, watch: &stopwatch{next: r.wire.next}, traffic: &bustle{r: r, eager: true, pace: 400 * time.Millisecond}}
	chats := r.bound("wang", "li")
	r.wire.next = a.watch
	a.traffic.begin(chats, slices.Concat(r.patrons(1, "one"), r.patrons(1, "two"), r.patrons(1, "both")))
	return a
}

// outageOf is how long each fault lasts.
func outageOf() time.Duration { return soak.Pick(4*time.Second, time.Minute) }

// visit lets somebody come who is greeted, and who writes to WeChat's desk.
func (a *apiTrial) visit() {
	a.t.Helper()
	c := a.somebody("front")
	a.visitors++
	for _, result := range []simulator.Result{a.tap(c, "cs1"), a.say(c, "hello")} {
		if took := result.Attempts[0].Took; len(result.Attempts) != 1 || took > budget+slackTime+3*time.Duration(a.traffic.stalled.Load()) {
			a.t.Errorf("%s: a visitor's push was answered after %s, tries %d", a.row, took, len(result.Attempts))
		}
	}
	a.leave(c)
}

// begins lets the fault strike.
func (a *apiTrial) begins() {
	a.t.Helper()
	a.before = a.outcomes()
	a.watch.begin(1)
	a.struck = time.Now()
	a.hits = a.box.Hits(sendPath)
	switch {
	case a.strike != nil:
		a.heal = a.strike(a.rig)
	case a.front:
		a.broken.Account = a.accounts["front"]
		fallthrough
	default:
		a.heal = a.box.BreakAPI(a.broken)
	}
}

// outcomes counts deliveries by what became of them.
func (a *apiTrial) outcomes() map[string]float64 {
	a.t.Helper()
	all := map[string]float64{}
	for _, outcome := range []string{"sent", "retry", "dropped", "buried"} {
		all[outcome] = a.metric("kefud_outbox_deliveries_total", `outcome="`+outcome+`"`)
	}
	return all
}

// stopped waits until calls are stopped, if they are to be.
func (a *apiTrial) stopped() {
	a.t.Helper()
	if a.stops == "" {
		return
	}
	eventually(a.t, a.row+": calls are stopped", func() bool {
		return a.metric("kefud_wechat_stopped", `why="`+a.stops+`"`, `op="send"`) >= 1
	})
	a.stoppedAt, a.hits = time.Now(), a.box.Hits(sendPath)
}

// ends heals the fault, after a look at what an operator sees of it.
func (a *apiTrial) ends() {
	a.t.Helper()
	a.hits = a.box.Hits(sendPath) - a.hits
	a.seen()
	for _, d := range a.list(kefu.OwedWaiting) {
		if a.owed == nil {
			a.owed = map[string]bool{}
		}
		a.owed[d.ID] = true
	}
	a.kept = len(a.owed)
	a.heal()
	a.watch.begin(2)
	a.healed = time.Now()
	for _, p := range a.traffic.people {
		a.written = append(a.written, p.count())
	}
}

// seen checks what an operator sees of a fault, and that WeChat is left alone.
func (a *apiTrial) seen() {
	a.t.Helper()
	_, page := get(a.t, a.url+"/readyz", nil)
	if a.stops == "" {
		if n := a.metric("kefud_wechat_stopped") + a.metric("kefud_wechat_calls_total", `outcome="breaker_open"`) + a.metric("kefud_wechat_calls_total", `outcome="stopped"`); n != 0 {
			a.t.Errorf("%s: calls were stopped: %v", a.row, n)
		}
		return
	}
	if !strings.Contains(page, `"api":{"state":"degraded"`) || !strings.Contains(page, `"status":"degraded"`) {
		a.t.Errorf("%s: /readyz says nothing of it: %s", a.row, page)
	}
	line := `"message":"api does not answer`
	if a.stops != "unanswered" {
		line = `"message":"WeChat refuses all calls of the app`
	}
	if !strings.Contains(a.log.String(), line) {
		a.t.Errorf("%s: no line %s in the log", a.row, line)
	}
	// Of each app one call in 3.75 s, or in a minute after the first four; and those
	// that were about to be made when calls were stopped.
	lasted := time.Since(a.stoppedAt)
	most := len(a.accounts) * (int(lasted/(3750*time.Millisecond)) + 3)
	if a.stops != "unanswered" {
		most = min(most, len(a.accounts)*(int(lasted/time.Minute)+7))
	}
	if a.hits > most {
		a.t.Errorf("%s: %d calls for sends in the %s in which they were stopped, at most %d are allowed", a.row, a.hits, lasted, most)
	}
}

// list gives what the administration lists.
func (r *rig) list(state kefu.OwedState) []handler.Owed {
	r.t.Helper()
	client, err := newAdminClient(r.config, r.url)
	must(r.t, err)
	all, more, err := owedOf(r.t.Context(), client, state, outboxFlags{limit: listMost})
	must(r.t, err)
	if more {
		r.t.Fatalf("more than %d are %s", listMost, state)
	}
	return all
}

// catchesUp reports whether nothing waits any more of what waited when the fault
// was healed, and everybody has had a message relayed that he wrote since.
func (a *apiTrial) catchesUp() bool {
	a.t.Helper()
	if a.recovered > 0 {
		return true
	}
	for _, d := range a.list(kefu.OwedWaiting) {
		if a.owed[d.ID] {
			return false
		}
	}
	for i, p := range a.traffic.people {
		if !p.relayedSince(a.written[i]) {
			return false
		}
	}
	a.recovered = time.Since(a.healed)
	return true
}

// settles ends the traffic, and checks everything.
func (a *apiTrial) settles() {
	a.t.Helper()
	a.traffic.stop()
	a.traffic.inTime()
	sum := a.traffic.tell()
	if sum.readTwice > sum.marked {
		a.t.Errorf("%s: agents read %d messages twice, and %d were marked", a.row, sum.readTwice, sum.marked)
	}
	steady := time.Duration(a.traffic.stalled.Load()) < 200*time.Millisecond // else calls may have timed out that worked
	if steady && !a.twice && (sum.heardTwice > 0 || sum.readTwice > 0) {
		a.t.Errorf("%s: %d answers and %d messages came twice, although none of the failures had an effect", a.row, sum.heardTwice, sum.readTwice)
	}
	after := a.outcomes()
	gone := func(outcome string) int { return int(after[outcome] - a.before[outcome]) }
	if buried := a.list(kefu.OwedBuried); !a.front && len(buried) > 0 {
		a.t.Errorf("%s: buried: %+v", a.row, buried)
	}
	eventually(a.t, a.row+": no calls are stopped any more", func() bool { return a.metric("kefud_wechat_stopped") == 0 })
	a.well()
	stopped := "calls were not stopped"
	if a.stops != "" {
		stopped = fmt.Sprintf("calls stopped (%s) after %.1f s, %d sends tried in the %.0f s after that", a.stops, a.stoppedAt.Sub(a.struck).Seconds(), a.hits, a.healed.Sub(a.stoppedAt).Seconds())
	}
	before, during := a.watch.p99(0), a.watch.p99(1)
	soak.Measured(a.t, a.row, "%.0f s of it; %d callbacks, p99 %s before, %s during; %s; %d deliveries kept, %d sent, %d dropped, %d buried in all; all kept ones out %.1f s after recovery",
		a.healed.Sub(a.struck).Seconds(), a.watch.count(), before.Round(time.Millisecond), during.Round(time.Millisecond), stopped,
		a.kept, gone("sent"), gone("dropped"), gone("buried"), a.recovered.Seconds())
}

// A stopwatch takes the time of callbacks, in three phases.
type stopwatch struct {
	next  http.RoundTripper
	mu    sync.Mutex
	phase int
	took  [3][]time.Duration
}

// begin begins a phase.
func (w *stopwatch) begin(phase int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.phase = phase
}

// RoundTrip passes a callback on.
func (w *stopwatch) RoundTrip(req *http.Request) (*http.Response, error) {
	w.mu.Lock()
	phase := w.phase
	w.mu.Unlock()
	began := time.Now()
	resp, err := w.next.RoundTrip(req)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.took[phase] = append(w.took[phase], time.Since(began))
	return resp, err
}

func (w *stopwatch) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.took[0]) + len(w.took[1]) + len(w.took[2])
}

// p99 is what 99 of 100 callbacks of a phase did not exceed.
func (w *stopwatch) p99(phase int) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	took := slices.Sorted(slices.Values(w.took[phase]))
	if len(took) == 0 {
		return 0
	}
	return took[(len(took)*99+99)/100-1]
}

// revokesTokens makes all tokens die again and again, as somebody else does who
// has the secret and uses the old interface.
func revokesTokens(r *rig) func() {
	ctx, stop := context.WithCancel(r.t.Context())
	var thief sync.WaitGroup
	thief.Go(func() {
		ticks := time.NewTicker(20 * time.Millisecond)
		defer ticks.Stop()
		for ctx.Err() == nil {
			for _, a := range r.accounts {
				a.RevokeTokens()
			}
			<-ticks.C
		}
	})
	return func() { stop(); thief.Wait() }
}

// goesDown takes the API away.
func goesDown(r *rig) func() {
	up := r.box.Down()
	return func() {
		if err := up(r.t.Context()); err != nil {
			r.t.Fatalf("bring the API back: %v", err)
		}
	}
}
