package main

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kefud/internal/redistest"
	"kefud/internal/simulator"
	"kefud/internal/soak"
	"kefud/store"
)

// kefudUser is whom the tests' servers connect to Redis as.
var kefudUser = map[string]string{"REDIS_USER": "kefud", "REDIS_PASSWORD": "redis-password"}

// allowKefud makes that user.
func allowKefud(r *redistest.Server) {
	r.MustDo("ACL", "SETUSER", "kefud", "on", ">redis-password", "~*", "&*", "+@all")
}

// A mishap is something that happens to Redis, and its end.
type mishap struct {
	row   string
	says  string // what readiness says of it; "" = it is no reason to call the store broken
	plain bool   // customers get the plain transfer meanwhile
	sound bool   // and nobody does
	// proxied says that it happens on the way to Redis, where there is a proxy. Else
	// there is none: it is one thing more that can go wrong by itself.
	proxied bool
	// strike begins it and gives its end.
	strike func(f *fleet, redis *redistest.Server, w *way) func()
}

func mishaps() []mishap {
	return []mishap{
		{row: "redis-stopped", says: "not reached", plain: true, strike: func(_ *fleet, redis *redistest.Server, _ *way) func() {
			redis.Kill()
			return redis.Restart
		}},
		{row: "redis-frozen", says: "no answer within", plain: true, strike: func(_ *fleet, redis *redistest.Server, _ *way) func() {
			redis.Pause()
			return redis.Resume
		}},
		{row: "redis-slow", sound: true, proxied: true, strike: func(_ *fleet, _ *redistest.Server, w *way) func() {
			return w.toxic("latency", map[string]any{"latency": 300})
		}},
		{row: "redis-slower", says: "no answer within", plain: true, proxied: true, strike: func(_ *fleet, _ *redistest.Server, w *way) func() {
			return w.toxic("latency", map[string]any{"latency": 3000})
		}},
		{row: "redis-resets", plain: true, proxied: true, strike: func(f *fleet, _ *redistest.Server, w *way) func() { return w.resets(f) }},
		{row: "redis-full", says: "OOM", plain: true, strike: func(_ *fleet, redis *redistest.Server, _ *way) func() {
			redis.MustDo("CONFIG", "SET", "maxmemory", "1")
			return func() { redis.MustDo("CONFIG", "SET", "maxmemory", "0") }
		}},
		{row: "redis-scripts", sound: true, strike: func(_ *fleet, redis *redistest.Server, _ *way) func() {
			return again(20*time.Millisecond, redis.FlushScripts)
		}},
		{row: "redis-password", says: "WRONGPASS", plain: true, strike: func(_ *fleet, redis *redistest.Server, _ *way) func() {
			rotate(redis)
			return func() { redis.MustDo("ACL", "SETUSER", "kefud", ">redis-password") }
		}},
		{row: "redis-password-new", says: "WRONGPASS", plain: true, strike: func(f *fleet, redis *redistest.Server, _ *way) func() {
			rotate(redis)
			return func() { f.renew("REDIS_PASSWORD=" + newPassword) }
		}},
	}
}

const newPassword = "rotated-word"

// rotate changes the password and ends all connections that know the old one.
func rotate(redis *redistest.Server) {
	redis.MustDo("ACL", "SETUSER", "kefud", "resetpass", ">"+newPassword)
	redis.MustDo("CLIENT", "KILL", "USER", "kefud")
}

// renew replaces every process by one with other variables, as an operator does:
// the new ones come, pushes go to them, the old ones are stopped.
func (f *fleet) renew(variables ...string) {
	f.t.Helper()
	old := f.processes
	f.env = append(slices.Clone(f.env), variables...)
	f.processes, f.urls = nil, nil
	for range old {
		f.add()
	}
	for _, url := range f.urls {
		f.ready(url)
	}
	f.take()
	for _, p := range old {
		f.leaves(p)
	}
}

// leaves stops a process to which no push goes any more, once it has answered
// those on their way to it.
func (f *fleet) leaves(p *process) {
	f.t.Helper()
	const quiet = 300 * time.Millisecond
	answered, since := -1, time.Now()
	eventually(f.t, "the process is asked nothing any more", func() bool {
		if n := strings.Count(p.log.String(), `"callback answered"`); n != answered {
			answered, since = n, time.Now()
		}
		return time.Since(since) > quiet
	})
	f.stop(p)
}

