package presence

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kefud/kefu"
)

func TestLoads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, ts := newFakeStore(), newTables(t, kefu.Agent{ID: "wang"}, kefu.Agent{ID: "li"})
		stored := kefu.Load{Agent: "wang", Seats: 3, LastNew: time.Now()}
		store.loads["wang"] = stored
		b := New(Options{Table: ts.Load, Store: store, Lister: &fakeLister{}, Holder: "one"})
		defer run(t, b)()
		if diff := cmp.Diff(stored, b.Load("wang")); diff != "" {
			t.Errorf("load from the store (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(kefu.Load{Agent: "li"}, b.Load("li")); diff != "" {
			t.Errorf("load nobody told of (-want +got):\n%s", diff)
		}
		b.Note([]kefu.Load{{Agent: "wang", Seats: 4}, {Agent: "li", Seats: 1}})
		if w, l := b.Load("wang").Seats, b.Load("li").Seats; w != 4 || l != 1 {
			t.Errorf("seats after a note = %d, %d, want 4, 1", w, l)
		}
		after(1200 * time.Millisecond)
		if n := b.Load("wang").Seats; n != 3 {
			t.Errorf("seats after the next read = %d, want 3", n)
		}
		store.set(func() { store.down = errDown })
		after(time.Minute)
		if n := b.Load("wang").Seats; n != 3 {
			t.Errorf("seats with the store down = %d, want 3 as last heard", n)
		}
		ts.reload(t, kefu.Agent{ID: "li"})
		after(1200 * time.Millisecond)
		if diff := cmp.Diff(kefu.Load{Agent: "wang"}, b.Load("wang")); diff != "" {
			t.Errorf("load of an agent who left (-want +got):\n%s", diff)
		}
		if n := b.Load("li").Seats; n != 1 {
			t.Errorf("seats of the one who stayed = %d, want 1", n)
		}
	})
}

// lateStore answers for loads as they were when the question came.
type lateStore struct {
	*fakeStore
	takes time.Duration
}

func (s lateStore) Loads(ctx context.Context, at time.Time, agents []kefu.AgentID) ([]kefu.Load, error) {
	loads, err := s.fakeStore.Loads(ctx, at, agents)
	timer := time.NewTimer(s.takes)
	<-timer.C
	return loads, err
}

func TestANoteOutlivesAReadThatBeganBeforeIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, ts := newFakeStore(), newTables(t, kefu.Agent{ID: "wang"})
		store.loads["wang"] = kefu.Load{Agent: "wang", Seats: 1}
		b := New(Options{Table: ts.Load, Store: lateStore{store, 500 * time.Millisecond}, Lister: &fakeLister{}, Holder: "one"})
		defer run(t, b)()
		after(100 * time.Millisecond)
		b.Note([]kefu.Load{{Agent: "wang", Seats: 2}})
		after(500 * time.Millisecond)
		if n := b.Load("wang").Seats; n != 2 {
			t.Errorf("seats = %d, want 2 as noted meanwhile", n)
		}
	})
}

func TestVeryManyAgentsAreReadInTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		agents := make([]kefu.Agent, 1200)
		for i := range agents {
			agents[i].ID = kefu.AgentID(fmt.Sprint("agent", i))
		}
		store, ts := newFakeStore(), newTables(t, agents...)
		b := New(Options{Table: ts.Load, Store: store, Lister: &fakeLister{}, Holder: "one"})
		stop := run(t, b)
		after(3500 * time.Millisecond)
		stop()
		var sizes []int
		for _, asked := range store.asked[:4] {
			sizes = append(sizes, len(asked))
		}
		if diff := cmp.Diff([]int{500, 500, 200, 500}, sizes); diff != "" {
			t.Errorf("agents in each request (-want +got):\n%s", diff)
		}
		if first, last := store.asked[0][0], store.asked[2][199]; first != "agent0" || last != "agent1199" {
			t.Errorf("asked from %s to %s", first, last)
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, ts := newFakeStore(), newTables(t, deskAgent("wang", "shop"))
		lister := &fakeLister{agents: map[kefu.AppID][]kefu.Listed{"shop": on("wang")}}
		b := New(Options{Table: ts.Load, Store: store, Lister: lister, Holder: "one"})
		defer run(t, b)()
		var users sync.WaitGroup
		for i := range 8 {
			users.Go(func() {
				var last uint64
				for n := range 200 {
					after := b.Roster(time.Now()).Version
					if after < last {
						t.Errorf("version %d after %d", after, last)
					}
					last = after
					b.Note([]kefu.Load{{Agent: "wang", Seats: n}})
					b.Load("wang")
					b.State()
					if i == 0 && n%20 == 0 {
						ts.reload(t, deskAgent("wang", "shop"))
						b.keepOwn("shop", kefu.OnlineList{At: time.Now(), Agents: on("wang")})
					}
				}
			})
		}
		users.Wait()
		if got := presenceOf(b, "shop", "wang"); got != "online" {
			t.Errorf("%s, want online", got)
		}
	})
}
