package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"kefud/internal/simulator"
	"kefud/internal/soak"
	"kefud/kefu"
	"kefud/store"
)

// slackTime is for a machine that has other things to do.
const slackTime = time.Second

// recoverySoon is how long after Redis is back customers are brought to agents
// again.
const recoverySoon = 2 * time.Second

// seatsOfWang is how many customers Wang and Li take each; Zhao takes all.
const seatsOfWang = 6

// crowdedConfig is smallConfig with few seats, so that customers compete for
// them.
var crowdedConfig = strings.NewReplacer(
	"{id: wang, desk", fmt.Sprintf("{id: wang, capacity: %d, desk", seatsOfWang),
	"{id: li, desk", fmt.Sprintf("{id: li, capacity: %d, desk", seatsOfWang),
	"{id: zhao, desk", "{id: zhao, capacity: 0, desk",
	"refresh: 100ms, stale_after: 20s", "refresh: ${REFRESH:-10s}, stale_after: ${STALE:-45s}",
).Replace(smallConfig)

// crowdedEnv has presence asked for as seldom as by default where a test takes its
// full length.
func crowdedEnv() map[string]string {
	return map[string]string{
		"REDIS_USER": "kefud", "REDIS_PASSWORD": "redis-password",
		"REFRESH": soak.Pick("1s", "10s"), "STALE": soak.Pick("20s", "45s"),
	}
}

// A way is a way to Redis on which things go wrong by toxics.
type way struct {
	t     *testing.T
	proxy *toxiproxy.Proxy
}

func newWay(t *testing.T, to string) *way {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	w := &way{t: t, proxy: toxiproxy.NewProxy(server, "redis", "127.0.0.1:0", to)}
	must(t, w.proxy.Start())
	t.Cleanup(w.proxy.Stop)
	return w
}

// toxic poisons the way from Redis until the function that it gives is called.
func (w *way) toxic(kind string, attributes map[string]any) func() {
	w.t.Helper()
	text, err := json.Marshal(map[string]any{"name": kind, "type": kind, "stream": "downstream", "attributes": attributes})
	must(w.t, err)
	_, err = w.proxy.Toxics.AddToxicJson(bytes.NewReader(text))
	must(w.t, err)
	return func() {
		w.t.Helper()
		must(w.t, w.proxy.Toxics.RemoveToxic(w.t.Context(), kind))
	}
}

// A visitor is a customer of a crowd.
type visitor struct {
	user  *simulator.Customer
	entry string
	named []string  // agents by whose names he was answered, in order
	since time.Time // the first of them
}

// A reckoning is one message and what it was answered with.
type reckoning struct {
	who       *visitor
	push      *simulator.Push
	at        time.Time // when it was answered
	began     time.Time
	agent     string // "" = the plain transfer
	settled   bool   // the customer had an agent before
	newcomer  bool
	wrong     string
	took      time.Duration
	exchanges int
}

// A crowd is customers who tap and write all the time, whatever happens to Redis:
// regulars, who come again and again, and newcomers, who come once or twice.
type crowd struct {
	f        *fleet
	lossy    bool      // what Redis confirmed just before it was struck may be lost
	struck   time.Time // with it
	regulars []*visitor
	quit     chan struct{}
	once     sync.Once
	runners  sync.WaitGroup
	stalled  atomic.Int64 // the longest time for which the machine had other things to do

	mu       sync.Mutex
	visitors []*visitor
	told     []reckoning
	events   []reckoning
}

var crowdEntries = []string{"cs1", "cs2", "vip"}

// gather sets a crowd going, and returns once every regular has his agent and
// newcomers find some.
func (f *fleet) gather() *crowd {
	f.t.Helper()
	c := &crowd{f: f, quit: make(chan struct{})}
	f.t.Cleanup(c.disperse)
	c.runners.Go(c.pulse)
	for i := range 3 * len(crowdEntries) {
		v := c.visitor(crowdEntries[i%len(crowdEntries)])
		c.regulars = append(c.regulars, v)
	}
	for _, v := range c.regulars {
		c.runners.Go(func() { c.comeAgain(v) })
	}
	eventually(f.t, "every regular has his agent", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return !slices.ContainsFunc(c.regulars, func(v *visitor) bool { return len(v.named) == 0 })
	})
	c.runners.Go(c.comeAnew)
	eventually(f.t, "newcomers find agents too", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		n := 0
		for _, v := range c.visitors[len(c.regulars):] {
			n += min(len(v.named), 1)
		}
		return n >= len(c.regulars)
	})
	return c
}

// disperse ends all traffic.
func (c *crowd) disperse() {
	c.once.Do(func() { close(c.quit) })
	c.runners.Wait()
}

