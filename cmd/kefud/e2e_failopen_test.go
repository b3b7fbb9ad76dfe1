package main

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"kefud/internal/redistest"
	"kefud/internal/simulator"
	"kefud/kefu"
)

// slackTime is for a machine that has other things to do.
const slackTime = time.Second

// A mishap is something that happens to Redis, and its end.
type mishap struct {
	name         string
	lag          bool   // there is a lag before Redis
	says         string // what readiness says of it; "" = it is no reason to call the store broken
	strike, heal func(redis *redistest.Server, lag *lag)
}

func mishaps() []mishap {
	direct := func(f func(*redistest.Server)) func(*redistest.Server, *lag) {
		return func(r *redistest.Server, _ *lag) { f(r) }
	}
	run := func(commands ...string) func(*redistest.Server, *lag) {
		return direct(func(r *redistest.Server) {
			for _, c := range commands {
				r.MustDo(strings.Fields(c)...)
			}
		})
	}
	delay := func(d time.Duration) func(*redistest.Server, *lag) {
		return func(_ *redistest.Server, l *lag) { l.delay.Store(int64(d)) }
	}
	return []mishap{
		{name: "frozen", says: "no answer within", strike: direct((*redistest.Server).Pause), heal: direct((*redistest.Server).Resume)},
		{name: "killed", says: "not reached", strike: direct((*redistest.Server).Kill), heal: direct(func(r *redistest.Server) {
			r.Restart()
			allowKefud(r)
		})},
		{name: "full", says: "OOM", strike: run("CONFIG SET maxmemory 1"), heal: run("CONFIG SET maxmemory 0")},
		{
			name:   "password changed",
			says:   "WRONGPASS",
			strike: run("ACL SETUSER kefud resetpass >another", "CLIENT KILL USER kefud"),
			heal:   run("ACL SETUSER kefud >redis-password"),
		},
		{name: "slow", lag: true, strike: delay(700 * time.Millisecond), heal: delay(0)},
		{name: "very slow", lag: true, says: "no answer within", strike: delay(3 * time.Second), heal: delay(0)},
	}
}

// allowKefud makes the user that the tests of mishaps connect as.
func allowKefud(r *redistest.Server) {
	r.MustDo("ACL", "SETUSER", "kefud", "on", ">redis-password", "~*", "&*", "+@all")
}

var kefudUser = map[string]string{"REDIS_USER": "kefud", "REDIS_PASSWORD": "redis-password"}

func TestWhateverHappensToRedisEveryCustomerIsAnsweredInTime(t *testing.T) {
	t.Parallel()
	for _, m := range mishaps() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			redis := redistest.Start(t, "--maxmemory-policy", "noeviction")
			allowKefud(redis)
			// Seats taken by pushes that came to nothing are lost for a while.
			o := rigOptions{config: unlimited(smallConfig), redis: redis, env: kefudUser}
			var way *lag
			if m.lag {
				way = newLag(t, redis.Addr)
				o.addr = way.addr
			}
			r := start(t, o)
			known := r.somebody("shop")
			r.tap(known, "cs1")
			r.reaches(known, "wang")

			m.strike(redis, way)
			first := r.badTime(known)
			if m.says != "" {
				r.readyButDegraded(m.says)
			}
			r.sameAgain(first)
			m.heal(redis, way)

			r.recovers()
			r.sameAgain(first)
			r.decided(first.Push.Customer(), "", kefu.ReasonRepeat)
			eventually(t, "the server is ready and well", func() bool {
				code, page := get(t, r.url+"/readyz", nil)
				return code == http.StatusOK && strings.Contains(page, `"status":"ready"`)
			})
			r.well()
		})
	}
}

// badTime plays customers while something is broken: each must be answered
// within the budget, messages with a transfer and events with success. It gives
// a message that was answered by the fallback.
func (r *rig) badTime(known *simulator.Customer) simulator.Result {
	r.t.Helper()
	var first simulator.Result
	for round := range 3 {
		var results []simulator.Result
		var mu sync.Mutex
		var people sync.WaitGroup
		play := func(c *simulator.Customer, pushes ...*simulator.Push) {
			people.Go(func() {
				for _, p := range pushes {
					result := r.send(p)
					mu.Lock()
					results = append(results, result)
					mu.Unlock()
				}
				r.leave(c)
			})
		}
		play(known, known.Text("hello"))
		for range 8 {
			c := r.somebody("shop")
			play(c, c.Enter("cs1"), c.Text("hello"))
		}
		people.Wait()
		for _, result := range results {
			r.answeredInTime(result)
			if result.Reach.Type == "text" && answer(r.t, result).KfAccount == "" {
				first = result
			}
		}
		if n := r.metric("kefud_degraded_total", `app="shop"`); n == 0 {
			r.t.Errorf("round %d: nothing is counted as degraded", round)
		}
	}
	if first.Push == nil {
		r.t.Fatal("no message was answered by the fallback")
	}
	return first
}

