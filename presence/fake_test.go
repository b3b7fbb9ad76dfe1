package presence

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kefud/kefu"
)

var errDown = errors.New("connection refused")

// fakeStore is what several boards share in a test.
type fakeStore struct {
	mu       sync.Mutex
	down     error
	leads    map[string]fakeLead
	lists    map[kefu.AppID]kefu.OnlineList
	reads    int // requests for lists
	loads    map[kefu.AgentID]kefu.Load
	asked    [][]kefu.AgentID // requests for loads
	duration time.Duration    // of the last lead asked for

	chats     []kefu.Chat
	chatReads int    // requests for chats
	reading   func() // is called while they are on their way
}

type fakeLead struct {
	holder string
	until  time.Time
}

func newFakeStore() *fakeStore {
	return &fakeStore{
		leads: map[string]fakeLead{}, lists: map[kefu.AppID]kefu.OnlineList{}, loads: map[kefu.AgentID]kefu.Load{},
	}
}

func (s *fakeStore) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *fakeStore) Lead(_ context.Context, task, holder string, d time.Duration) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down != nil {
		return false, s.down
	}
	s.duration = d
	if l := s.leads[task]; l.holder != holder && time.Now().Before(l.until) {
		return false, nil
	}
	s.leads[task] = fakeLead{holder: holder, until: time.Now().Add(d)}
	return true, nil
}

func (s *fakeStore) PutList(_ context.Context, app kefu.AppID, list kefu.OnlineList) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down == nil {
		s.lists[app] = list
	}
	return s.down
}

func (s *fakeStore) Lists(_ context.Context, apps []kefu.AppID) (map[kefu.AppID]kefu.OnlineList, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	got := maps.Clone(s.lists)
	maps.DeleteFunc(got, func(app kefu.AppID, _ kefu.OnlineList) bool { return !slices.Contains(apps, app) })
	return got, s.down
}

func (s *fakeStore) Chats(context.Context) ([]kefu.Chat, error) {
	s.mu.Lock()
	chats, down, reading := slices.Clone(s.chats), s.down, s.reading
	s.chatReads++
	s.mu.Unlock()
	if reading != nil {
		reading()
	}
	return chats, down
}

func (s *fakeStore) Loads(_ context.Context, _ time.Time, agents []kefu.AgentID) ([]kefu.Load, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, agents)
	var got []kefu.Load
	for _, agent := range agents {
		if l, ok := s.loads[agent]; ok {
			got = append(got, l)
		}
	}
	return got, s.down
}

// fakeLister is WeChat as one replica reaches it.
type fakeLister struct {
	mu     sync.Mutex
	agents map[kefu.AppID][]kefu.Listed
	fault  error
	polls  map[kefu.AppID][]time.Time
}

func (l *fakeLister) OnlineList(_ context.Context, app kefu.AppID) (kefu.OnlineList, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.polls == nil {
		l.polls = map[kefu.AppID][]time.Time{}
	}
	l.polls[app] = append(l.polls[app], time.Now())
	return kefu.OnlineList{Agents: l.agents[app]}, l.fault
}

func (l *fakeLister) set(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

func (l *fakeLister) count(app kefu.AppID) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.polls[app])
}

// tables is a routing table that can be reloaded.
type tables struct{ atomic.Pointer[kefu.Table] }

func newTables(t *testing.T, agents ...kefu.Agent) *tables {
	t.Helper()
	var ts tables
	ts.reload(t, agents...)
	return &ts
}

func (ts *tables) reload(t *testing.T, agents ...kefu.Agent) {
	t.Helper()
	table, err := kefu.NewTable([]kefu.App{{ID: "shop"}, {ID: "mall"}, {ID: "switchboard", Switchboard: true}}, agents)
	if err != nil {
		t.Fatal(err)
	}
	ts.Store(table)
}

func deskAgent(id kefu.AgentID, app kefu.AppID) kefu.Agent {
	return kefu.Agent{ID: id, Desk: kefu.Desk{App: app, User: string(id)}}
}

func on(ids ...string) []kefu.Listed {
	var agents []kefu.Listed
	for _, id := range ids {
		agents = append(agents, kefu.Listed{User: id})
	}
	return agents
}

// run starts a board; the function it returns stops it and waits.
func run(t *testing.T, b *Board) func() {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	synctest.Wait()
	return func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run() = %v, want nil", err)
		}
	}
}

// after lets the bubble's clock run, and then all that is due then happen.
func after(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
	synctest.Wait()
}

func presenceOf(b *Board, app kefu.AppID, agent kefu.AgentID) string {
	return b.Roster(time.Now()).Standing(app, agent).Presence.String()
}

// value reads one sample of a counter or gauge. Labels are given as names,
// each with its value after it.
func value(t *testing.T, reg *prometheus.Registry, name string, labels ...string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	samples:
		for _, m := range f.GetMetric() {
			has := map[string]string{}
			for _, l := range m.GetLabel() {
				has[l.GetName()] = l.GetValue()
			}
			for i := 0; i < len(labels); i += 2 {
				if has[labels[i]] != labels[i+1] {
					continue samples
				}
			}
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return -1
}
