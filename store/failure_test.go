package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"

	"kefud/internal/redistest"
	"kefud/kefu"
	"kefud/store"
)

func TestOptions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options store.Options
		want    string
	}{
		"url":              {store.Options{Addrs: []string{"redis://:hunter2@h:6379"}}, "address 1 is not host:port"},
		"user in address":  {store.Options{Addrs: []string{"h:1", "u@h:6379"}}, "address 2 is not host:port"},
		"no port":          {store.Options{Addrs: []string{"h"}}, "address 1 is not host:port"},
		"no host":          {store.Options{Addrs: []string{":6379"}}, "address 1 is not host:port"},
		"cluster database": {store.Options{Addrs: []string{"h:1", "h:2"}, DB: 3}, "no database 3"},
		"negative":         {store.Options{DB: -1}, "database -1"},
		"no sentinels":     {store.Options{MasterName: "m"}, "needs the addresses"},
		"braces":           {store.Options{Prefix: "a{b}"}, "prefix"},
		"partitions":       {store.Options{Partitions: -1}, "partitions -1"},
		"many partitions":  {store.Options{Partitions: 5000}, "partitions 5000"},
		"timeout":          {store.Options{Timeout: time.Microsecond}, "timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := store.Open(t.Context(), c.options)
			if err == nil {
				t.Fatalf("opened %v", s.Close())
			}
			if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error %q, want one with %q and no secret", err, c.want)
			}
		})
	}
}

func TestEmbedded(t *testing.T) {
	t.Parallel()
	s := embedded().open(t)
	same(t, "health", []bool{s.Health().OK, s.Health().Embedded}, []bool{true, true})
	newPerson(t, s, "u1").served("wang", 1)
	other := newPerson(t, embedded().open(t, func(o *store.Options) { o.Prefix = "t1" }), "u1")
	if got := other.push(); got.Version != 0 {
		t.Error("two embedded stores share a customer")
	}
}

// What the embedded server holds ends with its time.
func TestEmbeddedExpiry(t *testing.T) {
	t.Parallel()
	s := embedded().open(t)
	if err := s.Client().Set(t.Context(), "k", "v", 300*time.Millisecond).Err(); err != nil {
		t.Fatalf("set: %v", err)
	}
	until(t, "the key to expire", func() bool {
		n, err := s.Client().Exists(t.Context(), "k").Result()
		return err == nil && n == 0
	})
}

// A layout that does not fit is refused by every call, also when it is seen
// only later.
func TestPartitionsMismatch(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	open := func(partitions int) *store.Store {
		s, err := store.Open(t.Context(), store.Options{Addrs: []string{r.Addr}, Partitions: partitions, Timeout: 5 * time.Second})
		if err != nil {
			t.Fatalf("open: %v", err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	refused := func(s *store.Store) {
		t.Helper()
		p := newPerson(t, s, "u1")
		_, err := s.Receive(t.Context(), p.receipt())
		if err == nil || !strings.Contains(err.Error(), "spread over 8 partitions, not 16") {
			t.Errorf("receive: %v, want the mismatch", err)
		}
		if err := s.PutToken(t.Context(), "shop", kefu.Token{Value: "v", Expires: time.Now().Add(time.Hour)}); err == nil {
			t.Error("a call was carried out in spite of the mismatch")
		}
	}
	newPerson(t, open(8), "u1").served("wang", 1)
	wrong := open(16)
	refused(wrong)
	if err := wrong.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "set partitions to 8") {
		t.Errorf("check: %v, want the mismatch", err)
	}
	if h := wrong.Health(); h.OK || h.Err == nil || !strings.Contains(h.Err.Error(), "set partitions to 8") {
		t.Errorf("health %+v, want it to say what to do", h)
	}
	newPerson(t, open(8), "u1").push()

	r.Kill()
	late := open(16)
	if late.Health().OK {
		t.Error("healthy without Redis")
	}
	if err := late.Check(t.Context()); err != nil {
		t.Errorf("check without Redis: %v, want nothing to say", err)
	}
	r.Restart()
	newPerson(t, open(8), "u1").push()
	until(t, "the late store to see the mismatch", func() bool {
		p := newPerson(t, late, "u1")
		_, err := late.Receive(t.Context(), p.receipt())
		return err != nil && strings.Contains(err.Error(), "partitions")
	})
	refused(late)
}

// running is a Store whose background work is done.
func running(t *testing.T, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		_ = s.Close()
	})
	return s
}

// lines is a log that may be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) count(message string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), message)
}