// again does something in a goroutine of its own, again and again, until the
// function that it gives is called.
func again(every time.Duration, do func()) func() {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		ticks := time.NewTicker(every)
		defer ticks.Stop()
		for {
			select {
			case <-quit:
				return
			case <-ticks.C:
				do()
			}
		}
	}()
	return func() { close(quit); <-done }
}

// resets breaks connections in the middle of answers: for half of the time every
// one, by turns.
func (w *way) resets(f *fleet) func() {
	f.t.Helper()
	heal := func() {}
	broken := false
	stop := again(250*time.Millisecond, func() {
		if broken {
			heal()
		} else {
			heal = w.toxic("reset_peer", map[string]any{"timeout": 0})
		}
		broken = !broken
	})
	return func() {
		stop()
		if broken {
			heal()
		}
	}
}

// Whatever happens to Redis, customers who tap and write all the time are
// answered within the budget, and are with their agents again soon after it. The
// proxy before Redis runs in this process: other tests beside it would do more to
// Redis than this one does.
func TestReliableRedis(t *testing.T) { //nolint:paralleltest // as said above
	for _, m := range mishaps() {
		t.Run(m.row, func(t *testing.T) {
			t.Parallel()
			redis := redistest.Start(t, "--maxmemory-policy", "noeviction", "--appendonly", "yes", "--user", "kefud", "on", ">redis-password", "~*", "&*", "+@all")
			o := rigOptions{config: crowdedConfig, redis: redis, env: crowdedEnv()}
			var w *way
			if m.proxied {
				w = newWay(t, redis.Addr)
				o.addr = w.proxy.Listen
			}
			f := launchFleet(t, 2, o)
			c := f.gather()
			held := c.holders()

			struck := time.Now()
			heal := m.strike(f, redis, w)
			if m.says != "" {
				f.everyProcess("what is broken", `"status":"degraded"`, `"store":{"state":"degraded"`, m.says)
			}
			endure(time.Second, time.Minute) // in full length, longer than a list of who is there says anything
			heal()
			back := time.Now()
			r := c.recovers(back)
			f.everyProcess("that it is well", `"status":"ready"`)
			c.disperse()

			during := c.during(struck, back)
			if m.plain && during.plain == 0 {
				t.Error("nobody noticed anything")
			}
			steady := time.Duration(c.stalled.Load()) < budget/10 // else calls may have timed out that were on their way
			if m.sound && steady && during.plain > 0 {
				t.Errorf("%d of %d customers who had an agent were answered by the plain transfer", during.plain, during.all)
			}
			c.sameAgain(struck, back)
			c.judge(held, store.Options{Addrs: []string{redis.Addr}})
			soak.Measured(t, m.row, "%s; during %s, %s; the slowest answer took %s",
				r, soon(back.Sub(struck)), during, soon(c.slowest()))
		})
	}
}

// An affected counts messages of customers who had an agent.
type affected struct{ all, plain int }

func (n affected) String() string {
	return strconv.Itoa(n.plain) + " of " + strconv.Itoa(n.all) + " messages of customers with an agent got the plain transfer"
}

func (c *crowd) during(from, to time.Time) affected {
	var n affected
	for _, r := range c.told {
		if r.newcomer || r.began.Before(from) || r.began.After(to) {
			continue
		}
		if n.all++; r.agent == "" {
			n.plain++
		}
	}
	return n
}

// sameAgain pushes a message of the bad time that got the plain transfer once
// more, to the process that answered it: it must get that again.
func (c *crowd) sameAgain(from, to time.Time) {
	c.f.t.Helper()
	t := c.f.t
	i := slices.IndexFunc(c.told, func(r reckoning) bool {
		return !r.newcomer && r.agent == "" && r.began.After(from) && r.at.Before(to) && to.Sub(r.at) < 20*time.Second && c.f.answerer(r.push) >= 0
	})
	if i < 0 {
		return
	}
	must(t, c.f.accounts["shop"].SetTargets(c.f.urls[c.f.answerer(c.told[i].push)]+"/wechat/shop"))
	result, err := c.told[i].push.Repush(t.Context())
	must(t, err)
	if got := answer(t, result); got != (simulator.Answer{Kind: simulator.AnswerTransfer}) {
		t.Errorf("a push was answered by the plain transfer, and again with %s", got)
	}
	c.f.take()
}

// answerer is the process that answered a message, -1 if that does not run any more.
func (f *fleet) answerer(p *simulator.Push) int {
	return slices.IndexFunc(f.processes, func(x *process) bool {
		return strings.Contains(x.log.String(), `"`+strconv.FormatInt(p.ID(), 10)+`"`)
	})
}
