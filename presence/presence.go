// Package presence knows who is there, and how old that knowledge is.
//
// WeChat tells who is online at an app's desk only when asked. One replica
// asks, by a lead it holds in the store, and writes the list down with its
// time; all replicas read it. A list that cannot be had anew ages, and an old
// list says nothing: unknown is not present. Agents who chat with a switchboard
// say themselves whether they are there; that, too, is read from the store.
package presence

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"kefud/kefu"
)

// A Lister asks WeChat who is online at an app's desk. A list without agents
// means that nobody is.
type Lister interface {
	OnlineList(ctx context.Context, app kefu.AppID) (kefu.OnlineList, error)
}

// A Store is what the replicas share.
type Store interface {
	// Lead reports whether the holder leads in a task: it takes or renews the
	// lead for d unless another has it.
	Lead(ctx context.Context, task, holder string, d time.Duration) (bool, error)
	PutList(ctx context.Context, app kefu.AppID, list kefu.OnlineList) error
	// Lists gives the lists written; apps without one are missing.
	Lists(ctx context.Context, apps []kefu.AppID) (map[kefu.AppID]kefu.OnlineList, error)
	Loads(ctx context.Context, at time.Time, agents []kefu.AgentID) ([]kefu.Load, error)
	// Chats gives agents' own chats with switchboards.
	Chats(ctx context.Context) ([]kefu.Chat, error)
}

// Settings are one app's. What is not positive means the default.
type Settings struct {
	Refresh    time.Duration // between two questions to WeChat, 10 s by default
	StaleAfter time.Duration // a list of this age says nothing any more, 45 s by default
}

// Options is what a Board is made of. Table, Lister, Store and Holder are required.
type Options struct {
	Table      func() *kefu.Table        // never nil, cheap, safe for concurrent use; a reload gives another pointer
	Settings   func(kefu.AppID) Settings // nil = the defaults; may change when Table does
	Lister     Lister
	Store      Store
	Holder     string // tells this replica from all others
	Now        func() time.Time
	Logger     zerolog.Logger
	Registerer prometheus.Registerer // nil = no metrics
}

// The pace, and how long a single request may take.
const (
	readEvery    = time.Second // the store, or each Refresh where that is less
	readAtOnce   = 500         // agents whose loads are read in one request; of more, each in his turn
	storeWithin  = time.Second
	resignWithin = 300 * time.Millisecond
	listWithin   = 5 * time.Second
)

// A Board knows who is there and how much each has to do. Its methods are safe
// for concurrent use.
type Board struct {
	table    func() *kefu.Table
	settings func(kefu.AppID) Settings
	lister   Lister
	store    Store
	holder   string
	phase    time.Duration // of its beats, so that replicas do not read in step
	now      func() time.Time
	log      zerolog.Logger
	polls    *prometheus.CounterVec

	mu      sync.Mutex
	desks   map[kefu.AppID]*desk
	reading failure // of the store
	chats   chats
	kept    int    // grows with Keep
	turn    uint64 // grows with whatever is learned

	building sync.Mutex // before mu; whoever holds it makes the next snapshot
	current  atomic.Pointer[snapshot]
	prepared atomic.Pointer[snapshot] // for the table that is about to come

	loads loads
}

// New makes a Board, which knows only what the config says before Run. It
// panics if the Registerer has the board's metrics already.
func New(opt Options) *Board {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Settings == nil {
		opt.Settings = func(kefu.AppID) Settings { return Settings{} }
	}
	b := &Board{
		table: opt.Table, settings: opt.Settings, lister: opt.Lister, store: opt.Store,
		holder: opt.Holder, phase: rand.N(readEvery), now: opt.Now, log: opt.Logger,
		desks: map[kefu.AppID]*desk{},
		loads: loads{known: map[kefu.AgentID]load{}},
	}
	b.register(opt.Registerer)
	return b
}

// Run keeps the knowledge fresh until ctx ends, and then returns nil. It is
// called once.
func (b *Board) Run(ctx context.Context) error {
	var loops sync.WaitGroup
	loops.Go(func() { b.readLists(ctx) })
	loops.Go(func() { b.readLoads(ctx) })
	b.pollAll(ctx)
	loops.Wait()
	return nil
}

// pollAll keeps one poller for each app with a desk, as config reloads come
// and go, until ctx ends and the last poller has.
func (b *Board) pollAll(ctx context.Context) {
	var pollers sync.WaitGroup
	stops := map[kefu.AppID]context.CancelFunc{}
	for {
		apps := deskApps(b.table())
		for app, stop := range stops {
			if _, stays := slices.BinarySearch(apps, app); !stays {
				stop()
				delete(stops, app)
				b.forget(app)
			}
		}
		for _, app := range apps {
			if stops[app] != nil {
				continue
			}
			polling, stop := context.WithCancel(ctx)
			stops[app] = stop
			pollers.Go(func() { b.pollOne(polling, app) })
		}
		if !pause(ctx, b.toBeat(readEvery)) {
			break
		}
	}
	for _, stop := range stops {
		stop()
	}
	pollers.Wait()
}

// of gives an app's settings, complete.
func (b *Board) of(app kefu.AppID) Settings {
	s := b.settings(app)
	if s.Refresh <= 0 {
		s.Refresh = 10 * time.Second
	}
	if s.StaleAfter <= 0 {
		s.StaleAfter = 45 * time.Second
	}
	return s
}

// deskApps gives the apps at whose desks agents sit and whose online list can be
// asked for, in order.
func deskApps(t *kefu.Table) []kefu.AppID {
	apps := map[kefu.AppID]struct{}{}
	for i := range t.Agents {
		id := t.Agents[i].Desk.App
		if app := t.App(id); id != "" && (app == nil || !app.Mute) {
			apps[id] = struct{}{}
		}
	}
	return slices.Sorted(maps.Keys(apps))
}

// pause waits, and reports whether ctx is still alive after that.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// toBeat is how long it is until the next of the board's beats, which are so far
// apart. What is done again and again keeps to them: a process with nothing else to
// do wakes up once for all of it.
func (b *Board) toBeat(every time.Duration) time.Duration {
	return every - time.Duration(b.now().UnixNano()+b.phase.Nanoseconds())%every
}

// jitter gives d, a tenth more or less, so that replicas do not ask in step.
func jitter(d time.Duration) time.Duration { return d*9/10 + rand.N(d/5+1) }
