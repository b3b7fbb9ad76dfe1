// The end-to-end tests run the server as `kefud serve` builds it, with a
// simulated WeChat before it and a store of its own behind it: the embedded one,
// and a real redis-server.

package main

import (
	"context"
	"fmt"
	"maps"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kefud/config"
	"kefud/internal/redistest"
	"kefud/internal/simulator"
	"kefud/kefu"
)

// patience is how long anything may take to come about. It is generous: a test
// that has to wait so long has failed.
const patience = 30 * time.Second

const adminToken = "the-admin-token-of-the-tests"

// rigHead begins every config; ADDR and API are the rig's own.
const rigHead = `
listen: 127.0.0.1:0
log: {level: debug}
redis: {addrs: "${ADDR:-}", username: "${REDIS_USER:-}", password: "${REDIS_PASSWORD:-}", key_prefix: e2e}
wechat: {api_base: "${API:-http://127.0.0.1:1}", timeout: "${API_TIMEOUT:-2s}"}
reply_budget: ${BUDGET:-1500ms}
shutdown_delay: ${DELAY:-0s}
admin: {token: ` + adminToken + `}
`

const budget = 1500 * time.Millisecond

// smallConfig is a mini-program with three buttons and three agents. Its
// transfers name agents, and its simulated desk heeds that.
const smallConfig = rigHead + `
agents:
  - {id: wang, desk: {app: shop, account: kf2001@gh_shop}}
  - {id: li, desk: {app: shop, account: kf2002@gh_shop}}
  - {id: zhao, desk: {app: shop, account: kf2003@gh_shop}}
groups:
  - {name: presale, agents: [wang, li]}
apps:
  - name: shop
    kind: mini_program
    app_id: wx00000000000000a1
    app_secret: secret-of-shop
    original_id: gh_shop
    token: token-of-shop
    transfer_to_agent: always
    presence: {refresh: 100ms, stale_after: 20s}
    conversation_idle: ${IDLE:-30m}
    notices: {greeting: "greeting {{.Agent}} of {{.Entry}}", waiting: "waiting {{.Position}}", reassigned: "reassigned {{.Agent}}"}
    default_entry: cs1
    entries:
      - {tag: cs1, name: presale, steps: [{agent: wang}, {agent: li}], link: /pages/service1}
      - {tag: cs2, name: aftersale, steps: [{agent: li}, {agent: zhao}]}
      - {tag: vip, name: vip, steps: [{agent: zhao}]}
`

// unlimited gives everybody room for all customers.
func unlimited(config string) string {
	return strings.ReplaceAll(config, ", desk:", ", capacity: 0, desk:")
}

// A rigOptions says what a rig is made of. Config is required.
type rigOptions struct {
	config  string
	env     map[string]string
	redis   *redistest.Server // nil = the embedded store
	addr    string            // of Redis, if it is not redis.Addr
	absent  bool              // nobody is at the desks in the beginning
	box     simulator.Options
	account func(*simulator.AccountOptions)
	agent   func(*simulator.AgentOptions)
}

// A rig is a running server and everything around it. It ends with the test,
// which then fails if the server's end was not a clean one.
type rig struct {
	t        *testing.T
	config   *config.Config
	box      *simulator.Box
	wire     *wire
	server   *server
	url      string
	log      *logbook
	accounts map[string]*simulator.Account
	agents   map[string]*simulator.Agent
	people   int
	asked    []*simulator.Customer // the first, whose decisions are looked at in the end
	clock    *clock
	tapped   map[*simulator.Customer]bool
	outage   time.Duration // in which nothing may come about
}

// A clock is WeChat's: ours, and so much ahead.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// start builds a rig and returns once the server knows who is at the desks.
func start(t *testing.T, o rigOptions) *rig {
	t.Helper()
	r := newRig(t, o)
	for i := range r.config.Agents {
		if a := &r.config.Agents[i]; a.Desk.App != "" && !o.absent {
			r.knows(string(a.Desk.App), string(a.ID), kefu.PresenceOnline)
		}
	}
	return r
}

// newRig builds a rig and waits for nothing.
func newRig(t *testing.T, o rigOptions) *rig {
	t.Helper()
	r := &rig{
		t: t, wire: newWire(), log: &logbook{}, clock: &clock{}, tapped: map[*simulator.Customer]bool{},
		accounts: map[string]*simulator.Account{}, agents: map[string]*simulator.Agent{},
	}
	o.box.Transport, o.box.Now = r.wire, r.clock.now
	r.box = simulator.New(o.box)
	t.Cleanup(r.box.Close)
	api, err := r.box.Start(t.Context(), "")
	must(t, err)
	r.config, err = config.Parse("e2e.yaml", []byte(o.config), lookup(o.variables(api)))
	must(t, err)
	r.server, err = newServer(t.Context(), r.config, zerolog.New(r.log).With().Timestamp().Logger())
	must(t, err)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", r.config.Listen)
	must(t, err)
	r.url = "http://" + l.Addr().String()
	r.populate(o)

	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- r.server.run(ctx, l) }()
	t.Cleanup(func() {
		r.discreet([]string{r.url})
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with: %v", err)
		}
		r.discreet(nil, r.log)
		if t.Failed() {
			t.Logf("the server's log:\n%s", r.log.tail())
		}
	})
	return r
}

