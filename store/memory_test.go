package store_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"kefud/internal/redistest"
	"kefud/kefu"
	"kefud/store"
)

// What a customer costs in Redis: bytes by its own count, of all keys, with names
// as long as they are in life, and as many customers in a bucket as a million
// have in 16 partitions.
func TestMemory(t *testing.T) {
	t.Parallel()
	const customers, density, callers = 8000, 64, 8
	now := start
	s, err := store.Open(t.Context(), store.Options{
		Addrs: []string{redistest.Start(t).Addr}, Partitions: 1, Timeout: 10 * time.Second, Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	s.Buckets(customers / density)
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			for i := c; i < customers; i += callers {
				talk(newPerson(t, s, fmt.Sprintf("oABCD1234567890abcdefgh%05d", i)), i)
			}
		})
	}
	all.Wait()

	live := usage(t, s, customers)
	total := live["who"] + live["bucket"] + live["push"] + live["records"]
	t.Logf("in a conversation: %.0f bytes a customer: %v", total, live)
	if total > 560 || len(live) != 5 {
		t.Errorf("a customer in a conversation costs %.0f bytes, %v; want 560 at most", total, live)
	}
	now = start.Add(2 * time.Hour)
	if n, err := s.Rest(t.Context()); n != customers || err != nil {
		t.Fatalf("%d rest, %v; want %d", n, err, customers)
	}
	rest := usage(t, s, customers)
	t.Logf("at rest: %.1f bytes a customer, and %.1f for explain", rest["bucket"], rest["records"])
	if rest["bucket"] > 56 || rest["records"] > 100 || rest["who"] > 0 {
		t.Errorf("a customer at rest costs %v bytes, want 56 at most, and 100 for explain", rest)
	}
}

// talk brings a customer into a conversation: he enters, is decided about, and two
// minutes later writes.
func talk(p *person, i int) {
	p.Helper()
	p.later(time.Duration(i*7919%1_000_000) * time.Millisecond)
	push := func(change ...func(*kefu.Receipt)) kefu.Received {
		r := p.receipt(change...)
		r.Key, r.Default, r.Reach = kefu.MessageKey(strconv.Itoa(24_000_000_000_000_000+10*i+p.count)), "presale", reach("wangwei1")
		p.last = r.Key
		return p.receive(r)
	}
	got := push(enter)
	p.later(3 * time.Millisecond)
	candidate := func(a kefu.AgentID, why kefu.Reason) kefu.Candidate {
		return kefu.Candidate{Agent: a, Step: 1, Group: "sales", Load: 3, Limit: 8, Reason: why}
	}
	p.settle(got.Conversation, "wangwei1", func(st *kefu.Settlement) {
		st.Entry = "presale"
		st.Record = &kefu.Record{
			At: p.now, Kind: "enter", Entry: "presale", Agent: "wangwei1", Owner: "wangwei1", Reason: kefu.ReasonStep, Way: "N",
			Candidates: []kefu.Candidate{
				candidate("wangwei1", kefu.ReasonTaken), candidate("zhangli7", kefu.ReasonNotNeeded), candidate("lijing02", kefu.ReasonOffline),
			},
		}
	})
	p.delete(p.s.PushKey(p.id, p.last)) // it ends after a minute
	p.later(2 * time.Minute)
	if !push().Kept {
		p.Error("not kept")
	}
}

// usage adds up what all keys cost, by their kind, a customer.
func usage(t *testing.T, s *store.Store, customers int) map[string]float64 {
	t.Helper()
	out := map[string]float64{}
	names := allKeys(t, s)
	for from := 0; from < len(names); from += 1000 {
		some := names[from:min(from+1000, len(names))]
		cmds := make([]*redis.IntCmd, len(some))
		_, err := s.Client().Pipelined(t.Context(), func(pipe redis.Pipeliner) error {
			for i, name := range some {
				cmds[i] = pipe.MemoryUsage(t.Context(), name, 0)
			}
			return nil
		})
		if err != nil {
			t.Fatalf("MEMORY USAGE: %v", err)
		}
		for i, name := range some {
			_, kind, _ := strings.Cut(name, "}:")
			kind, _, _ = strings.Cut(kind, ":")
			out[kind] += float64(cmds[i].Val()) / float64(customers)
		}
	}
	return out
}