// A Redis that stops answering costs each call little, and is noticed when it
// is back.
func TestFrozen(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	log := &lines{}
	s := running(t, store.Options{Addrs: []string{r.Addr}, Timeout: 300 * time.Millisecond, Logger: zerolog.New(log)})
	p := newPerson(t, s, "u1")
	p.served("wang", 1)

	r.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := s.Receive(ctx, p.receipt())
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("receive: %v, want the end of its context", err)
	}
	if took := time.Since(began); took > 250*time.Millisecond {
		t.Errorf("a call with 50 ms took %s", took)
	}
	_, err = s.Receive(t.Context(), p.receipt())
	if err == nil || errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no answer within 300ms") {
		t.Errorf("receive: %v, want no answer", err)
	}
	until(t, "calls to fail at once", func() bool {
		_, err := s.Receive(t.Context(), p.receipt())
		return err != nil && strings.Contains(err.Error(), "not tried")
	})
	const calls = 200
	began = time.Now()
	for range calls {
		if _, err := s.Receive(t.Context(), p.receipt()); err == nil {
			t.Error("a frozen Redis answered")
		}
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("%d calls to a frozen Redis took %s", calls, took)
	}
	until(t, "bad health", func() bool { return !s.Health().OK })

	r.Resume()
	began = time.Now()
	until(t, "recovery", func() bool {
		_, err := s.Receive(t.Context(), p.receipt())
		return err == nil
	})
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("recovery took %s", took)
	}
	until(t, "good health", func() bool { return s.Health().OK })
	same(t, "log lines", []int{log.count("redis unavailable"), log.count("redis is back")}, []int{1, 1})
}

// proxied opens a store whose way to a server goes through a proxy.
func proxied(t *testing.T, r *redistest.Server) (*store.Store, *toxiproxy.Proxy) {
	t.Helper()
	proxy := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), "redis", "127.0.0.1:0", r.Addr)
	if err := proxy.Start(); err != nil {
		t.Fatalf("start proxy: %v", err)
	}
	t.Cleanup(proxy.Stop)
	return running(t, store.Options{Addrs: []string{proxy.Listen}, Timeout: 2 * time.Second}), proxy
}

// A Redis that is slow serves as many at once as one that is not.
func TestSlow(t *testing.T) {
	t.Parallel()
	s, proxy := proxied(t, redistest.Start(t))
	newPerson(t, s, "u0").push()
	if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(`{"type": "latency", "attributes": {"latency": 600}}`)); err != nil {
		t.Fatalf("add toxic: %v", err)
	}
	var calls sync.WaitGroup
	for i := range 120 { // by 20 connections it would take 3.6 s
		p := newPerson(t, s, fmt.Sprint("u", i))
		calls.Go(func() {
			if _, err := s.Receive(t.Context(), p.receipt()); err != nil {
				t.Errorf("receive: %v", err)
			}
		})
	}
	calls.Wait()
}

// A Redis that was away is used again soon after it is back.
func TestKilled(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	s := running(t, store.Options{Addrs: []string{r.Addr}})
	p := newPerson(t, s, "u1")
	p.push()
	r.Kill()
	began := time.Now()
	for range 20 {
		if _, err := s.Receive(t.Context(), p.receipt()); err == nil {
			t.Error("a dead Redis answered")
		}
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("20 calls to a dead Redis took %s", took)
	}
	r.Restart()
	began = time.Now()
	until(t, "recovery", func() bool {
		_, err := s.Receive(t.Context(), p.receipt())
		return err == nil
	})
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("recovery took %s", took)
	}
}

// Opening does not need Redis, and what is opened without it works with it.
func TestOpenBeforeRedis(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	r.Kill()
	s := running(t, store.Options{Addrs: []string{r.Addr}})
	if h := s.Health(); h.OK || h.Err == nil {
		t.Errorf("health %+v, want it bad", h)
	}
	r.Restart()
	until(t, "good health", func() bool { return s.Health().OK })
	newPerson(t, s, "u1").served("wang", 1)
}