// variables is the environment that the config's text is read in.
func (o rigOptions) variables(api string) map[string]string {
	env := map[string]string{"API": api}
	if o.redis != nil {
		env["ADDR"] = o.redis.Addr
	}
	if o.addr != "" {
		env["ADDR"] = o.addr
	}
	maps.Copy(env, o.env)
	return env
}

func lookup(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := env[name]; return v, ok }
}

// populate makes the WeChat that the config is about.
func (r *rig) populate(o rigOptions) {
	r.t.Helper()
	for i := range r.config.Apps {
		a := account(&r.config.Apps[i], r.url)
		if o.account != nil {
			o.account(&a)
		}
		made, err := r.box.AddAccount(a)
		must(r.t, err)
		r.accounts[a.Name] = made
	}
	for i := range r.config.Agents {
		if r.config.Agents[i].Desk.App == "" {
			continue // he chats
		}
		a := deskAgent(&r.config.Agents[i])
		a.Online = !o.absent
		if o.agent != nil {
			o.agent(&a)
		}
		made, err := r.accounts[string(r.config.Agents[i].Desk.App)].AddAgent(a)
		must(r.t, err)
		r.agents[string(r.config.Agents[i].ID)] = made
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// onStores runs a test on the embedded store and on a real redis-server.
func onStores(t *testing.T, test func(t *testing.T, redis *redistest.Server)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		test(t, nil)
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(t, redistest.Start(t))
	})
}

// eventually waits until a condition holds, looking again and again.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	within(t, patience, what, holds)
}

// within is eventually for what may take longer, or must not take so long.
func within(t *testing.T, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	ticks := time.NewTicker(10 * time.Millisecond)
	defer ticks.Stop()
	late := time.After(limit)
	for !holds() {
		select {
		case <-ticks.C:
		case <-late:
			t.Fatalf("%s: not within %s", what, limit)
		}
	}
}

// await waits for something to happen in the simulated WeChat.
func (r *rig) await(what string, holds func() bool) {
	r.t.Helper()
	limit := patience + r.outage
	ctx, cancel := context.WithTimeout(r.t.Context(), limit)
	defer cancel()
	if err := r.box.Await(ctx, holds); err != nil {
		r.t.Fatalf("%s: not within %s; faults: %v", what, limit, r.box.Faults())
	}
}

// knows waits until the server knows of an agent what is so.
func (r *rig) knows(app, agent string, want kefu.Presence) {
	r.t.Helper()
	eventually(r.t, fmt.Sprintf("the server knows that %s is %s", agent, want), func() bool {
		return r.standing(app, agent) == want
	})
}

func (r *rig) standing(app, agent string) kefu.Presence {
	return r.server.board.Roster(time.Now()).Standing(kefu.AppID(app), kefu.AgentID(agent)).Presence
}

// comes and goes: agents, and the server's learning of it.
func (r *rig) comes(app string, agents ...string) { r.t.Helper(); r.move(app, true, agents) }
func (r *rig) goes(app string, agents ...string)  { r.t.Helper(); r.move(app, false, agents) }

func (r *rig) move(app string, online bool, agents []string) {
	r.t.Helper()
	want := kefu.PresenceOffline
	if online {
		want = kefu.PresenceOnline
	}
	for _, id := range agents {
		r.agents[id].SetOnline(online)
	}
	for _, id := range agents {
		r.knows(app, id, want)
	}
}

// somebody makes a customer who has never been there.
func (r *rig) somebody(app string) *simulator.Customer {
	r.people++
	c := r.box.Customer(r.accounts[app], fmt.Sprintf("oE2E%s%s", strings.Repeat("x", 16), fmt.Sprintf("%08d", r.people)))
	if len(r.asked) < 3 {
		r.asked = append(r.asked, c)
	}
	return c
}

// well fails the test unless every customer reached a human, or will, and the
// server broke no rule of WeChat's.
func (r *rig) well() {
	r.t.Helper()
	for _, f := range r.box.Faults() {
		r.t.Errorf("WeChat would complain: %s", f)
	}
	if sum := r.box.Accounted(); !sum.Well() {
		r.t.Errorf("not everybody is well: %+v", sum)
	}
}