// sameAgain pushes once more, which must be answered as before.
func (r *rig) sameAgain(first simulator.Result) {
	r.t.Helper()
	again, err := first.Push.Repush(r.t.Context())
	must(r.t, err)
	if a, b := answer(r.t, first), answer(r.t, again); a != b {
		r.t.Errorf("a push of the bad time was answered with %s, and again with %s", a, b)
	}
}

// answeredInTime checks one answer of a bad time.
func (r *rig) answeredInTime(result simulator.Result) {
	r.t.Helper()
	if len(result.Attempts) != 1 {
		r.t.Errorf("pushed %d times", len(result.Attempts))
	}
	got, took := answer(r.t, result), result.Attempts[0].Took
	if took > budget+slackTime {
		r.t.Errorf("answered after %s", took)
	}
	want := simulator.AnswerTransfer
	if result.Reach.Type == "event" {
		want = simulator.AnswerSuccess
	}
	if got.Kind != want {
		r.t.Errorf("a %s was answered with %s, want %s", result.Reach.Type, got, want)
	}
}

// readyButDegraded wants the server to go on taking traffic, and to say what is
// broken.
func (r *rig) readyButDegraded(why string) {
	r.t.Helper()
	eventually(r.t, "the store is seen to be degraded", func() bool {
		code, page := get(r.t, r.url+"/readyz", nil)
		if code != http.StatusOK {
			r.t.Fatalf("/readyz answers %d: %s", code, page)
		}
		return strings.Contains(page, `"status":"degraded"`) && strings.Contains(page, `"store":{"state":"degraded"`) && strings.Contains(page, why)
	})
}

// recovers wants customers to be brought to agents again soon.
func (r *rig) recovers() {
	r.t.Helper()
	healed := time.Now()
	eventually(r.t, "agents are named again", func() bool {
		c := r.somebody("shop")
		r.tap(c, "cs1")
		defer r.leave(c)
		return answer(r.t, r.say(c, "hello")).KfAccount != ""
	})
	const soon = 2 * time.Second
	if took := time.Since(healed); took > soon+2*slackTime {
		r.t.Errorf("agents are named again after %s, want about %s", took, soon)
	}
}

// A server that forgets its scripts is no trouble at all.
func TestRedisForgettingItsScriptsIsNotNoticed(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	r := start(t, rigOptions{config: smallConfig, redis: redis})
	c := r.somebody("shop")
	for range 3 {
		redis.FlushScripts()
		r.tap(c, "cs2")
		redis.FlushScripts()
		r.reaches(c, "li")
	}
	r.reads(c, 3)
	if n := r.metric("kefud_degraded_total"); n != 0 {
		t.Errorf("%v answers were degraded", n)
	}
	r.well()
}

func TestWithoutRedisAtTheStartCustomersAreServedAndReadinessWaits(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	redis.Kill()
	r := newRig(t, rigOptions{config: smallConfig, redis: redis})
	code, page := get(t, r.url+"/readyz", nil)
	if code != http.StatusServiceUnavailable || !strings.Contains(page, `"status":"starting"`) {
		t.Errorf("/readyz answers %d: %s", code, page)
	}
	if code, _ := get(t, r.url+"/healthz", nil); code != http.StatusOK {
		t.Errorf("/healthz answers %d", code)
	}
	c := r.somebody("shop")
	r.tap(c, "cs1")
	r.reaches(c, "")
	r.decided(c, "", kefu.ReasonDegraded)

	redis.Restart()
	eventually(t, "the server is ready", func() bool {
		code, _ := get(t, r.url+"/readyz", nil)
		return code == http.StatusOK
	})
	r.knows("shop", "wang", kefu.PresenceOnline)
	r.tap(c, "cs1")
	r.reaches(c, "wang")
	r.well()
}

// Whoever asks for the first time only after Redis has gone is told that the
// server is ready all the same: it had reached Redis before.
func TestRedisGoneBeforeTheFirstProbeDoesNotTakeTheServerOut(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	r := start(t, rigOptions{config: smallConfig, redis: redis})
	redis.Kill()
	eventually(t, "Redis is seen to be gone", func() bool { return !r.server.store.Health().OK })
	r.readyButDegraded("not reached")
}