func TestSecretsStayOut(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t, "--requirepass", "hunter2", "--user", "default", "on", ">hunter2", "~*", "+@all",
		"--user", "reader", "on", ">hunter3", "~*", "+@all", "-set")
	log := &lines{}
	for name, o := range map[string]store.Options{
		"wrong password": {Password: "swordfish"},
		"no password":    {},
		"wrong user":     {Username: "swordfish", Password: "swordfish"},
		"forbidden":      {Username: "reader", Password: "hunter3"},
	} {
		o.Addrs, o.Logger = []string{r.Addr}, zerolog.New(log)
		s := running(t, o)
		p := newPerson(t, s, "oX4kR5FjJ-secret-openid")
		_, err := s.Receive(t.Context(), p.receipt())
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, text := range []string{err.Error(), s.Health().Err.Error()} {
			for _, secret := range []string{"swordfish", "hunter", "openid", "reader"} {
				if strings.Contains(text, secret) {
					t.Errorf("%s: the error %q has %q in it", name, text, secret)
				}
			}
		}
	}
	if log.count("redis unavailable") != 4 || log.count("swordfish")+log.count("hunter") > 0 {
		t.Errorf("log: %s", log.b.String())
	}
	s := running(t, store.Options{Addrs: []string{r.Addr}, Password: "hunter2"})
	newPerson(t, s, "u1").push()
}

// Redis that answers and refuses is not one that is away: every call gets its
// own answer.
func TestRefusals(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	s := running(t, store.Options{Addrs: []string{r.Addr}, Timeout: 5 * time.Second})
	p := newPerson(t, s, "u1")
	p.push()
	r.MustDo("CONFIG", "SET", "maxmemory", "1")
	for range 10 {
		if _, err := s.Receive(t.Context(), p.receipt()); err == nil || !strings.Contains(err.Error(), "answered OOM") {
			t.Errorf("receive: %v, want OOM", err)
		}
	}
	until(t, "bad health", func() bool { return !s.Health().OK })
	r.MustDo("CONFIG", "SET", "maxmemory", "0")
	p.push()
	until(t, "good health", func() bool { return s.Health().OK })

	r.MustDo("REPLICAOF", "127.0.0.1", "1")
	until(t, "bad health of a replica", func() bool {
		h := s.Health()
		return !h.OK && strings.Contains(h.Err.Error(), "READONLY")
	})
	r.MustDo("REPLICAOF", "NO", "ONE")
	until(t, "good health", func() bool { return s.Health().OK })
}

func TestLostScripts(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	s := backend{name: "server", addrs: []string{r.Addr}, count: embedded().count}.open(t)
	p := newPerson(t, s, "u1")
	p.served("wang", 1)
	r.FlushScripts()
	p.later(idle / 2)
	if !p.push().Kept {
		t.Error("not kept after the scripts were lost")
	}
	r.FlushScripts()
	if s.Refresh(t.Context()) != 1 {
		t.Error("not refreshed")
	}
	p.settle(p.push(within("")).Conversation, "li", owing(p.notices(2)...))
	r.FlushScripts()
	p.finish(p.one(), sent(kefu.LedgerSpent))
	if h := p.history(); h.Conversation.Serving != "li" || p.seats("wang") != 1 {
		t.Errorf("history %+v, %d seats of wang; want li's conversation and 1", h, p.seats("wang"))
	}
}

// After a failover the replica has the conversation, and the Store finds it.
func TestSentinel(t *testing.T) {
	t.Parallel()
	w := redistest.Sentinel(t)
	s := running(t, store.Options{Addrs: redistest.Addrs(w.Sentinels), MasterName: w.Name})
	p := newPerson(t, s, "u1")
	p.served("wang", 1)
	until(t, "the replica to have everything", func() bool {
		return w.Replica.MustDo("DBSIZE") == w.Master.MustDo("DBSIZE")
	})
	w.Master.Kill()
	until(t, "the replica to take over", func() bool {
		got, err := s.Receive(t.Context(), p.receipt())
		return err == nil && got.Kept && got.Serving == "wang"
	})
}

// A cluster that has lost a node answers for the others, quickly, and the dead
// part fails quickly.
func TestClusterNodeLost(t *testing.T) {
	t.Parallel()
	nodes := redistest.Cluster(t)
	for _, n := range nodes {
		n.MustDo("CONFIG", "SET", "cluster-require-full-coverage", "no")
	}
	s := running(t, store.Options{Addrs: redistest.Addrs(nodes), Timeout: 300 * time.Millisecond})
	lease := func(partition int) error {
		_, err := s.Lease(t.Context(), kefu.LeaseRequest{Partition: partition, At: start, For: time.Second, Max: 1})
		return err
	}
	dead := func() []int {
		var out []int
		for p := range s.Partitions() {
			if lease(p) != nil {
				out = append(out, p)
			}
		}
		return out
	}
	same(t, "dead partitions", dead(), []int(nil))
	nodes[2].Pause()
	lost := dead()
	if len(lost) == 0 || len(lost) == s.Partitions() {
		t.Fatalf("partitions %v of %d are dead, want some", lost, s.Partitions())
	}
	until(t, "the dead part to be refused at once", func() bool {
		err := lease(lost[0])
		return err != nil && strings.Contains(err.Error(), "not tried")
	})
	same(t, "dead partitions", dead(), lost)
	if due := s.Due(t.Context(), start); len(due) != s.Partitions() {
		t.Errorf("partitions %v may have something due, want all: nobody can tell", due)
	}
	until(t, "bad health", func() bool { return !s.Health().OK })
	nodes[2].Resume()
	until(t, "recovery", func() bool {
		return len(dead()) == 0 && s.Health().OK
	})
}