func (c *crowd) visitor(entry string) *visitor {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := &visitor{user: c.f.somebody("shop"), entry: entry}
	c.visitors = append(c.visitors, v)
	return v
}

// pulse watches how long the machine leaves this process waiting.
func (c *crowd) pulse() {
	const every = 20 * time.Millisecond
	last := time.Now()
	c.each(every, func(int) {
		c.stalled.Store(max(c.stalled.Load(), int64(time.Since(last)-every)))
		last = time.Now()
	})
}

// each does something again and again, at most once in a while.
func (c *crowd) each(while time.Duration, do func(n int)) {
	ticks := time.NewTicker(while)
	defer ticks.Stop()
	for n := 0; ; n++ {
		select {
		case <-c.quit:
			return
		case <-ticks.C:
			do(n)
		}
	}
}

func (c *crowd) comeAgain(v *visitor) {
	c.each(100*time.Millisecond, func(n int) {
		if n%10 == 0 {
			c.send(v, v.user.Enter(v.entry), true)
		}
		c.send(v, v.user.Text("hello again"), false)
	})
}

func (c *crowd) comeAnew() {
	c.each(150*time.Millisecond, func(n int) {
		v := c.visitor(crowdEntries[n%len(crowdEntries)])
		c.runners.Go(func() {
			c.send(v, v.user.Enter(v.entry), true)
			c.send(v, v.user.Text("hello"), false)
			c.send(v, v.user.Text("hello?"), false)
		})
	})
}

