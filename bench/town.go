package main

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"kefud/kefu"
	"kefud/presence"
	"kefud/router"
	"kefud/store"
)

// How a town is made: WeChat lets a mini-program have 100 agents at most.
const (
	agentsAnApp = 100
	ladder      = 4 // agents of an entry: its own, and a group
	entries     = agentsAnApp / ladder
	seats       = 20 // of an agent; all taken when all have come

	idle   = 30 * time.Minute
	sticky = 30 * 24 * time.Hour
)

// A town is what kefud is behind its HTTP: the router on the store, in this process.
type town struct {
	store  *store.Store
	router *router.Router
	apps   int
	room   int          // seats of an agent; 0 = no limit
	reach  []kefu.Reach // of each app
	clock  atomic.Int64
	pushes atomic.Int64 // numbers them
}

// newTown makes one that has room for so many customers; 0 = for any number, in one app.
func newTown(ctx context.Context, addrs []string, customers int) (*town, error) {
	const anApp = agentsAnApp * seats
	t := &town{apps: max(1, (customers+anApp-1)/anApp), room: seats}
	if customers == 0 {
		t.room = 0
	}
	t.at(time.Now())
	now := func() time.Time { return time.UnixMilli(t.clock.Load()) }
	var err error
	t.store, err = store.Open(ctx, store.Options{Addrs: addrs, Timeout: 20 * time.Second, Now: now})
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	table, err := t.table()
	if err != nil {
		return nil, err
	}
	look := func() *kefu.Table { return table }
	t.router = router.New(router.Options{
		Store: t.store, Seats: t.store, Table: look, Now: now, Budget: time.Minute,
		Board: presence.New(presence.Options{Table: look, Store: t.store, Now: now}), // not run: it knows what the table says
	})
	return t, nil
}

func (t *town) at(now time.Time) { t.clock.Store(now.UnixMilli()) }

func agentName(n int) kefu.AgentID { return kefu.AgentID(fmt.Sprintf("agent%05d", n)) }

func townApp(n int) kefu.AppID { return kefu.AppID(fmt.Sprintf("shop%03d", n)) }

func (t *town) table() (*kefu.Table, error) {
	var agents []kefu.Agent
	apps := make([]kefu.App, t.apps)
	for n := range apps {
		t.reach = append(t.reach, reachOf(n*agentsAnApp, agentsAnApp))
		a := &apps[n]
		*a = kefu.App{ID: townApp(n), Mute: true, Idle: idle, Default: "e0", Allowance: kefu.Allowance{
			AfterMessage: 5, AfterMessageWindow: 48 * time.Hour, AfterEnter: 2, AfterEnterWindow: time.Minute,
		}}
		for e := range entries {
			var ids []kefu.AgentID
			for i := range ladder {
				id := agentName(n*agentsAnApp + e*ladder + i)
				ids = append(ids, id)
				agents = append(agents, kefu.Agent{ID: id, Capacity: t.room, Desk: kefu.Desk{App: a.ID}, Manual: kefu.Manual{State: kefu.ManualOnline}})
			}
			a.Entries = append(a.Entries, kefu.Entry{
				Tag: kefu.EntryTag(fmt.Sprintf("e%d", e)), Sticky: sticky,
				Steps: []kefu.Step{{Agents: ids[:1]}, {Group: fmt.Sprintf("group%d", e), Agents: ids[1:]}},
			})
		}
	}
	table, err := kefu.NewTable(apps, agents)
	if err != nil {
		return nil, fmt.Errorf("table: %w", err)
	}
	return table, nil
}

// reachOf is what a push brings along when so many agents are online.
func reachOf(first, agents int) kefu.Reach {
	answers := make([]kefu.Answer, agents)
	for i := range answers {
		answers[i] = kefu.Answer{Way: kefu.WayPlain, Agent: agentName(first + i)}
	}
	return kefu.NewReach(answers)
}

// who is customer n: an app, and an openid that looks as random as WeChat's.
func (t *town) who(n int) kefu.CustomerID {
	var b [24]byte
	r := rand.New(rand.NewPCG(uint64(n), 2026)) //nolint:gosec // a number, and the same one each time
	for i := 0; i < len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], r.Uint64())
	}
	return kefu.CustomerID{App: townApp(n % t.apps), User: "o" + base64.RawURLEncoding.EncodeToString(b[:])[:27]}
}

func (t *town) key() kefu.MessageKey {
	return kefu.MessageKey(strconv.FormatInt(24_000_000_000_000_000+t.pushes.Add(1), 10))
}

// enter lets customer n tap a button.
func (t *town) enter(ctx context.Context, n int) error {
	return t.route(ctx, kefu.Message{
		Customer: t.who(n), Kind: kefu.KindEnter, Type: "user_enter_tempsession", Tag: fmt.Sprintf("e%d", n/t.apps%entries),
		Key: kefu.MessageKey("e:" + strconv.FormatInt(t.clock.Load()/1000, 10) + ":user_enter_tempsession:0123456789abcdef"),
	})
}

// write lets customer n say something.
func (t *town) write(ctx context.Context, n int) error {
	return t.route(ctx, kefu.Message{Customer: t.who(n), Kind: kefu.KindText, Type: "text", Text: "你好", Key: t.key()})
}

func (t *town) route(ctx context.Context, m kefu.Message) error {
	d := t.router.Route(ctx, &m)
	switch {
	case d.Err != nil:
		return fmt.Errorf("degraded: %w", d.Err)
	case d.Agent == "":
		return fmt.Errorf("nobody has %s: %s", m.Customer, d.Reason)
	}
	return nil
}

// receive is a push by the store alone, of a customer who has come before.
func (t *town) receive(ctx context.Context, n int, reach kefu.Reach) (kefu.Received, error) {
	at := time.UnixMilli(t.clock.Load())
	return t.store.Receive(ctx, kefu.Receipt{
		Customer: t.who(n), Key: t.key(), At: at, Default: "e0", DefaultSticky: sticky, Reach: reach, Idle: idle,
		Allowance: kefu.Allowance{AfterMessage: 5, AfterMessageWindow: 48 * time.Hour},
	})
}

// many has so many callers do f for every number below count, and gives the first error.
func many(callers, count int, f func(n int) error) error {
	var all sync.WaitGroup
	var next atomic.Int64
	errs := make(chan error, callers)
	for range callers {
		all.Go(func() {
			for n := int(next.Add(1)) - 1; n < count; n = int(next.Add(1)) - 1 {
				if err := f(n); err != nil {
					errs <- err
					next.Store(int64(count))
					return
				}
			}
		})
	}
	all.Wait()
	close(errs)
	return <-errs
}

// newcomers is how many are let in a second, at most, so that the number of answers still
// remembered, and with it the size of Redis' tables, does not depend on the machine's speed.
const newcomers = 3000

// fill lets the customers in: each taps a button and writes once.
func (t *town) fill(ctx context.Context, customers int) error {
	begin := time.Now()
	return many(128, customers, func(n int) error {
		if err := wait(ctx, time.Until(begin.Add(time.Duration(n)*time.Second/newcomers))); err != nil {
			return err
		}
		if err := t.enter(ctx, n); err != nil {
			return err
		}
		return t.write(ctx, n)
	})
}