// When a node's replica has taken its place, the Store finds it, whichever node
// that was.
func TestClusterFailover(t *testing.T) {
	t.Parallel()
	nodes := redistest.Cluster(t)
	s := running(t, store.Options{Addrs: redistest.Addrs(nodes), Timeout: 300 * time.Millisecond})
	p := newPerson(t, s, "u1")
	p.served("wang", 1)
	dead := redistest.Owner(t, nodes, s.LayoutKey()) // the one that is asked for first
	replica := redistest.Follow(t, nodes, dead)
	dead.Kill()
	until(t, "the replica to be the master", replica.Masters)
	redistest.Whole(t, nodes)
	began := time.Now()
	until(t, "good health", func() bool { return s.Health().OK })
	for partition := range s.Partitions() {
		until(t, "every partition to work", func() bool {
			_, err := s.Lease(t.Context(), kefu.LeaseRequest{Partition: partition, At: start, For: time.Second, Max: 1})
			return err == nil
		})
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("the new master is found after %s", took)
	}
}

// Run refreshes the seats of conversations that go on.
func TestRun(t *testing.T) {
	t.Parallel()
	s := running(t, store.Options{})
	p := newPerson(t, s, "u1")
	p.served("wang", 1)
	p.later(idle)
	if !p.push().Kept {
		t.Fatal("not kept")
	}
	p.later(idle / 2)
	until(t, "the seat to be refreshed", func() bool { return p.seats("wang") == 1 })
}

// Run gives up seats that were taken for nothing, once Redis answers.
func TestRunGivesUp(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	s, err := store.Open(t.Context(), store.Options{Addrs: []string{r.Addr}})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	s.LeaveAtOnce()
	p := newPerson(t, s, "u1")
	p.push()
	p.seat(1, "", "wang")
	r.Pause()
	s.GiveUp(kefu.SeatRequest{Customer: p.id, At: p.now, Idle: idle, Candidates: []kefu.SeatCandidate{{Agent: "wang"}}})
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	r.Resume()
	until(t, "the seat to be free", func() bool {
		loads, err := s.Loads(t.Context(), p.now, []kefu.AgentID{"wang"})
		return err == nil && loads[0].Seats == 0
	})
	stop()
	if err := <-ran; err != nil {
		t.Errorf("run: %v", err)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	registry := prometheus.NewRegistry()
	o := store.Options{Addrs: []string{r.Addr}, Registerer: registry, Timeout: 100 * time.Millisecond}
	s := running(t, o)
	if again, err := store.Open(t.Context(), o); err == nil {
		t.Errorf("metrics were registered twice: %v", again.Close())
	}
	p := newPerson(t, s, "u1")
	p.served("wang", 1)
	p.later(idle / 2)
	p.push()
	scrape := func() string {
		w := httptest.NewRecorder()
		promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
		return w.Body.String()
	}
	until(t, "the refresh to be counted", func() bool {
		return strings.Contains(scrape(), `kefud_store_seat_refreshes_total{outcome="kept"} 1`)
	})
	r.Pause()
	until(t, "calls to be refused", func() bool {
		_, err := s.Receive(t.Context(), p.receipt())
		return err != nil && strings.Contains(err.Error(), "not tried")
	})
	text := scrape()
	for _, want := range []string{
		`kefud_store_calls_total{op="receive",outcome="ok"} 2`,
		`kefud_store_calls_total{op="receive",outcome="silent"}`,
		`kefud_store_calls_total{op="receive",outcome="refused"} 1`,
		`kefud_store_calls_total{op="settle",outcome="ok"} 1`,
		`kefud_store_call_seconds_count{op="seat"} 1`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	if strings.Contains(text, "u1") || strings.Contains(text, "wang") {
		t.Error("a customer or an agent stands in the metrics")
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.Context(), store.Options{})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	p := newPerson(t, s, "u1")
	if _, err := s.Receive(t.Context(), p.receipt()); err == nil {
		t.Error("a closed store answered")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Receive(ctx, p.receipt()); !errors.Is(err, context.Canceled) {
		t.Errorf("receive: %v, want the end of its context", err)
	}
}