// send pushes and notes what came of it. The desk's session is closed after it,
// so that the next message comes to the server too.
func (c *crowd) send(v *visitor, p *simulator.Push, event bool) {
	r := reckoning{who: v, push: p, began: time.Now(), newcomer: !slices.Contains(c.regulars, v)}
	result, err := p.Send(context.WithoutCancel(c.f.t.Context()))
	r.at = time.Now()
	c.f.leave(v.user)
	if r.exchanges = len(result.Attempts); err != nil || r.exchanges == 0 {
		r.wrong = fmt.Sprintf("it did not come to the server: %v", err)
	} else {
		last := result.Attempts[r.exchanges-1]
		r.took, r.wrong, r.agent = last.Took, last.Wrong, last.Answer.KfAccount
		want := simulator.AnswerTransfer
		if event {
			want = simulator.AnswerSuccess
		}
		if last.Answer.Kind != want && r.wrong == "" {
			r.wrong = "answered with " + last.Answer.String()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if event {
		c.events = append(c.events, r)
		return
	}
	r.settled = len(v.named) > 0
	if r.agent != "" {
		if !r.settled {
			v.since = r.at
		}
		v.named = append(v.named, r.agent)
	}
	c.told = append(c.told, r)
}

// since gives what was told of messages that were sent after an instant.
func (c *crowd) since(t time.Time) []reckoning {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []reckoning
	for _, r := range c.told {
		if !r.began.Before(t) {
			out = append(out, r)
		}
	}
	return out
}

// holders gives the agent of each regular.
func (c *crowd) holders() map[*visitor]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[*visitor]string{}
	for _, v := range c.regulars {
		out[v] = v.named[len(v.named)-1]
	}
	return out
}

// A recovery is how long after Redis was back it took until something was so.
type recovery struct {
	named time.Duration // a customer was answered with the name of an agent
	fresh time.Duration // one who had no agent was
	whole time.Duration // the last regular had been answered by the plain transfer
}

func (r recovery) String() string {
	return fmt.Sprintf("an agent is named again %s after Redis is back, to a new customer after %s, and nobody who has an agent gets the plain transfer later than %s",
		soon(r.named), soon(r.fresh), soon(r.whole))
}

// soon writes a duration as a figure.
func soon(d time.Duration) string {
	if d < time.Second {
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

// recovers waits until all regulars are with their agents again and newcomers
// find some, and wants that to be soon after Redis was back.
func (c *crowd) recovers(back time.Time) recovery {
	c.f.t.Helper()
	var r recovery
	eventually(c.f.t, "agents are named to everybody again", func() bool {
		last := map[*visitor]reckoning{}
		r = recovery{}
		for _, x := range c.since(back) {
			took := x.at.Sub(back)
			if x.agent != "" && (r.named == 0 || took < r.named) {
				r.named = took
			}
			if x.agent != "" && x.newcomer && !x.settled && (r.fresh == 0 || took < r.fresh) {
				r.fresh = took
			}
			if x.agent == "" && !x.newcomer {
				r.whole = max(r.whole, took)
			}
			last[x.who] = x
		}
		return r.fresh > 0 && !slices.ContainsFunc(c.regulars, func(v *visitor) bool { return last[v].agent == "" })
	})
	slack := 2*slackTime + 3*time.Duration(c.stalled.Load())
	if r.named > recoverySoon+slack || r.fresh > recoverySoon+slack {
		c.f.t.Errorf("recovery: %s; want %s", r, recoverySoon)
	}
	if r.whole > recoverySoon+budget+slack {
		c.f.t.Errorf("the last regular is answered by the plain transfer %s after Redis is back", r.whole)
	}
	return r
}

// slowest is the longest that a callback took.
func (c *crowd) slowest() time.Duration {
	most := time.Duration(0)
	for _, r := range slices.Concat(c.told, c.events) {
		most = max(most, r.took)
	}
	return most
}

// judge ends the traffic and fails the test unless every callback was answered in
// time and well, everybody is at one agent, the one whom he had before, and no
// agent has too many.
func (c *crowd) judge(held map[*visitor]string, at store.Options) {
	c.f.t.Helper()
	c.disperse()
	t := c.f.t
	most := budget + slackTime + 3*time.Duration(c.stalled.Load())
	for _, r := range slices.Concat(c.told, c.events) {
		if r.wrong != "" || r.exchanges != 1 || r.took > most {
			t.Errorf("answered after %s (at most %s), in exchange %d; %s", r.took, most, r.exchanges, r.wrong)
		}
	}
	for v, agent := range held {
		if last := v.named[len(v.named)-1]; last != agent {
			t.Errorf("a customer of %s is with %s afterwards", agent, last)
		}
	}
	accounts := map[string]int{}
	for _, v := range c.visitors {
		if c.excused(v) {
			continue
		}
		all := firsts(v.named)
		if len(all) > 1 {
			t.Errorf("a customer was named to %v", all)
		}
		for _, account := range all {
			accounts[account]++
		}
	}
	for _, id := range []string{"wang", "li"} {
		if n := accounts[c.f.kf(id)]; n > seatsOfWang {
			t.Errorf("%d customers were named to %s, who has %d seats", n, id, seatsOfWang)
		}
	}
	c.stored(at)
	c.f.well()
	for _, p := range c.f.processes {
		c.discreet(p)
	}
}

// discreet fails the test if a process's log holds a secret, what a customer said
// or who he is, or a data race.
func (c *crowd) discreet(p *process) {
	c.f.t.Helper()
	log := p.log.String()
	for _, word := range []string{
		"DATA RACE", "redis-password", newPassword, "secret-of-shop", "token-of-shop", adminToken, "hello", c.regulars[0].user.OpenID(),
	} {
		if strings.Contains(log, word) {
			c.f.t.Errorf("the log has %q", word)
		}
	}
}

// stored compares what Redis holds with what customers were told.
func (c *crowd) stored(o store.Options) {
	c.f.t.Helper()
	t := c.f.t
	o.Prefix, o.Timeout = "e2e", patience
	s, err := store.Open(t.Context(), o)
	must(t, err)
	defer func() { must(t, s.Close()) }()
	serving := map[string]int{}
	for _, v := range c.visitors {
		if c.excused(v) {
			continue
		}
		h, err := s.History(t.Context(), id(v.user))
		must(t, err)
		agent := string(h.Conversation.Serving)
		serving[agent]++
		if len(v.named) > 0 && c.f.kf(agent) != v.named[len(v.named)-1] {
			t.Errorf("Redis has a customer at %q who was told of %s", agent, v.named[len(v.named)-1])
		}
	}
	loads, err := s.Loads(t.Context(), time.Now(), []kefu.AgentID{"wang", "li"})
	must(t, err)
	for _, l := range loads {
		if n := serving[string(l.Agent)]; n > seatsOfWang || l.Seats > seatsOfWang {
			t.Errorf("%s serves %d customers on %d seats, and has %d", l.Agent, n, l.Seats, seatsOfWang)
		}
	}
}

// kf is the desk account of an agent.
func (f *fleet) kf(agent string) string {
	for i := range f.config.Agents {
		if string(f.config.Agents[i].ID) == agent {
			return f.config.Agents[i].Desk.Account
		}
	}
	return ""
}

// everyProcess wants each process to take traffic, and to say the same of itself.
func (f *fleet) everyProcess(what string, says ...string) {
	f.t.Helper()
	for _, url := range f.urls {
		eventually(f.t, "every process says "+what, func() bool {
			code, page := get(f.t, url+"/readyz", nil)
			if code != http.StatusOK {
				f.t.Fatalf("/readyz answers %d: %s", code, page)
			}
			return !slices.ContainsFunc(says, func(s string) bool { return !strings.Contains(page, s) })
		})
	}
}

// endure lets a bad time last.
func endure(short, full time.Duration) { <-time.After(soak.Pick(short, full)) }
